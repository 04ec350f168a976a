"""The stages of a run: each a function of a typed job, in a file with the stage's name."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmark.engine.node import Node
from benchmark.engine.worker import Inputs
from benchmark.stages.classify import ClassifyResult, classify
from benchmark.stages.data import DataResult, data
from benchmark.stages.fit import FitResult, fit
from benchmark.stages.gan_test import GanTestResult, gan_test
from benchmark.stages.generate import GenerateResult, generate
from benchmark.stages.job import Job
from benchmark.stages.learning_curve import LearningCurveResult, learning_curve
from benchmark.stages.measure import MeasureResult, measure
from benchmark.stages.pseudo_label import pseudo_label
from benchmark.stages.quality_filter import QualityFilterResult, quality_filter
from benchmark.stages.records import StageResult
from benchmark.stages.reference import ReferenceResult, reference
from benchmark.stages.select import SelectResult, select
from benchmark.utils.training_state import one_thread


@dataclass(frozen=True)
class Stage:
    """A stage's function, and what it returns."""

    function: Callable[[Job[Any]], StageResult]
    result: type[StageResult]


STAGES = {
    "data": Stage(data, DataResult),
    "pseudo_label": Stage(pseudo_label, DataResult),
    "reference": Stage(reference, ReferenceResult),
    "fit": Stage(fit, FitResult),
    "generate": Stage(generate, GenerateResult),
    "measure": Stage(measure, MeasureResult),
    "classify": Stage(classify, ClassifyResult),
    "learning_curve": Stage(learning_curve, LearningCurveResult),
    "select": Stage(select, SelectResult),
    "quality_filter": Stage(quality_filter, QualityFilterResult),
    "gan_test": Stage(gan_test, GanTestResult),
}


def run(
    node: Node, inputs: Inputs, out: Path, work: Path, progress: Callable[[float], None]
) -> dict[str, Any]:
    """Run a node's stage and write its ``result.json``.

    Args:
        inputs: folders of its inputs, by role.
        out: folder of its results.
        work: scratch folder that survives a crash.
        progress: called with the share that is done, 0 to 1.
    """
    job: Job[Any] = Job(node, inputs, out, work, progress)
    if node.stage != "data":  # data are drawn and read without torch
        one_thread()
    result = STAGES[node.stage].function(job)
    job.write(result)
    return result.record()
