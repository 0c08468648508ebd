"""The environments that deep algorithms step, and the experience that they store."""
