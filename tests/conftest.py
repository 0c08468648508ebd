"""What no test may touch, the data of whoever runs them, and in which order they run."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

# Each takes a worker a minute or more, and is not divided: what comes last should be short.
LONG = ("test_docs", "test_pool", "test_compiled", "test_interruptions", "test_reference")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the long files."""
    items.sort(key=lambda item: LONG.index(stem) if (stem := item.path.stem) in LONG else len(LONG))


@pytest.fixture(autouse=True, scope="session")
def own_data(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """A key to sign runs with that is not the user's."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("XDG_DATA_HOME", str(tmp_path_factory.mktemp("data")))
        yield
