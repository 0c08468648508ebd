"""Run the tests with the instruction sets and thread counts of other processors.

    python scripts/check_processors.py [--tests tests/policies tests/ars/learning]
                                       [--configurations plain oldest openblas-haswell]

NumPy, its matrix products (OpenBLAS), torch's own kernels (ATen), its matrix products (MKL) and its
convolutions (oneDNN) each choose instructions that fit the processor, and other instructions round
sums differently. Environment variables make each library choose as on an older processor.

The tests (all by default) run once for each configuration, in a process with that configuration's
variables and none of the others'. Before that, the script asks each library what it chose. If a
configuration has no effect (the processor lacks the instructions, or a different library is
installed), the script says so and does not run it.

Prints one line per configuration and the names of failed tests. The exit status is 1 if any test
failed or no configuration could be run.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple
from xml.etree import ElementTree

SCRIPTS = Path(__file__).resolve().parent
Chosen = dict[str, str]  # what each library reports, by the library's name


class Setting(NamedTuple):
    """An environment variable, and what the library reports if it is in effect."""

    variable: str
    value: str
    library: str
    says: str


# Names of NumPy's features differ between its versions. For NumPy the value is a pattern of the
# features to disable.
SETTINGS = {
    "aten-default": Setting("ATEN_CPU_CAPABILITY", "default", "ATen", "DEFAULT"),
    "aten-avx2": Setting("ATEN_CPU_CAPABILITY", "avx2", "ATen", "AVX2"),
    "aten-avx512": Setting("ATEN_CPU_CAPABILITY", "avx512", "ATen", "AVX512"),
    "openblas-nehalem": Setting("OPENBLAS_CORETYPE", "Nehalem", "OpenBLAS", "Nehalem"),
    "openblas-sandybridge": Setting("OPENBLAS_CORETYPE", "Sandybridge", "OpenBLAS", "Sandybridge"),
    "openblas-haswell": Setting("OPENBLAS_CORETYPE", "Haswell", "OpenBLAS", "Haswell"),
    "openblas-skylakex": Setting("OPENBLAS_CORETYPE", "SkylakeX", "OpenBLAS", "SkylakeX"),
    "mkl-sse4.2": Setting("MKL_ENABLE_INSTRUCTIONS", "SSE4_2", "MKL", "SSE4.2"),
    "mkl-avx2": Setting("MKL_ENABLE_INSTRUCTIONS", "AVX2", "MKL", "AVX2"),
    "mkl-avx512": Setting("MKL_ENABLE_INSTRUCTIONS", "AVX512", "MKL", "AVX-512"),
    "onednn-sse4.1": Setting("ONEDNN_MAX_CPU_ISA", "SSE41", "oneDNN", "SSE4.1"),
    "onednn-avx2": Setting("ONEDNN_MAX_CPU_ISA", "AVX2", "oneDNN", "AVX2"),
    "onednn-avx512": Setting(
        "ONEDNN_MAX_CPU_ISA",
        "AVX512_CORE",
        "oneDNN",
        "AVX-512 with AVX512BW, AVX512VL, and AVX512DQ extensions",
    ),
    "numpy-baseline": Setting("NPY_DISABLE_CPU_FEATURES", ".", "NumPy", ""),
    "numpy-avx2": Setting("NPY_DISABLE_CPU_FEATURES", "V4|512", "NumPy", ""),
    "torch-threads-1": Setting("OMP_NUM_THREADS", "1", "torch threads", "1"),
    "torch-threads-2": Setting("OMP_NUM_THREADS", "2", "torch threads", "2"),
    "torch-threads-4": Setting("OMP_NUM_THREADS", "4", "torch threads", "4"),
    "openblas-threads-1": Setting("OPENBLAS_NUM_THREADS", "1", "OpenBLAS threads", "1"),
    "openblas-threads-2": Setting("OPENBLAS_NUM_THREADS", "2", "OpenBLAS threads", "2"),
    "openblas-threads-4": Setting("OPENBLAS_NUM_THREADS", "4", "OpenBLAS threads", "4"),
}
OLDEST = ["aten-default", "openblas-nehalem", "mkl-sse4.2", "onednn-sse4.1", "numpy-baseline"]
CONFIGURATIONS = {
    "plain": [],
    "oldest": [SETTINGS[name] for name in OLDEST],
    **{name: [setting] for name, setting in SETTINGS.items()},
}
VARIABLES = {setting.variable for setting in SETTINGS.values()}


def probe() -> None:
    """Let each library compute something in this process, and print what it chose."""
    import numpy as np
    import torch
    from threadpoolctl import threadpool_info

    square = np.ones((64, 64), np.float32)
    assert (np.exp(square @ square - 64.0) == 1.0).all()
    tensor = torch.from_numpy(square)
    assert ((tensor @ tensor - 64.0).exp() == 1.0).all()
    torch.nn.functional.conv2d(torch.ones(16, 4, 84, 84), torch.ones(32, 4, 8, 8))
    libraries: list[dict[str, Any]] = threadpool_info()
    blas = next((p for p in libraries if p["internal_api"] == "openblas"), {})
    features = np.show_config(mode="dicts")["SIMD Extensions"]
    found = {
        "ATen": torch.backends.cpu.get_cpu_capability(),
        "OpenBLAS": blas.get("architecture", "none"),
        "OpenBLAS threads": str(blas.get("num_threads", 0)),
        "torch threads": str(torch.get_num_threads()),
        "NumPy": " ".join(features.get("found", [])),
    }
    print("\n" + json.dumps(found))


def ask(environment: Mapping[str, str]) -> Chosen | str:
    """Return what each library chooses in an environment, or why they cannot be asked."""
    done = subprocess.run(
        [sys.executable, "-c", "import check_processors; check_processors.probe()"],
        env={**environment, "MKL_VERBOSE": "1", "ONEDNN_VERBOSE": "1"},
        cwd=SCRIPTS,
        capture_output=True,
        text=True,
    )
    if done.returncode < 0:
        return f"a library ends with {signal.Signals(-done.returncode).name}"
    if done.returncode:
        return (done.stderr.strip().splitlines() or ["no answer"])[-1]
    answer = next(line for line in done.stdout.splitlines() if line.startswith("{"))
    chosen: Chosen = json.loads(answer)
    for library, pattern in (
        ("MKL", r"^MKL_VERBOSE .* 64 architecture (.*?)(?: enabled processors)?, \w+ [\d.]+GHz"),
        ("oneDNN", r"^onednn_verbose,.*info,cpu,isa:Intel (.*)$"),
    ):
        said = re.search(pattern, done.stdout, re.MULTILINE)
        words = said[1].replace("Intel(R) ", "") if said else "none"
        chosen[library] = re.sub(r"^.*\((\S+)\)$", r"\1", words)  # a short name in parentheses
    return chosen


def plain_environment() -> dict[str, str]:
    """Return the environment of this process without any variable in `SETTINGS`."""
    return {name: value for name, value in os.environ.items() if name not in VARIABLES}


def resolve(settings: Sequence[Setting], plain: Chosen) -> list[Setting]:
    """Return the settings with NumPy's patterns replaced by the names of its features."""
    features = plain["NumPy"].split()
    resolved = []
    for setting in settings:
        if setting.library == "NumPy":
            off = [name for name in features if re.search(setting.value, name)]
            left = " ".join(name for name in features if name not in off)
            setting = setting._replace(value=" ".join(off), says=left)
        resolved.append(setting)
    return resolved


