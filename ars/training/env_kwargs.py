"""Says which keyword argument an environment's constructor refused, in the user's terms."""

from __future__ import annotations

import inspect
import re
from typing import Any

import envs
from ars.common.errors import one_line
from ars.common.settings import near
from envs.drawing.possible import registered_creator


def why_refused(env_id: str, env_kwargs: dict[str, Any], error: TypeError) -> str | None:
    """What is wrong with the keyword arguments, if it is they that were refused."""
    # Only what Python itself says; Gymnasium adds all arguments to it, and the constructor's name
    # means nothing to the user.
    said = one_line(error).removeprefix("TypeError: ").split(" was raised from ")[0]
    takes = _parameters(env_id)
    match = re.search(r"unexpected keyword argument '(\w+)'", said)
    if match and match[1] in env_kwargs:
        hint = near(match[1], takes) or (f"; it takes {', '.join(takes)}" if takes else "")
        return f"`env_kwargs` {match[1]}: {env_id} does not take it{hint}"
    match = re.search(r"multiple values for (?:keyword )?argument '(\w+)'", said)
    if match and match[1] in env_kwargs:
        return f"`env_kwargs` {match[1]}: is set by the toolkit itself"
    missing = re.findall(r"'(\w+)'", said) if re.search(r"missing \d+ required", said) else []
    if missing and set(missing) <= set(takes):
        return f"{env_id}: needs `env_kwargs` {' '.join(f'{name}=...' for name in missing)}"
    if env_kwargs:
        words = " ".join(f"{name}={value}" for name, value in env_kwargs.items())
        return f"`env_kwargs` {words}: {env_id} refuses them: {said}"
    return None


def _parameters(env_id: str) -> list[str]:
    """The names of the arguments that an environment's constructor takes, as far as is known."""
    creator = registered_creator(envs.resolve(env_id))
    try:
        parameters = inspect.signature(creator).parameters.values() if creator else ()
    except (TypeError, ValueError):  # it is not written in Python
        return []
    named = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
    names = [parameter.name for parameter in parameters if parameter.kind in named]
    return [name for name in names if name not in ("self", "render_mode")]
