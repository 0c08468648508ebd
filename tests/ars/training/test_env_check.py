"""What is said of an environment that refuses its keyword arguments."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import gymnasium
import pytest
from small_worlds import Identity

from ars.common.errors import RunError, UsageError
from ars.training.env_check import probe


class Windy(Identity):
    """Needs a map; takes a wind, which must be a number."""

    def __init__(self, map: str, wind: float = 0.0) -> None:
        super().__init__()
        self.wind = 2 * wind + 1


@pytest.fixture(autouse=True)
def windy() -> Iterator[None]:
    gymnasium.register("Windy-v0", Windy)  # type: ignore[arg-type]
    yield
    del gymnasium.registry["Windy-v0"]


@pytest.mark.parametrize(
    ("env_kwargs", "told"),
    [
        (
            {"map": "a", "wnd": 3},
            "`env_kwargs` wnd: Windy-v0 does not take it (did you mean wind?)",
        ),
        ({"map": "a", "x": 3}, "`env_kwargs` x: Windy-v0 does not take it; it takes map, wind"),
        ({}, "Windy-v0: needs `env_kwargs` map=..."),
        ({"id": 3}, "`env_kwargs` id: is set by the toolkit itself"),
        ({"env_id": 3}, "`env_kwargs` env_id: is set by the toolkit itself"),
        ({"map": "a", "wind": None}, "`env_kwargs` map=a wind=None: Windy-v0 refuses them: unsup"),
    ],
)
def test_what_the_constructor_refuses_is_named_without_its_own_name(
    env_kwargs: dict[str, Any], told: str
) -> None:
    with pytest.raises(UsageError) as error:
        probe("Windy-v0", env_kwargs)
    assert str(error.value).startswith(told)
    assert "__init__" not in str(error.value) and "environment creator" not in str(error.value)


def test_a_type_error_of_the_environments_own_is_no_fault_of_the_arguments() -> None:
    def broken(**_: Any) -> gymnasium.Env[Any, Any]:
        Windy()  # type: ignore[call-arg]
        raise AssertionError

    gymnasium.register("Broken-v0", broken)
    try:
        with pytest.raises(RunError, match="Broken-v0: cannot be made: TypeError"):
            probe("Broken-v0", {})
    finally:
        del gymnasium.registry["Broken-v0"]
