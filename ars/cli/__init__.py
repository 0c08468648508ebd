"""The command line: flags, the live display, one-line errors."""
