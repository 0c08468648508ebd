"""Where things lie in a checkout."""

from __future__ import annotations

from pathlib import Path

SUPPORT = Path(__file__).resolve().parent  # the environments that tests name by module
ROOT = SUPPORT.parent.parent
# Run folders that earlier versions left, by name.
OLD_RUNS = {path.name: path for path in sorted((ROOT / "tests" / "data" / "runs").iterdir())}
