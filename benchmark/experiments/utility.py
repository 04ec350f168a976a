"""Utility of a generator's images on ``val``: what a search may look at instead of the test split."""

from __future__ import annotations

import shutil
from collections.abc import Callable, MutableMapping
from pathlib import Path
from typing import Any

import numpy as np

from benchmark.engine.node import Graph, Node
from benchmark.engine.worker import Inputs
from benchmark.errors import TaskError
from benchmark.images import arrow
from benchmark.images.image_set import Splits
from benchmark.planning.plan import Plan
from benchmark.stages.classify import ClassifyConfig
from benchmark.stages.generate import generate
from benchmark.stages.job import DATA, SYNTHETIC_IMAGES, Job
from benchmark.stages.sample import sample
from benchmark.stages.training import training_config


def check_utility(plan: Plan) -> None:
    """Refuse a task whose trainings need more than the images of a fit.

    Raises:
        TaskError: the task filters images by classifiers that were trained before.
    """
    if plan.task.mix.filter != "none":
        where, problem = (
            "--objective",
            f"utility is not searched where images are filtered ({plan.task.name})",
        )
        raise TaskError(where, problem, "Use --objective fid.")


def val_utility(
    graph: Graph,
    row: str,
    inputs: Callable[[Node], Inputs],
    folders: MutableMapping[str, Path],
    work: Path,
) -> float:
    """Return the primary metric on ``val``, at the best epoch, mean over classifiers and seeds.

    Args:
        graph: with the trainings of the row in the primary bracket.
        inputs: folders of a node's inputs.
        folders: of results by node; those of drawn images are added, below ``work``.
    """
    for stage, function in (("sample", sample), ("generate", generate)):
        for number, node in enumerate(graph.find(stage, row)):
            out, scratch = work / f"{stage}-{number}", work / f"{stage}-{number}-scratch"
            for folder in (out, scratch):
                shutil.rmtree(folder, ignore_errors=True)
                folder.mkdir()
            job: Job[Any] = Job(node, inputs(node), out, scratch)
            job.write(function(job))
            folders[node.id] = out
    trainings = graph.find("classify", row)
    values = [_train(node, inputs(node), work / f"train-{i}") for i, node in enumerate(trainings)]
    return sum(values) / len(values)


def _train(node: Node, inputs: Inputs, work: Path) -> float:
    from benchmark.classifiers import sampling
    from benchmark.classifiers import train as training
    from benchmark.classifiers.metrics import metric_values

    work.mkdir(exist_ok=True)
    job: Job[ClassifyConfig] = Job(node, inputs, work, work)
    config, own = job.config, training_config(job)
    known = arrow.read_learning(job.input(DATA), reserve=False)
    nothing = known.val.select([])
    splits = Splits(known.train, known.val, test=nothing, reserve=nothing)
    synthetic = job.synthetic() if SYNTHETIC_IMAGES in inputs else None
    images = sampling.training_images(splits, synthetic, config.mix, config.bracket, config.classes)
    trained = training.train(images.real, images.train, images.val, own)
    scores = training.predict(trained.network, known.val, own, training.normalization(images.real.image))
    label = known.val.label
    certain = np.arange(len(label)) if known.val.multilabel else np.flatnonzero(label < scores.shape[1])
    return metric_values(label[certain], scores[certain])[config.metric]
