"""Films one policy: `python -m ars.training.one_film`, started by a training with `video_freq`.

It reads its job from stdin as a JSON object; a failure is one line on stderr and status 1.
"""

from __future__ import annotations

import json
import os
import sys
from contextlib import suppress
from functools import partial
from pathlib import Path


def main() -> None:
    """Film as stdin says."""
    job = json.load(sys.stdin)
    from ars.common.parent import end_with_parent

    end_with_parent(job["parent"])
    sys.path[:] = job["path"]
    with suppress(OSError, AttributeError):
        os.nice(10)  # training comes first
    from ars.common.errors import failures, one_line
    from ars.rendering.film import RenderConfig
    from ars.rendering.show import record
    from ars.training.evaluation import acting
    from ars.training.run_folder import find_policy

    try:
        open_env = partial(acting, find_policy(job["policy"]), None, warn=lambda line: None)
        record(open_env, RenderConfig(), Path(job["output"]))
    except failures() as error:
        told = str(error) if type(error).__module__.startswith(("ars.", "envs.")) else ""
        print(" ".join(told.split()) or one_line(error), file=sys.stderr)
        raise SystemExit(1) from None


if __name__ == "__main__":
    main()
