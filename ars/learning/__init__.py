"""The arithmetic of learning."""
