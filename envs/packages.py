"""Packages that environments need: how to get one that is missing, and MuJoCo kept quiet."""

from __future__ import annotations

import contextlib
import sys

from gymnasium.envs.registration import EnvSpec


def silence_mujoco() -> None:
    """Silence MuJoCo's warning about deprecated elements in Gymnasium's models.

    MuJoCo would print it for every environment and write it to a file in the current folder. Other
    warnings, such as those about an unstable simulation, are printed to stderr.
    """
    with contextlib.suppress(ImportError):
        import mujoco

        mujoco.set_mju_user_warning(
            lambda text: None if "deprecated" in text else print(text, file=sys.stderr)
        )


def explain(spec: EnvSpec, error: Exception) -> str:
    """Return which package `spec` needs, and how to install it."""
    origin = str(spec.entry_point)
    missing = getattr(error, "name", None)
    if origin.startswith("gymnasium.envs."):
        folder = origin.split(".")[2].split(":")[0].replace("_", "-")
        extra = "jax" if folder in ("phys2d", "tabular") else folder
        known = extra in ("box2d", "classic-control", "mujoco", "toy-text")
        ours = f" (from a checkout: pip install -e '.[{extra}]')" if known else ""
        return f"needs more than plain Gymnasium: pip install 'gymnasium[{extra}]'{ours}"
    if missing == "pybullet":
        return "needs PyBullet: pip install pybullet (wheels exist up to CPython 3.11)"
    if missing in ("tkinter", "_tkinter"):
        return "needs Tk for its window, a package of the system: on Debian, apt install python3-tk"
    if missing:
        return f"needs the Python module {missing}"
    return f"does not import ({one_line(error)})"


def one_line(error: BaseException) -> str:
    return " ".join(str(error).split()) or type(error).__name__
