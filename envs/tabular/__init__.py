"""Finite worlds: their states and actions can be counted, and their transitions are known."""
