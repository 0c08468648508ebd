"""Whether an environment can be drawn, told without drawing it, and what would help."""

from __future__ import annotations

import importlib.util
import inspect
from collections.abc import Collection
from typing import Any

import gymnasium
from gymnasium.envs.registration import EnvSpec, load_env_creator

# Families of Gymnasium that need PyGame for their pictures alone; the names are also our extras.
_NEED_PYGAME = {"classic_control": "classic-control", "toy_text": "toy-text"}
_NO_RENDER_MODE = "its constructor must take render_mode=None and keep it as self.render_mode"


def registered_spec(env_id: str) -> EnvSpec | None:
    """The registered spec of a Gymnasium id or `module:id` whose module was imported."""
    return gymnasium.registry.get(env_id.rpartition(":")[2])


def registered_creator(env_id: str) -> Any:
    """What makes a registered environment, most often its class; None if nothing says."""
    spec = registered_spec(env_id)
    make = None if spec is None else spec.entry_point
    return load_env_creator(make) if isinstance(make, str) else make


def why_not_drawn(env_id: str) -> str | None:
    """Why no picture of an environment can be drawn; None if nothing speaks against it.

    Args:
        env_id: a Gymnasium id, or `module:id`, as `envs.resolve` returns it.
    """
    spec = registered_spec(env_id)
    if spec is None or spec.entry_point is None:
        return None
    if (hint := _pygame_hint(spec)) and importlib.util.find_spec("pygame") is None:
        return f"needs pygame: {hint}"
    make = registered_creator(env_id)
    if not inspect.isclass(make):
        return None
    if "rgb_array" not in _modes(make):
        return "its class names no rgb_array in metadata['render_modes']"
    return None if _takes_render_mode(make) else _NO_RENDER_MODE


def why_no_window(env_id: str) -> str | None:
    """Why an environment, as for `why_not_drawn`, has no window of its own; None if it may."""
    make = registered_creator(env_id)
    if not inspect.isclass(make) or "human" in _modes(make):
        return None
    return "its class names no human in metadata['render_modes']"


def _modes(make: type[Any]) -> Collection[str]:
    return (getattr(make, "metadata", None) or {}).get("render_modes") or ()


def drawing_hint(spec: EnvSpec | None, error: BaseException) -> str:
    """What may help if an environment could not be made for drawing, or could not draw."""
    text = str(error)
    if "unexpected keyword argument 'render_mode'" in text:
        return f"; {_NO_RENDER_MODE}"
    if spec is None:
        return ""
    if "pygame is not installed" in text and (hint := _pygame_hint(spec)):
        return "" if "pip install" in text else f"; {hint}"
    if "mujoco" in str(spec.entry_point):
        return "; MuJoCo draws with MUJOCO_GL=egl (package libegl1) or osmesa (package libosmesa6)"
    return ""


def _pygame_hint(spec: EnvSpec) -> str:
    origin = str(spec.entry_point)
    family = origin.split(".")[2].split(":")[0] if origin.startswith("gymnasium.envs.") else ""
    if family not in _NEED_PYGAME:
        return ""
    extra = _NEED_PYGAME[family]
    return f"pip install 'gymnasium[{extra}]' (from a checkout: pip install -e '.[{extra}]')"


def _takes_render_mode(make: Any) -> bool:
    try:
        parameters = inspect.signature(make).parameters.values()
    except (TypeError, ValueError):  # of a class in C
        return True
    return any(p.name == "render_mode" or p.kind is p.VAR_KEYWORD for p in parameters)
