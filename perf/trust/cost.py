"""The share of a demo's CPU time that the copy detector takes.

    python -m perf.trust.cost [--task cxr_pneumonia]

Runs the demo in an empty store, then repeats what the detector did in it: the search over the real images
once, the gate once for every row. Both are CPU seconds, so that other work on the machine does not count.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from benchmark.images.arrow import read_images, read_splits
from benchmark.metrics.memorization.gate import memorization
from benchmark.metrics.memorization.real_copies import RealCopies
from perf.trust.rows import Row

MOST = 0.1  # of the demo's time


def demo(task: str, folder: Path) -> float:
    """Run the demo in a folder; return the CPU seconds of all its processes."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    tracking = f"sqlite:///{folder / 'mlflow.db'}"
    environ = os.environ | {"SYNTHTHORAX_STORE": str(folder / "store"), "MLFLOW_TRACKING_URI": tracking}
    command = [sys.executable, "-m", "benchmark", "run", "--task", task, "--out", str(folder / "out")]
    subprocess.run(command, env=environ, check=True, stdout=subprocess.DEVNULL)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def detector(store: Path) -> tuple[int, float]:
    """Repeat the detector's work of all rows in a store; return their number and the CPU seconds."""
    seconds, rows, known = 0.0, 0, dict[str, tuple[Any, RealCopies]]()
    for inputs in _inputs(store / "results" / "measure"):
        (data,), (made,) = inputs["data"], inputs["synthetic"]
        if data not in known:
            splits = read_splits(store / "results" / "data" / data)
            began = time.process_time()
            known[data] = splits.test.to_single_label(), RealCopies.of(splits, 0)
            seconds += time.process_time() - began
        synthetic = read_images(store / "results" / "generate" / made / "synthetic.arrow")
        began = time.process_time()
        memorization(synthetic, *known[data])
        seconds += time.process_time() - began
        rows += 1
    return rows, seconds


def _inputs(folder: Path) -> Iterator[dict[str, list[str]]]:
    for path in sorted(folder.glob("*/manifest.json")):
        yield json.loads(path.read_text())["inputs"]


def measure(task: str = "cxr_pneumonia") -> Iterator[Row]:
    """Yield the detector's share of a demo."""
    with tempfile.TemporaryDirectory() as work:
        whole = demo(task, Path(work))
        rows, own = detector(Path(work) / "store")
    share = own / whole
    measured = f"{100 * share:.1f} %: {own:.0f} of {whole:.0f} CPU seconds, {rows} rows"
    yield Row(f"cost of the detector in the demo of {task}", "at most 10 %", measured, share <= MOST)


def main() -> None:
    """Print what was measured."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--task", default="cxr_pneumonia")
    for row in measure(parser.parse_args().task):
        print(row, flush=True)


if __name__ == "__main__":
    main()
