"""The pure function from a task to its episode; nothing here imports Ray."""
