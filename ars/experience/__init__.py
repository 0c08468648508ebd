"""What deep algorithms step and remember."""
