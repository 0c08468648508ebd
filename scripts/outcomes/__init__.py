"""What trainings came to, for docs/results.md; see scripts/results.py."""
