"""Check that training survives every fault it has to: cause each fault, then check the outcome.

    python scripts/fault_matrix.py [--rows 1 5 22] [--kills 100] [--iterations 1000]
    python scripts/fault_matrix.py --rows long [--minutes 30]

Depending on the fault, one of two outcomes is required:

- Identical: policies, best policies and logs (except times) equal those of the same command run
  undisturbed in one process, byte for byte.
- Clean: a non-zero exit status, one line that names the cause, a complete checkpoint, and no
  process alive after 10 s.

Prints a line for each row: the fault, the seconds it took, and whether the outcome holds, or why
the fault cannot be caused on this machine. The exit status is 1 if a row fails. Needs pytest:
pip install -e ".[test]"
"""

from __future__ import annotations

import argparse
import signal
import sys
import tempfile
import time
import traceback
from collections.abc import Callable
from pathlib import Path

from faults.runs import CannotBeCaused, Fails, Lab, in_fork

# For each row, the fault, and the module and function that causes it.
ROWS = {
    "1": ("worker dies mid-rollout", "faults.workers:one_dies"),
    "2": ("worker dies after computing, before answering", "faults.workers:dies_before_answering"),
    "3": ("all workers die at once", "faults.workers:all_die"),
    "4": ("worker cannot start", "faults.workers:cannot_start"),
    "5": ("node removed", "faults.nodes:node_removed"),
    "6": ("raylet killed", "faults.nodes:raylet_killed"),
    "7": ("node frozen, later thawed", "faults.nodes:node_frozen"),
    "7b": ("network partition between two hosts, later healed", "faults.nodes:partition"),
    "8": ("node joins mid-run", "faults.nodes:node_joins"),
    "9": ("no node left", "faults.nodes:no_node_left"),
    "10": ("straggler", "faults.workers:straggler"),
    "11": ("hung worker: busy, stopped", "faults.workers:hung"),
    "12": ("environment raises once", "faults.workers:raises_once"),
    "13": ("environment always raises on one rollout", "faults.workers:raises_always"),
    "14": ("NaN or inf reward or observation", "faults.workers:not_finite"),
    "15": ("wrong shape, type or step tuple", "faults.workers:wrong_kind"),
    "16": ("constant, 1e200 or 1e8 +- 1 observations", "faults.workers:extreme_observations"),
    "17": ("equal or tied returns", "faults.workers:ties"),
    "18": ("1, 2, 5, 16 workers, any arrival order", "faults.workers:any_number"),
    "19": ("driver killed at random moments, then --resume", "faults.files:killed"),
    "20": ("killed inside a save", "faults.files:killed_inside_a_save"),
    "21": ("disk full", "faults.files:disk_full"),
    "22": ("truncated or bit-flipped checkpoint or policy", "faults.files:damaged"),
    "23": ("hostile file", "faults.files:hostile"),
    "24": ("checkpoint of another environment, policy or version", "faults.files:of_another"),
    "25": ("two runs in one folder", "faults.files:two_runs"),
    "26": ("Ctrl-C once, twice; SIGTERM", "faults.workers:signals"),
    "27": ("small object store, many iterations", "faults.nodes:small_store"),
    "28": ("other versions on a node", "faults.nodes:other_versions"),
    "29": ("exposure: ports, a client without the token", "faults.ports:exposure"),
    "30": ("bad flags", "faults.files:bad_flags"),
    "31": ("environment ends the program", "faults.environments:ends_program"),
    "32": ("environment changes its process", "faults.environments:changes_process"),
    "33": ("pause: the driver stopped, then all of it", "faults.processes:pause"),
    "34": ("a local Ray's own process dies", "faults.processes:ray_dies"),
    "34b": ("a local Ray's own process stopped, then Ctrl-C", "faults.processes:ray_stopped"),
    "35": ("environment process in C code or stopped", "faults.processes:stuck"),
    "36": ("Ctrl-C, SIGTERM, SIGHUP at any moment", "faults.signals:any_moment"),
    "37": ("another user of the machine", "faults.users:another_user"),
    "37b": ("a cluster's folder that others can write to", "faults.users:open_cluster"),
    "38": ("files from elsewhere: modules, addresses, links", "faults.foreign:from_elsewhere"),
    "39": ("right digest, wrong contents", "faults.foreign:forged"),
    "40": ("two new runs, one folder, at once", "faults.foreign:two_new_runs"),
    "41": ("divergence, rewards of 1e200", "faults.foreign:diverges"),
    "42": ("stdout, stderr closed, full or in ASCII", "faults.signals:streams"),
    "43": ("environment repeats at first, not later", "faults.environments:repeats_at_first"),
    "44": ("ulimit -n, -u, -v too low for Ray", "faults.processes:limits"),
    "long": ("worker killed every 20 s, node replaced every 2 min", "faults.nodes:long"),
}  # fmt: skip


def outcome(row: str, lab: Lab) -> str:
    """Cause a fault in this process; return the result in words."""
    import importlib

    module, _, name = ROWS[row][1].partition(":")
    cause: Callable[[Lab], str | None] = getattr(importlib.import_module(module), name)
    try:
        remark = cause(lab)
    except CannotBeCaused as reason:
        return f"cannot be caused here: {reason}"
    except Fails as failure:
        return f"fails: {failure}"
    except Exception as error:
        traceback.print_exc()
        return f"fails: {type(error).__name__}: {error}"
    return f"holds ({remark})" if remark else "holds"


def in_own_process(row: str, lab: Lab) -> str:
    """The same in a forked process, which confines Ray and anything else that the row changes."""
    with tempfile.TemporaryDirectory(prefix="ars-faults-") as place:

        def cause() -> None:
            print(" ".join(outcome(row, lab._replace(place=Path(place))).split()))

        status, out, err = in_fork(cause)
    last = out.strip().rpartition("\n")[2]
    if status or last.startswith("fails"):
        print(err, file=sys.stderr, end="")
    return f"fails: exit status {status}" if status else last


def main() -> int:
    """Print the table; return 1 if a row fails."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rows", nargs="+", choices=ROWS, metavar="ROW", help="all but long")
    parser.set_defaults(rows=[row for row in ROWS if row != "long"])
    parser.add_argument("--kills", type=int, default=100, help="moments in rows 19 and 36")
    parser.add_argument(
        "--iterations", type=int, default=1000, help="of row 27; 10,000 take ten times as long"
    )
    parser.add_argument("--minutes", type=float, default=30.0, help="of row long")
    arguments = parser.parse_args()
    # Rows clean up on Ctrl-C, which a shell disables for commands started with `&`.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.default_int_handler)
    failed = 0
    with tempfile.TemporaryDirectory(prefix="ars-faults-") as references:
        amounts = arguments.kills, arguments.iterations, arguments.minutes
        lab = Lab(Path(), Path(references), *amounts)
        for row in arguments.rows:
            began = time.monotonic()
            found = in_own_process(row, lab)
            failed += found.startswith("fails")
            seconds = time.monotonic() - began
            print(f"{row:>4}  {ROWS[row][0]:54}{seconds:6.1f} s  {found}", flush=True)
    print(f"{len(arguments.rows)} rows, {failed} fail")
    return int(failed > 0)


if __name__ == "__main__":
    sys.exit(main())
