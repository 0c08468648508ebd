"""The command line: flags, the live display, failures in one line."""
