"""Memory use over many trainings in one process."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from benchmark import stages
from benchmark.engine.node import Node
from benchmark.images import arrow
from benchmark.images.image_set import Splits
from benchmark.stages.classify import ClassifyConfig
from support.samples import ROOT, blobs

CLASSES = {"a": 24, "b": 24}
FIRST, MORE = 20, 14  # trainings before the memory counts, and after
BOUND = 0.2  # MB per training
CONFIG = ClassifyConfig.model_validate({
    "classes": list(CLASSES),
    "labels": "single",
    "metric": "balanced_accuracy",
    "balance": "none",
    "classifier": {"name": "tiny", "timm": "resnet10t", "timm_kwargs": {"channels": [8, 8, 16, 16]},
               "weights": {"kind": "none"}, "augmentation": "mild_affine"},
    "budget": {"unit": "steps", "length": 3, "batch_size": 8, "evaluations": 1},
    "device": "cpu",
    "precision": "float32",
    "mix": {"training": "add"},
    "bracket": 12,
})  # fmt: skip


@pytest.fixture
def data(tmp_path):
    """Return real and synthetic images on disk, as a run leaves them."""
    for name in ("data", "generate"):
        (tmp_path / name).mkdir()
    parts = [blobs(CLASSES, size=16, seed=i, prefix=f"s{i}") for i in range(4)]
    arrow.write_splits(tmp_path / "data", Splits(*parts))
    arrow.write_images(tmp_path / "generate" / "synthetic.arrow", blobs(CLASSES, size=16, seed=9, prefix="x"))
    return tmp_path


def held():
    """Return MB of this process's private pages.

    Pages of files are left out: the system shares or reloads them.
    """
    status = Path("/proc/self/status").read_text()
    return int(re.search(r"RssAnon:\s+(\d+) kB", status).group(1)) / 1024


def train(folder, inputs, seed):
    """Run one training as a worker does: read, train, predict, write."""
    out, work = folder / f"out{seed}", folder / f"work{seed}"
    out.mkdir()
    work.mkdir()
    name = f"classify/noise/12/tiny/{seed}"
    node = Node(name, CONFIG, {}, seed=seed, row="noise", bracket=12, classifier="tiny")
    stages.run(node, inputs, out, work, lambda share: None, lambda step, scalars: None)


def growth(folder, inputs, seeds, leak):
    """Return MB per training by which memory grows, by least squares; each training leaks ``leak`` bytes."""
    megabytes, leaked = [], []
    for seed in seeds:
        train(folder, inputs, seed)
        leaked.append(np.full(leak, seed, np.uint8))
        megabytes.append(held())
    return float(np.polyfit(np.arange(len(megabytes)), megabytes, 1)[0])


def growths(folder):
    """Return MB per training after the first few, and the same with a leak of half a megabyte each."""
    inputs = {"data": (folder / "data",), "synthetic": (folder / "generate",)}
    for seed in range(FIRST):
        train(folder, inputs, seed)
    clean = growth(folder, inputs, range(FIRST, FIRST + MORE), leak=0)
    return [clean, growth(folder, inputs, range(FIRST + MORE, FIRST + 2 * MORE), leak=2**19)]


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="Linux alone tells a process's own pages")
def test_trainings_do_not_leak_memory(data):
    """A training leaks less than 0.2 MB, and a leak of half a megabyte is detected."""
    paths = os.pathsep.join([str(ROOT), str(ROOT / "tests")])
    completed = subprocess.run(
        [sys.executable, __file__, str(data)],
        env=os.environ | {"PYTHONPATH": paths, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=True,
    )
    clean, leaking = json.loads(completed.stdout.splitlines()[-1])
    assert clean < BOUND < leaking


if __name__ == "__main__":
    print(json.dumps(growths(Path(sys.argv[1]))))
