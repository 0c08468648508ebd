"""The row of the fault matrix about network access to a run."""

from __future__ import annotations

import http.client
import os
import socket
import urllib.error
import urllib.request
from pathlib import Path
from typing import NamedTuple

from faults.runs import SLOW, Lab, Training, require, words

LISTENING = "0A"  # in /proc/net/tcp
# A request that each of Ray's servers (head, node, worker, object manager) answers if authorised.
QUESTIONS = (
    "NodeInfoGcsService/GetAllNodeInfo",
    "NodeManagerService/GetNodeStats",
    "CoreWorkerService/GetCoreWorkerStats",
    "ObjectManagerService/Pull",
)


class Port(NamedTuple):
    """A TCP port on which a process listens."""

    address: str
    number: int
    process: str


def open_ports(pids: list[int]) -> list[Port]:
    """Return the TCP ports on which some processes listen."""
    owners = {}
    for pid in pids:
        try:
            name = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")[0].decode()
            for handle in Path(f"/proc/{pid}/fd").iterdir():
                link = os.readlink(handle)
                if link.startswith("socket:["):
                    owners[link[8:-1]] = name.rpartition("/")[2]
        except OSError:  # the process has ended
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
    """Decode an address such as `0100007F` (127.0.0.1): words of four bytes, each reversed."""
    data = bytes.fromhex(words)
    turned = b"".join(data[i : i + 4][::-1] for i in range(0, len(data), 4))
    return socket.inet_ntop(family, turned)


def refuses(port: Port) -> bool:
    """Whether a client without the token is rejected. Raises: Fails if it gets an answer."""
    given = _answers(port)
    require("OK" not in given, f"{port} answers a client without the token")
    return "UNAUTHENTICATED" in given or _web_answer(port) == 401


def _answers(port: Port) -> set[str]:
    """Return the names of the gRPC status codes with which the port answers."""
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
    """Return the status code if the port belongs to a web server; otherwise None."""
    try:
        address = f"http://127.0.0.1:{port.number}/get_runtime_envs_info"
        with urllib.request.urlopen(address, data=b"", timeout=3) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        return error.code
    except (OSError, http.client.HTTPException):
        return None


def exposure(lab: Lab) -> str:
    """Try every open port of a run without the token; a run without workers must have no port."""
    folder = lab.place / "alone"
    with Training(folder, words(SLOW, folder, "--n-iterations", "1000")) as run:
        run.wait_for_rows(2)
        require(not (ports := open_ports(run.left())), f"--n-workers 0 listens on {ports}")
        run.process.kill()
    folder = lab.place / "run"
    with Training(folder, words(SLOW, folder, "--n-iterations", "1000", workers=2)) as run:
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
