"""What the tests of training compare with."""

from __future__ import annotations

import pytest
from hopper_runs import train
from learners import outcome


@pytest.fixture(scope="session")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, object]:
    """What ten iterations leave when nothing disturbs them."""
    return outcome(train(tmp_path_factory.mktemp("run") / "whole", "--n-iterations", "10"))
