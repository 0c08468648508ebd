"""Put trained runs into the package, each as the policy of its environment's name.

    python scripts/ship.py RUN [RUN ...]

A run is shipped as `ars share` writes it, without a picture, and without its tape if that is larger
than 1 MB. Look at its film first: it must do what the robot's name says.
"""

from __future__ import annotations

import argparse
import shutil
import tempfile
from pathlib import Path

from ars.api import evaluate
from ars.common.shipped import SHIPPED
from ars.results.in_words import travelled
from ars.training.run_folder import CONFIG, TAPE, read_json
from ars.training.shared_run import FILES, share

LARGEST_TAPE = 2**20  # bytes
EPISODES = 100


def main() -> None:
    """Ship the runs, and print what each policy is worth over new episodes."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("runs", metavar="RUN", nargs="+", type=Path, help="run folder")
    for run in parser.parse_args().runs:
        output = SHIPPED / f"{read_json(run / CONFIG)['env_id']}.zip"
        with tempfile.TemporaryDirectory() as place:
            for name in filter(lambda name: (run / name).is_file(), FILES):
                large = name == TAPE and (run / name).stat().st_size > LARGEST_TAPE
                if not large:
                    shutil.copy(run / name, place)
            share(Path(place), output)
        found = evaluate(run, EPISODES)
        worth = [
            f"{found['return_mean']:,.1f} ± {found['return_std']:,.1f}",
            f"worst {found['return_min']:,.1f}",
            *travelled(found),
        ]
        size = f"{output.stat().st_size / 1e3:,.1f} kB"
        print(f"{output.name}: {size}; {EPISODES} new episodes: {', '.join(worth)}")


if __name__ == "__main__":
    main()