def missing(settings: Sequence[Setting], environment: Mapping[str, str]) -> str:
    """Return in a few words which settings have no effect in an environment; "" if all have."""
    if any(not setting.value for setting in settings):
        return "there is nothing to switch off"
    chosen = ask(environment)
    if isinstance(chosen, str):
        return chosen
    return "; ".join(
        f"{s.library} says {chosen[s.library]}, not {s.says}"
        for s in settings
        if chosen[s.library] != s.says
    )


class TestReport(NamedTuple):
    """The result of a test run."""

    passed: int
    failed: list[str]


def run_tests(tests: Sequence[str], environment: Mapping[str, str]) -> TestReport:
    """Run the tests. Raises: RuntimeError if pytest itself fails."""
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.xml"
        words = ["-q", "--tb=no", "-p", "no:cacheprovider", f"--junitxml={report}", *tests]
        done = subprocess.run(
            [sys.executable, "-m", "pytest", *words],
            env=environment,
            cwd=SCRIPTS.parent,
            capture_output=True,
            text=True,
        )
        if done.returncode not in (0, 1):
            raise RuntimeError(f"pytest ended with {done.returncode}:\n{done.stdout}{done.stderr}")
        cases = list(ElementTree.parse(report).iter("testcase"))
    failed = [
        f"{case.get('classname')}::{case.get('name')}"
        for case in cases
        if case.find("failure") is not None or case.find("error") is not None
    ]
    skipped = sum(case.find("skipped") is not None for case in cases)
    return TestReport(len(cases) - len(failed) - skipped, failed)


def main() -> int:
    """Run the tests in every configuration; return 1 if any fails."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--tests", nargs="+", default=[], metavar="PATH", help="default: all")
    parser.add_argument(
        "--configurations",
        nargs="+",
        choices=CONFIGURATIONS,
        metavar="NAME",
        default=list(CONFIGURATIONS),
        help=f"of {', '.join(CONFIGURATIONS)}",
    )
    arguments = parser.parse_args()
    plain = ask(plain_environment())
    if isinstance(plain, str):
        parser.error(f"this machine's own libraries cannot be asked: {plain}")
    print("this processor: " + "; ".join(f"{name} {said}" for name, said in sorted(plain.items())))
    print(f"{'configuration':22}{'passed':>8}{'failed':>8}{'seconds':>9}  in effect", flush=True)
    reports = []
    for name in arguments.configurations:
        settings = resolve(CONFIGURATIONS[name], plain)
        environment = plain_environment() | {s.variable: s.value for s in settings}
        if why := missing(settings, environment):
            print(f"{name:22}{'not run':>25}  {why}", flush=True)
            continue
        began = time.monotonic()
        report = run_tests(arguments.tests, environment)
        reports.append(report)
        seconds = time.monotonic() - began
        effect = " ".join(f"{s.variable}={s.value!r}" for s in settings)
        print(f"{name:22}{report.passed:8}{len(report.failed):8}{seconds:9.0f}  {effect}")
        print("".join(f"    failed: {test}\n" for test in report.failed), end="", flush=True)
    return int(not reports or any(report.failed for report in reports))


if __name__ == "__main__":
    sys.exit(main())
