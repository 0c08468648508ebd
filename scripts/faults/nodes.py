"""Rows of the fault matrix about clusters: several raylets on this machine, two virtual hosts."""

from __future__ import annotations

import contextlib
import os
import random
import secrets
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from faults.runs import (
    LENGTH,
    SLOW,
    CannotBeCaused,
    Lab,
    Training,
    all_ready,
    children,
    identical,
    passes,
    raylets,
    require,
    undisturbed,
    words,
)


def _on(address: str) -> list[str]:
    return [*LENGTH, "--ray-address", address]


def _disturbed(lab: Lab, disturb: Callable[[Any, Training], None], n_nodes: int = 2) -> Training:
    """Disturb a run on nodes with one processor each; the result must equal the reference."""
    reference = undisturbed(lab, SLOW, *LENGTH)
    folder = lab.place / "run"
    with raylets() as cluster:
        for _ in range(n_nodes):
            cluster.add(1)
        command = words(SLOW, folder, *_on(cluster.address), workers="auto")
        with Training(folder, command, all_ready(n_nodes)) as run:
            run.wait_for_rows(4)
            disturb(cluster, run)
            run.end()
    identical(folder, reference)
    return run


def node_removed(lab: Lab) -> None:
    """Remove one of two nodes, without a grace period."""
    _noticed(_disturbed(lab, lambda cluster, run: cluster.remove(cluster.nodes[-1])))


def _noticed(run: Training) -> None:
    events = ("died; replaced", "left with its node", "is late; ", "did not answer for")
    require(any(event in run.out for event in events), f"nothing was lost or late: {run.out}")


def _raylet(node: Any) -> int:
    return int(node.all_processes["raylet"][0].process.pid)


def raylet_killed(lab: Lab) -> None:
    """`kill -9` one of two raylets."""

    def kill(cluster: Any, run: Training) -> None:
        os.kill(_raylet(cluster.nodes[-1]), signal.SIGKILL)

    _noticed(_disturbed(lab, kill))


def node_frozen(lab: Lab) -> None:
    """Send SIGSTOP to a raylet and its worker, and SIGCONT after some iterations without them."""

    def freeze(cluster: Any, run: Training) -> None:
        raylet = _raylet(cluster.nodes[-1])
        frozen = [raylet, *children(raylet)]
        for pid in frozen:
            os.kill(pid, signal.SIGSTOP)
        try:
            run.wait_for_rows(run.rows() + 3)
        finally:
            for pid in frozen:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGCONT)

    _noticed(_disturbed(lab, freeze))


def node_joins(lab: Lab) -> None:
    """Add a second node, which must get a worker."""

    def add(cluster: Any, run: Training) -> None:
        node = cluster.add(1)
        run.wait_for(
            lambda: any(_is_actor(pid) for pid in children(_raylet(node))), "a worker on it"
        )

    run = _disturbed(lab, add, n_nodes=1)
    require("the cluster has 2 nodes and 2 processors now" in run.out, "not told")


def _is_actor(pid: int) -> bool:
    with contextlib.suppress(OSError):
        return b"ray::RolloutWorker" in Path(f"/proc/{pid}/cmdline").read_bytes()
    return False


def no_node_left(lab: Lab) -> str:
    """Remove all nodes. The driver waits for new ones for ten seconds instead of five minutes."""
    folder = lab.place / "run"
    with raylets() as cluster:
        cluster.add(1)
        patch = "from ars.distributed import supervisor; supervisor.NODE_SECONDS = 10.0"
        with Training(folder, words(SLOW, folder, *_on(cluster.address), workers=1), patch) as run:
            run.wait_for_rows(3)
            cluster.remove(cluster.nodes[0])
            run.end_clean("no worker started within 10 s: no node is left", seconds=60)
    return "with a patience of 10 s"


