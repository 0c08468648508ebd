"""What trainings came to: rows and tables of scripts/results.py, and runs of other libraries."""
