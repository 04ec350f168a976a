"""Measure the first and the second run of the demo, as separate processes.

    python perf/demo.py [--profile demo] [--workers N] [--keep FOLDER]

Prints wall seconds, the peak of the summed resident memory of all processes, the share of the time
spent in tracking, and whether the second run wrote the same bytes.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psutil

PAGES = ("leaderboard.md", "leaderboard.json", "leaderboard.html")
TARGETS = {"first_seconds": 720, "peak_gb": 6.0, "second_seconds": 30, "tracking_share": 0.02}


def resident(process: psutil.Process) -> int:
    """Return the resident bytes of a process and its children; shared pages count once per process."""
    total = 0
    for part in [process, *process.children(recursive=True)]:
        try:
            total += part.memory_info().rss
        except psutil.NoSuchProcess:
            continue
    return total


def timed(command: list[str], folder: Path) -> tuple[float, float]:
    """Run a command; return wall seconds and peak GB."""
    environ = os.environ | {
        "SYNTHTHORAX_STORE": str(folder / "store"),
        "MLFLOW_TRACKING_URI": f"sqlite:///{folder / 'mlflow.db'}",
    }
    began, peak = time.monotonic(), 0
    with subprocess.Popen(command, env=environ, cwd=folder) as child:
        process = psutil.Process(child.pid)
        while child.poll() is None:
            peak = max(peak, resident(process))
            time.sleep(0.2)
    if child.returncode:
        sys.exit(f"the run ended with status {child.returncode}")
    return time.monotonic() - began, peak / 2**30


def tracking_share(folder: Path) -> float:
    """Return the share of the first run's time spent in tracking calls, as recorded by its parent run."""
    from mlflow.tracking import MlflowClient

    client = MlflowClient(f"sqlite:///{folder / 'mlflow.db'}")
    runs = client.search_runs([e.experiment_id for e in client.search_experiments()], max_results=1000)
    parents = [r for r in runs if "mlflow.parentRunId" not in r.data.tags]
    return float(min(parents, key=lambda r: r.info.start_time).data.metrics["tracking_share"])


def main() -> None:
    """Run the demo twice and print the figures."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--task", default="cxr_pneumonia")
    parser.add_argument("--profile", default="demo")
    parser.add_argument("--workers")
    parser.add_argument("--keep", type=Path, help="use this folder and do not delete it")
    options = parser.parse_args()
    folder = options.keep or Path(tempfile.mkdtemp(prefix="synththorax-demo-"))
    folder.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, "-m", "benchmark", "run", "--task", options.task, "--profile", options.profile]
    command += ["--workers", options.workers] if options.workers else []
    figures: dict[str, float | bool] = {}
    pages = []
    for turn in ("first", "second"):
        figures[f"{turn}_seconds"], peak = timed([*command, "--out", str(folder / turn)], folder)
        figures["peak_gb"] = max(float(figures.get("peak_gb", 0)), peak)
        pages.append([(folder / turn / page).read_bytes() for page in PAGES])
    figures["same_bytes"] = pages[0] == pages[1]
    figures["tracking_share"] = tracking_share(folder)
    for name, value in figures.items():
        target = f" (target: at most {TARGETS[name]})" if name in TARGETS else ""
        print(f"{name}: {value if isinstance(value, bool) else round(value, 4)}{target}")
    (folder / "figures.json").write_text(json.dumps(figures, indent=1) + "\n")


if __name__ == "__main__":
    main()
