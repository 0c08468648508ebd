"""The rows of the fault matrix; see scripts/fault_matrix.py."""
