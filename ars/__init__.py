"""Augmented Random Search: algorithms, trainer, commands and the Python API."""

from ars.common import own_modules

__version__ = "0.1.0"

own_modules.install()
