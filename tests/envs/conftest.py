"""What every test of environments may have."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

import envs


@pytest.fixture
def make() -> Iterator[Callable[..., Any]]:
    """Makes environments, which are closed after the test."""
    made: list[Any] = []

    def build(env_id: str, **kwargs: Any) -> Any:
        made.append(envs.make(env_id, **kwargs))
        return made[-1]

    yield build
    for env in made:
        env.close()
