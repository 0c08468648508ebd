"""What `fuzz_readers.py` forges: the files of each reader, and what tries a forgery."""
