"""A training run: its configuration, its folder and the training loop."""
