"""How it learns: Augmented Random Search, its trainer and its commands."""

__version__ = "0.1.0"
