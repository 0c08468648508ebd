"""The row of the fault matrix about who may talk to a run."""

from __future__ import annotations

import http.client
import os
import socket
import urllib.error
import urllib.request
from pathlib import Path
from typing import NamedTuple

from faults.runs import SLOW, Lab, Run, require, words

LISTENING = "0A"  # in /proc/net/tcp
# A question that each of Ray's servers answers to whoever may ask: the head, a node, a worker ...
QUESTIONS = (
    "NodeInfoGcsService/GetAllNodeInfo",
    "NodeManagerService/GetNodeStats",
    "CoreWorkerService/GetCoreWorkerStats",
    "ObjectManagerService/Pull",
)


class Port(NamedTuple):
    """Where a process listens."""

    address: str
    number: int
    process: str


def open_ports(pids: list[int]) -> list[Port]:
    """The TCP ports on which some processes listen."""
    owners = {}
    for pid in pids:
        try:
            name = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")[0].decode()
            for handle in Path(f"/proc/{pid}/fd").iterdir():
                link = os.readlink(handle)
                if link.startswith("socket:["):
                    owners[link[8:-1]] = name.rpartition("/")[2]
        except OSError:  # gone meanwhile
            continue
    found = []
    for family, table in ((socket.AF_INET, "tcp"), (socket.AF_INET6, "tcp6")):
        for line in Path(f"/proc/net/{table}").read_text().splitlines()[1:]:
            _, local, _, state, *rest = line.split()
            if state == LISTENING and rest[5] in owners:
                host, number = local.split(":")
                found.append(Port(_address(family, host), int(number, 16), owners[rest[5]]))
    return found


def _address(family: socket.AddressFamily, words: str) -> str:
    """`0100007F` as 127.0.0.1: words of four bytes, each the wrong way round."""
    data = bytes.fromhex(words)
    turned = b"".join(data[i : i + 4][::-1] for i in range(0, len(data), 4))
    return socket.inet_ntop(family, turned)


def refuses(port: Port) -> bool:
    """Whether a client without the token is told so. Raises: Fails where it gets an answer."""
    given = _answers(port)
    require("OK" not in given, f"{port} answers a client without the token")
    return "UNAUTHENTICATED" in given or _web_answer(port) == 401


def _answers(port: Port) -> set[str]:
    """What Ray's protocol gives, by the names of its status codes."""
    import grpc

    found = set()
    with grpc.insecure_channel(f"127.0.0.1:{port.number}") as channel:
        for question in QUESTIONS:
            ask = channel.unary_unary(f"/ray.rpc.{question}")
            try:
                ask(b"", timeout=3)
                found.add("OK")
            except grpc.RpcError as error:
                found.add(error.code().name)
    return found


def _web_answer(port: Port) -> int | None:
    """The status of a web server; None where there is none."""
    try:
        address = f"http://127.0.0.1:{port.number}/get_runtime_envs_info"
        with urllib.request.urlopen(address, data=b"", timeout=3) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        return error.code
    except (OSError, http.client.HTTPException):
        return None


def exposure(lab: Lab) -> str:
    """Every open port of a run with workers is asked without the token; one without has none."""
    folder = lab.place / "alone"
    with Run(folder, words(SLOW, folder, "--n-iterations", "1000")) as run:
        run.wait_for_rows(2)
        require(not (ports := open_ports(run.left())), f"--n-workers 0 listens on {ports}")
        run.process.kill()
    folder = lab.place / "run"
    with Run(folder, words(SLOW, folder, "--n-iterations", "1000", workers=2)) as run:
        run.wait_for_rows(2)
        ports = open_ports(run.left())
        require(ports, "no port is seen")
        for port in ports:
            require(port.address.endswith("127.0.0.1"), f"{port} is not the loopback's")
            require("dashboard" not in port.process, f"{port}: the dashboard is on")
            require(refuses(port), f"{port} does not ask for the token")
        run.process.terminate()
        run.end(130)
    return f"{len(ports)} ports, all on the loopback, refuse"
