"""Four runs at once on one store: nothing is computed twice, nothing is lost."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter

import pytest

from benchmark.engine.store import Store
from support.samples import ROOT

pytestmark = pytest.mark.slow
NODES = 12
BODY = """
import json, sys
from pathlib import Path
from benchmark.engine.node import Graph, Node
from benchmark.engine.runner import execute
from benchmark.engine.store import Store
from support.acts import ActConfig, act

if __name__ == "__main__":
    nodes = [Node("data", ActConfig(act="square", n=100))]
    nodes += [Node(f"t{k}", ActConfig(act="slow", n=k), {"terms": ("data",)}) for k in range(1, COUNT)]
    outcome = execute(Graph(nodes), Store(Path("store")), act, workers=1)
    results = {n: (r.folder / "n.txt").read_text() for n, r in outcome.results.items()}
    print(json.dumps([outcome.computed, results]))
"""


def start(folder) -> subprocess.Popen[str]:
    path = os.pathsep.join([str(ROOT), str(ROOT / "tests"), os.environ.get("PYTHONPATH", "")])
    return subprocess.Popen(
        [sys.executable, "body.py"], cwd=folder, env=os.environ | {"PYTHONPATH": path},
        stdout=subprocess.PIPE, text=True,
    )  # fmt: skip


@pytest.mark.parametrize("killed", [0, 2])
def test_four_runs_divide_the_work(tmp_path, killed):
    """Each result is computed by one run and read by all; runs that are killed leave theirs to the others."""
    (tmp_path / "body.py").write_text(BODY.replace("COUNT", str(NODES)))
    runs = [start(tmp_path) for _ in range(4)]
    if killed:
        until = time.monotonic() + 60
        while not list((tmp_path / "store").glob("results/act/*")) and time.monotonic() < until:
            time.sleep(0.1)
        for run in runs[:killed]:
            run.send_signal(signal.SIGKILL)
    texts = [run.communicate(timeout=300)[0] for run in runs]
    answers = [json.loads(text) for text in texts if text]
    assert len(answers) >= 4 - killed
    expected = {"data": str(100**2)} | {f"t{k}": str(100**2 + k**2) for k in range(1, NODES)}
    assert all(results == expected for _, results in answers)
    computed = Counter(name for names, _ in answers for name in names)
    assert max(computed.values()) == 1
    if not killed:
        assert computed == Counter(expected.keys())
    store = Store(tmp_path / "store")
    assert len(store.folders()) == NODES
    assert not [folder for folder in (store.root / "work").iterdir() if "run-" not in folder.name]
