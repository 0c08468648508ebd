"""How it learns: Augmented Random Search, its trainer and its commands."""

from ars.common import own_modules

__version__ = "0.1.0"

own_modules.install()