def small_store(lab: Lab) -> str:
    """Send snapshots of 0.3 MB, in all more than the store's 80 MB; the driver must not grow."""
    env, sizes = "CartPole-v1", ["--policy", "mlp", "--hidden-sizes", "192", "192"]
    length = ["--n-iterations", str(lab.iterations), "--rollout-length", "5"]
    rare = ["--n-directions", "1", "--eval-freq", "500", "--save-freq", "1000"]
    more = [*sizes, *length, *rare]
    reference, folder = undisturbed(lab, env, *more), lab.place / "run"
    with raylets() as cluster:
        cluster.add(1)
        address = ["--ray-address", cluster.address]
        with Training(folder, words(env, folder, *more, *address, workers=1)) as run:
            run.wait_for_rows(lab.iterations // 5)
            early = _resident(run.process.pid)
            run.wait_for_rows(lab.iterations * 9 // 10)
            late = _resident(run.process.pid)
            run.end()
    identical(folder, reference)
    require(late - early < 32, f"the driver grew from {early:.0f} to {late:.0f} MiB")
    sent = lab.iterations * (folder / "policy.safetensors").stat().st_size / 1e6
    return f"{sent:.0f} MB of snapshots, driver {late - early:+.1f} MiB"


def _resident(pid: int) -> float:
    """Return a process's private memory in MiB, without the shared object store it maps."""
    pages = [int(word) for word in Path(f"/proc/{pid}/statm").read_text().split()]
    return (pages[1] - pages[2]) * 4096 / 2**20


KILL_SECONDS, NODE_SECONDS = 20.0, 120.0
DO_NOT_SLEEP = """
from faulty_envs import Slow
from gymnasium.envs.classic_control import CartPoleEnv
Slow.step = CartPoleEnv.step
"""


def long(lab: Lab) -> str:
    """Kill workers and replace nodes all through a training run of half an hour."""
    folder, more = lab.place / "run", ["--n-directions", "20", "--rollout-length", "200"]
    with raylets() as cluster:
        for _ in range(3):
            cluster.add(1)
        stop = ["--time-budget", f"{lab.minutes:g}m", "--ray-address", cluster.address]
        with Training(
            folder, words(SLOW, folder, *more, *stop, workers="auto"), all_ready(3)
        ) as run:
            run.wait_for_rows(1)
            n_killed, n_replaced = _wear_out(cluster, run)
            run.end()
    _noticed(run)
    reference, length = lab.place / "reference", ["--n-iterations", str(run.rows())]
    # The same episodes without sleeping; in a separate process, since this one has used Ray.
    with Training(
        reference, words(SLOW, reference, *more, *length), DO_NOT_SLEEP
    ) as undisturbed_run:
        undisturbed_run.end(seconds=60 * lab.minutes)
    identical(folder, reference)
    events = run.out.count("; replaced, ")
    return (
        f"{lab.minutes:g} minutes, {run.rows()} iterations, {n_killed} workers killed, "
        f"{n_replaced} nodes replaced; {events} workers started afresh"
    )


def _wear_out(cluster: Any, run: Training) -> tuple[int, int]:
    """Until the run ends, kill workers and replace nodes; return how many of each."""
    n_killed, n_replaced, began = 0, 0, time.monotonic()
    while run.process.poll() is None:
        seconds = time.monotonic() - began
        if seconds > NODE_SECONDS * (n_replaced + 1):
            cluster.remove(cluster.nodes[0])
            cluster.add(1)
            n_replaced += 1
        workers = [pid for node in cluster.nodes for pid in children(_raylet(node))]
        workers = [pid for pid in workers if _is_actor(pid)]
        if seconds > KILL_SECONDS * (n_killed + 1) and workers:
            with contextlib.suppress(ProcessLookupError):
                os.kill(random.choice(workers), signal.SIGKILL)
            n_killed += 1
        time.sleep(0.5)
    return n_killed, n_replaced


def other_versions(lab: Lab) -> str:
    """Fake another NumPy version's metadata on a node, instead of a second virtual environment."""
    folder = "tests/ars/distributed"
    test = f"{folder}/test_cluster.py::test_a_node_of_other_versions_is_refused_and_the_rest_go_on"
    found = passes(test, f"{folder}/test_versions.py")
    return f"faked metadata, no second environment; {found}"


# Two virtual hosts: network namespaces with an address each, connected by a virtual cable.

HEAD, NODE = "10.213.7.1", "10.213.7.2"


def partition(lab: Lab) -> str:
    """Disconnect the two hosts during the run, and reconnect them."""
    reference, folder = undisturbed(lab, SLOW, *LENGTH), lab.place / "run"
    values = {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": secrets.token_hex(32)}
    from ars.distributed import ray_environment

    values |= {"PYTHONPATH": "", "PYTHONUNBUFFERED": "1"}
    with _hosts() as (head, node), ray_environment.environment(values):
        start = [sys.executable, "-m", "ray.scripts.scripts", "start", "--num-cpus", "1", "--block"]
        start += ["--object-store-memory", str(80 << 20), "--disable-usage-stats"]
        first = ["--head", "--node-ip-address", HEAD, "--port", "6379"]
        second = ["--address", f"{HEAD}:6379", "--node-ip-address", NODE]
        with (
            _host(head, [*start, *first, "--include-dashboard", "false"], lab.place / "head"),
            _host(node, [*start, *second], lab.place / "node"),
        ):
            command = words(SLOW, folder, *_on(f"{HEAD}:6379"), workers=2)
            with Training(folder, command, all_ready(2), _inside(head, lab.place / "head")) as run:
                run.wait_for_rows(4)
                _ip("-n", node, "link", "set", "ars1", "down")
                began = time.monotonic()
                run.wait_for_rows(run.rows() + 3)
                parted = time.monotonic() - began
                _ip("-n", node, "link", "set", "ars1", "up")
                run.end()
    identical(folder, reference)
    _noticed(run)
    return f"parted for {parted:.0f} s"


def _ip(*words: str) -> str:
    done = subprocess.run(["ip", *words], capture_output=True, text=True)
    if done.returncode:
        raise CannotBeCaused(f"ip {' '.join(words)}: {done.stderr.strip()}")
    return done.stdout


@contextlib.contextmanager
def _hosts() -> Iterator[tuple[str, str]]:
    """Yield the names of two network namespaces that can reach each other and nothing else."""
    names = f"ars{os.getpid()}a", f"ars{os.getpid()}b"
    made = []
    try:
        for name in names:
            try:
                _ip("netns", "add", name)
            except FileNotFoundError:
                raise CannotBeCaused("needs the command ip (package iproute2)") from None
            made.append(name)
        ends = ["type", "veth", "peer", "name", "ars1", "netns", names[1]]
        _ip("-n", names[0], "link", "add", "ars0", *ends)
        for number, (name, address) in enumerate(zip(names, (HEAD, NODE), strict=True)):
            _ip("-n", name, "address", "add", f"{address}/24", "dev", f"ars{number}")
            for device in ("lo", f"ars{number}"):
                _ip("-n", name, "link", "set", device, "up")
            # Ray takes the source address of the default route as its own address.
            _ip("-n", name, "route", "add", "default", "dev", f"ars{number}")
        yield names
    finally:
        for name in made:
            for pid in _ip("netns", "pids", name).split():
                with contextlib.suppress(ProcessLookupError):
                    os.kill(int(pid), signal.SIGKILL)
            _ip("netns", "delete", name)


def _inside(name: str, folder: Path) -> list[str]:
    """Return a command prefix that runs a command on a host, with `folder` as its /tmp/ray."""
    folder.mkdir(exist_ok=True)
    mount = f'mkdir -p /tmp/ray && mount --bind {folder} /tmp/ray && exec "$0" "$@"'
    return ["ip", "netns", "exec", name, "sh", "-c", mount]


@contextlib.contextmanager
def _host(name: str, command: list[str], folder: Path) -> Iterator[None]:
    """Run Ray on a host until the end of the block."""
    text = folder.with_suffix(".log")
    with text.open("w") as log:
        process = subprocess.Popen(
            [*_inside(name, folder), *command],
            cwd="/",
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    from processes import wait_until

    try:
        if not wait_until(lambda: "Ray runtime started" in text.read_text(), 60):
            raise CannotBeCaused(f"Ray does not start on a host of its own: {text.read_text()}")
        yield
    finally:
        process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(10)
        process.kill()
        process.wait()
