"""The stages of a run: each a function of a typed job, in a file with the stage's name."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, cast, get_args, get_type_hints

from benchmark.engine.node import Node, StageConfig
from benchmark.engine.worker import Inputs, Log, Progress
from benchmark.stages.classify import classify
from benchmark.stages.data import data
from benchmark.stages.fit import fit
from benchmark.stages.gan_test import gan_test
from benchmark.stages.generate import generate
from benchmark.stages.guide import guide
from benchmark.stages.job import Job
from benchmark.stages.learning_curve import learning_curve
from benchmark.stages.measure import measure
from benchmark.stages.pseudo_label import pseudo_label
from benchmark.stages.quality_filter import quality_filter
from benchmark.stages.records import StageResult
from benchmark.stages.reference import reference
from benchmark.stages.resized_data import resized_data
from benchmark.stages.sample import sample
from benchmark.stages.segment import segment
from benchmark.stages.select import select
from benchmark.utils.training_state import one_thread

FUNCTIONS: tuple[Callable[[Job[Any]], StageResult], ...] = (
    data, pseudo_label, resized_data, reference, guide, fit, sample, generate, measure, classify,
    learning_curve, select, quality_filter, gan_test, segment,
)  # fmt: skip
STAGES = {function.__name__: function for function in FUNCTIONS}


def result_type(stage: str) -> type[StageResult]:
    """Return the type of what a stage reports, by the annotation of its function."""
    kind: type[StageResult] = get_type_hints(STAGES[stage])["return"]
    return kind


def config_type(stage: str) -> type[StageConfig]:
    """Return the type of a stage's configuration, which has its version, by the annotation of its job."""
    (kind,) = get_args(get_type_hints(STAGES[stage])["job"])
    return cast(type[StageConfig], kind)


def run(node: Node, inputs: Inputs, out: Path, work: Path, progress: Progress, log: Log) -> dict[str, Any]:
    """Run a node's stage and write its ``result.json``.

    Args:
        inputs: folders of its inputs, by role.
        out: folder of its results.
        work: scratch folder that survives a crash.
        progress: called with the share that is done, 0 to 1.
        log: called with a step and scalars by name.
    """
    job: Job[Any] = Job(node, inputs, out, work, progress, log)
    if node.config.imports:  # data are drawn and read without torch
        one_thread()
    result = STAGES[node.stage](job)
    job.write(result)
    return result.record()
