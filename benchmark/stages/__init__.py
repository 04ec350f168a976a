"""What each stage does with its inputs: the one place where the stage folders meet."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from benchmark.engine.node import Node
from benchmark.stages.classify import classify, curve, write_predictions
from benchmark.stages.data import data, pseudo_label
from benchmark.stages.generate import (
    check_samples,
    drawn_counts,
    fit,
    generate,
    refuse_pickles,
    seen_by_generators,
)
from benchmark.stages.job import Job, first_line
from benchmark.stages.judging import gan_test, plausible, select
from benchmark.stages.measure import in_proportion, measure, reference
from benchmark.utils.files import write_json
from benchmark.utils.training_state import one_thread

STAGES: dict[str, Callable[[Job], dict[str, Any]]] = {
    "data": data,
    "pseudo_label": pseudo_label,
    "reference": reference,
    "fit": fit,
    "generate": generate,
    "measure": measure,
    "classify": classify,
    "curve": curve,
    "select": select,
    "filter": plausible,
    "gan_test": gan_test,
}

__all__ = [
    "STAGES",
    "Job",
    "check_samples",
    "classify",
    "curve",
    "data",
    "drawn_counts",
    "first_line",
    "fit",
    "gan_test",
    "generate",
    "in_proportion",
    "measure",
    "plausible",
    "pseudo_label",
    "reference",
    "refuse_pickles",
    "run",
    "seen_by_generators",
    "select",
    "write_predictions",
]  # fmt: skip


def run(
    node: Node, inputs: Mapping[str, Path], out: Path, work: Path, progress: Callable[[float], None]
) -> dict[str, Any]:
    """Run a node's stage and write its ``result.json``.

    Args:
        inputs: folders of the nodes that it needs, by their ids.
        out: folder of its results.
        work: scratch folder that survives a crash.
        progress: called with the share that is done, 0 to 1.
    """
    job = Job(node, inputs, out, work, progress)
    if job.node.stage != "data":  # data are drawn and read without torch
        one_thread()
    result = STAGES[job.node.stage](job)
    write_json(job.out / "result.json", result)
    return result
