"""Augmented Random Search: algorithms, trainer, commands and the Python API."""

from ars.common import loading

loading.guard_program()  # first of all

from ars.common import own_modules  # noqa: E402

__version__ = "0.1.0"

own_modules.install()
