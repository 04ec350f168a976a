"""Memory stays flat over many trainings in one process."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

from benchmark import arrow, stages
from benchmark.pipeline import Node
from benchmark.records import Splits
from samples import blobs

CLASSES = {"a": 24, "b": 24}
FIRST, MORE = 6, 14  # trainings before the memory counts, and after
BOUND = 0.2  # MB per training
CONFIG = {
    "classes": list(CLASSES),
    "labels": "single",
    "metric": "balanced_accuracy",
    "balance": "none",
    "recipe": {"name": "tiny", "timm": "resnet10t", "timm_kwargs": {"channels": [8, 8, 16, 16]},
               "weights": {"kind": "none"}, "augmentation": "mild_affine"},
    "budget": {"unit": "steps", "length": 3, "batch_size": 8, "evaluations": 1},
    "device": "cpu",
    "precision": "float32",
    "mix": {"training": "add"},
    "bracket": 12,
    "subgroups": [],
}  # fmt: skip


@pytest.fixture
def data(tmp_path):
    """Real and synthetic images on disk, as a run leaves them."""
    for name in ("data", "generate"):
        (tmp_path / name).mkdir()
    parts = [blobs(CLASSES, size=16, seed=i, prefix=f"s{i}") for i in range(4)]
    arrow.write_splits(tmp_path / "data", Splits(*parts))
    arrow.write_images(tmp_path / "generate" / "synthetic.arrow", blobs(CLASSES, size=16, seed=9, prefix="x"))
    return {"data": tmp_path / "data", "generate/noise": tmp_path / "generate"}


def held():
    """MB of this process's own pages; those of files, which other processes share or bring back, are not."""
    status = Path("/proc/self/status").read_text()
    return int(re.search(r"RssAnon:\s+(\d+) kB", status).group(1)) / 1024


def train(folder, inputs, seed):
    """One training as a worker does it: read, train, predict, write."""
    out, work = folder / f"out{seed}", folder / f"work{seed}"
    out.mkdir()
    work.mkdir()
    node = Node(f"classify/noise/12/tiny/{seed}", "classify", CONFIG, tuple(inputs), seed, "noise")
    stages.run(stages.Job(node, inputs, out, work))


def growth(folder, inputs, seeds, leak):
    """MB per training by which this process grows, by least squares; ``leak`` is kept from each."""
    found, kept = [], []
    for seed in seeds:
        train(folder, inputs, seed)
        kept.append(np.full(leak, seed, np.uint8))
        found.append(held())
    return float(np.polyfit(np.arange(len(found)), found, 1)[0])


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="Linux alone tells a process's own pages")
def test_trainings_leave_nothing_in_memory(data, tmp_path):
    """After the first few, a training leaves less than 0.2 MB; keeping half a megabyte is found out."""
    for seed in range(FIRST):
        train(tmp_path, data, seed)
    assert growth(tmp_path, data, range(FIRST, FIRST + MORE), leak=0) < BOUND
    assert growth(tmp_path, data, range(FIRST + MORE, FIRST + 2 * MORE), leak=2**19) > BOUND
