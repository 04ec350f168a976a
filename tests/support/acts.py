"""Stages for the tests of the runner, importable by name in spawned workers."""

from __future__ import annotations

import os
import resource
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from benchmark.engine.node import Node, StageConfig
from benchmark.engine.worker import Inputs, Log, Progress
from benchmark.errors import DataError, GeneratorError
from benchmark.utils.files import write_text
from benchmark.utils.signals import end_if_asked


class ActConfig(StageConfig, stage="act", version="1", imports=()):
    """Name of an act, and a number."""

    act: str
    n: int


class OnDeviceConfig(StageConfig, stage="fit", version="1", imports=()):
    """A stage that names its device."""

    device: str


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
        log(step, work / "grid.png")
    until = time.monotonic() + 30
    while not Path(os.environ["SEEN"]).exists():
        assert time.monotonic() < until, "nobody saw the entries"
        time.sleep(0.05)
    return {"n": 0}


def write_too_much(node, inputs, out, work, progress, log):
    """Write more than the system lets this process write, and blame the generator, as plug-ins do."""
    _, most = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (2**16, most))
    try:
        (out / "large").write_bytes(bytes(2**20))
    except OSError as error:
        raise GeneratorError("generator 'x'", f"fit() raised {error}") from error


def remove_store(node, inputs, out, work, progress, log):
    """Remove the store, as a user does by mistake, and fail as a stage does then."""
    shutil.rmtree(work.parents[2])
    (out / "n.txt").write_text("1")


def remove_inputs(node, inputs, out, work, progress, log):
    """Remove the results of the other stages, and fail as a stage does then."""
    shutil.rmtree(work.parents[2] / "results")
    return square(node, inputs, out, work, progress, log)


def fail_in_its_own_way(node, *_):
    """Raise an error whose message names the node's number, from one line."""
    raise KeyError(f"no entry {node.config.n} of node {node.id}")


def wait_with_a_child(node, inputs, out, work, progress, log):
    """Start a process, as a plug-in may, write its id to the file CHILD, and wait."""
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(120)"])
    write_text(Path(os.environ["CHILD"]), str(child.pid))
    time.sleep(120)


def count_to_ten(node, inputs, out, work, progress, log):
    """Append the numbers 0 to 9 to a file, and heed a request to leave the machine after each."""
    file = work / "numbers"
    done = len(file.read_text().split()) if file.exists() else 0
    for number in range(done, 10):
        with open(file, "a") as numbers:
            numbers.write(f"{number} ")
        progress((number + 1) / 10)
        time.sleep(0.2)
        end_if_asked()
    shutil.copy(file, out / "n.txt")
    return {"n": 10}


def die_always(*_):
    os.kill(os.getpid(), signal.SIGKILL)


ACTS = {
    f.__name__: f
    for f in (
        square, slow, raise_benchmark_error, raise_runtime_error, die_once, die_always, log_until_seen,
        write_too_much, remove_store, remove_inputs, fail_in_its_own_way, wait_with_a_child,
        count_to_ten,
    )
}  # fmt: skip


def act(node: Node, inputs: Inputs, out: Path, work: Path, progress: Progress, log: Log) -> dict[str, Any]:
    """Run the act that the node's configuration names."""
    return ACTS[node.config.act](node, inputs, out, work, progress, log)
