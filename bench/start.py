# SPDX-License-Identifier: Apache-2.0
"""Start-up in a warm environment, by the clock: ``privyseal --help``, ``./run --help``, ``./run demo --once DIR``."""

from __future__ import annotations

import argparse
import subprocess
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from statistics import median

from processes import ROOT, python, verdict


def seconds_of(command: Sequence[str]) -> float:
    """Wall-clock seconds of one run that must succeed."""
    started = time.perf_counter()
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    taken = time.perf_counter() - started
    if done.returncode:
        said = done.stdout[-1000:] + done.stderr[-1000:]
        raise SystemExit(f"{' '.join(command)} ended with {done.returncode}:\n{said}")
    return taken


def judge(name: str, command: Sequence[str], limit: float, *, rounds: int) -> bool:
    """The median of some runs after one that warms the caches."""
    seconds_of(command)
    taken = [seconds_of(command) for _ in range(rounds)]
    print(f"{name}: {', '.join(f'{one:.2f}' for one in taken)} s")
    return verdict(f"{name} seconds", median(taken), f"less than {limit:g}", ok=median(taken) < limit)


def main() -> None:
    """Run, print, and end with 1 when a bar was missed (never in --quick)."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="one run of each, without the demo")
    quick = parser.parse_args().quick
    rounds = 1 if quick else 5
    ok = judge("privyseal --help", [python(), "-P", "-m", "privyseal", "--help"], 0.25, rounds=rounds)
    if not quick:
        ok &= judge("./run --help", [str(ROOT / "run"), "--help"], 2, rounds=rounds)
        with tempfile.TemporaryDirectory(prefix="privyseal-bench-") as place:
            seconds = []
            for attempt in range(4):
                seconds.append(seconds_of([str(ROOT / "run"), "demo", "--once", str(Path(place) / f"demo{attempt}")]))
            print(f"./run demo --once: {', '.join(f'{one:.2f}' for one in seconds)} s, the first not counted")
            taken = median(seconds[1:])
            ok &= verdict("./run demo --once seconds", taken, "less than 10", ok=taken < 10)
    if not ok and not quick:
        raise SystemExit(1)


if __name__ == "__main__":
    main()
