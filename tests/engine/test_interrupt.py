"""The end of a run from outside: its workers, and what they have started, end with it."""

import os
import signal
import subprocess
import sys
import time

import psutil
import pytest

from support.samples import ROOT, heed_signals

BODY = """
import sys
from pathlib import Path
from benchmark.engine.node import Graph, Node
from benchmark.engine.runner import execute
from benchmark.engine.store import Store
from benchmark.utils.signals import Interrupted, ended_by_signals
from support.acts import ActConfig, act

if __name__ == "__main__":
    try:
        with ended_by_signals():
            graph = Graph([Node("a", ActConfig(act="wait_with_a_child", n=1))])
            execute(graph, Store(Path("store")), act, workers=1)
    except Interrupted as stop:
        sys.exit(stop.status)
"""


@pytest.mark.parametrize(
    ("number", "status"), [("SIGINT", 130), ("SIGTERM", 143), ("SIGHUP", 129), ("SIGKILL", -9)]
)
def test_workers_end_with_a_run(tmp_path, number, status):
    """A signal to all processes of a terminal, or a kill of the run, leaves no process and no traceback."""
    (tmp_path / "body.py").write_text(BODY)
    path = os.pathsep.join([str(ROOT), str(ROOT / "tests")])
    environ = os.environ | {"PYTHONPATH": path, "CHILD": str(tmp_path / "child")}
    run = subprocess.Popen(
        [sys.executable, "body.py"], cwd=tmp_path, env=environ, stderr=subprocess.PIPE, text=True,
        start_new_session=True, preexec_fn=heed_signals,
    )  # fmt: skip
    until = time.monotonic() + 60
    while not (tmp_path / "child").exists() and time.monotonic() < until:
        time.sleep(0.05)
    processes = psutil.Process(run.pid).children(recursive=True)
    assert int((tmp_path / "child").read_text()) in [process.pid for process in processes]
    if number in ("SIGINT", "SIGHUP"):  # of a terminal
        os.killpg(run.pid, getattr(signal, number))
    else:
        run.send_signal(getattr(signal, number))
    assert run.wait(timeout=60) == status
    _, alive = psutil.wait_procs(processes, timeout=20)
    assert alive == []
    errors = run.stderr.read()  # after a SIGKILL Python's resource tracker may note that it cleans up
    assert "Traceback" not in errors if number == "SIGKILL" else errors == ""
