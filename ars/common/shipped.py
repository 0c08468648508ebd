"""The runs that come with the toolkit; light, so that the overview can list them."""

from __future__ import annotations

from pathlib import Path

SHIPPED = Path(__file__).parents[1] / "shipped"


def shipped() -> dict[str, Path]:
    """Their files, as `ars share` writes them, by the names of their environments."""
    return {path.stem: path for path in sorted(SHIPPED.glob("*.zip"))}
