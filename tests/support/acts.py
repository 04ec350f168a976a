"""Stages for the tests of the runner, importable by name in spawned workers."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path
from typing import Any

from benchmark.engine.node import Node, StageConfig
from benchmark.engine.worker import Inputs, Log, Progress
from benchmark.errors import DataError


class ActConfig(StageConfig, stage="act", version="1", imports=()):
    """Name of an act, and a number."""

    act: str
    n: int


class LaterConfig(ActConfig, stage="later", version="1", imports=()):
    """An act of another stage."""


def square(node, inputs, out, work, progress, log):
    """Write the square of the node's number plus the sum of its inputs."""
    total = sum(int((folder / "n.txt").read_text()) for each in inputs.values() for folder in each)
    (out / "n.txt").write_text(str(total + node.config.n**2))
    progress(0.5)
    log(node.config.n, {"total": float(total)})
    return {"n": total}


def raise_benchmark_error(*_):
    raise DataError("here", "is wrong", "mend it")


def raise_runtime_error(*_):
    raise RuntimeError("a bug")


def slow(*job):
    """Run long enough to be at work when another worker dies."""
    time.sleep(1.5)
    return square(*job)


def die_once(node, inputs, out, work, progress, log):
    flag = work / "was_here"
    if not flag.exists():
        flag.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return square(node, inputs, out, work, progress, log)


def log_until_seen(node, inputs, out, work, progress, log):
    """Log two steps, and end when the test has written the file SEEN."""
    for step in (1, 2):
        log(step, {"loss": 0.5**step})
    until = time.monotonic() + 30
    while not Path(os.environ["SEEN"]).exists():
        assert time.monotonic() < until, "nobody saw the entries"
        time.sleep(0.05)
    return {"n": 0}


def die_always(*_):
    os.kill(os.getpid(), signal.SIGKILL)


ACTS = {
    f.__name__: f
    for f in (
        square, slow, raise_benchmark_error, raise_runtime_error, die_once, die_always, log_until_seen,
    )
}  # fmt: skip


def act(node: Node, inputs: Inputs, out: Path, work: Path, progress: Progress, log: Log) -> dict[str, Any]:
    """Run the act that the node's configuration names."""
    return ACTS[node.config.act](node, inputs, out, work, progress, log)
