"""The pure function from a task to its episode. No Ray here."""
