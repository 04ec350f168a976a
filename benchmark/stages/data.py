"""Load a source, apply the scenario's rules, and prove the splits disjoint."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from pydantic import Field

from benchmark.engine.node import StageConfig
from benchmark.errors import DataError
from benchmark.images import arrow, plots
from benchmark.images.disjoint import prove_disjoint
from benchmark.images.gray_levels import note_few_levels
from benchmark.images.image_set import Splits
from benchmark.plugins.registry import import_target
from benchmark.protocol import load as loading
from benchmark.protocol import scenario
from benchmark.protocol.rules.label_policy import of_training_patients
from benchmark.stages.job import UNLABELED, Job
from benchmark.stages.records import SplitSummary, StageResult
from benchmark.tasks.rules import Rule
from benchmark.tasks.schema import SplitRule


class SourceStageConfig(StageConfig):
    """Configuration of a stage that reads the source.

    Attributes:
        fingerprint: of the source's files or parameters; it stands for ``paths`` in the cache key.
        target: module of the source, or path of its file.
        paths: parameters of the source that say where the data lie.
    """

    source: str
    source_version: str
    fingerprint: str
    params: dict[str, Any]
    classes: tuple[str, ...]
    image_size: int
    scenario: dict[str, Rule]
    reserve_per_class: int
    target: str = Field(exclude=True)
    paths: dict[str, str] = Field(exclude=True)


class DataConfig(SourceStageConfig, stage="data", version="3", seconds=10.0, imports=()):
    """Configuration of ``data``."""

    labels: Literal["single", "multilabel"]
    split: SplitRule


class DataResult(StageResult):
    """Classes, splits and notes of the data; ``proof`` shows that splits share no patient and no image."""

    proof: dict[str, Any]
    classes: list[str]
    splits: dict[str, SplitSummary]


def data(job: Job[DataConfig]) -> DataResult:
    """Load the source, apply the rules, write the splits, and prove that they are disjoint."""
    config = job.config
    module = import_target(config.target)
    params = module.Params(**{**config.params, **config.paths})
    request: Mapping[str, Any] = {
        "classes": config.classes,
        "image_size": config.image_size,
        "reserve_per_class": config.reserve_per_class,
        "seed": job.node.seed,
    }
    splits = loading.load(
        module,
        params,
        **request,
        name=config.source,
        split=config.split,
        before=scenario.before_split(config.scenario),
        on_train=scenario.on_train(config.scenario, seed=job.node.seed),
    )
    arrow.write_splits(job.out, splits)  # pixels are drawn and decoded here, once
    uncertain = scenario.uncertain_before_split(config.scenario)
    if uncertain is not None:
        unlabeled = of_training_patients(uncertain(module.images(params, **request)), splits)
        arrow.write_images(job.out / UNLABELED, unlabeled)
    return describe(job.out, config.source, config.classes, config.labels)


def describe(folder: Path, source: str, classes: tuple[str, ...], labels: str) -> DataResult:
    """Prove the splits in a folder disjoint, draw a sample of them, and report what they hold.

    Raises:
        DataError: two splits share a patient or an image, or a class has no image.
    """
    splits = arrow.read_splits(folder)
    if splits.train.multilabel != (labels == "multilabel"):
        actual = "several labels" if splits.train.multilabel else "one label"
        raise DataError(
            f"source {source}",
            f"has {actual} per image, the task's labels are '{labels}'",
            "Choose another source, or add a label_policy to the task's scenario.",
        )
    _check_classes(splits, source, classes)
    proof = prove_disjoint(splits)
    plots.sample_grid(splits.train.to_single_label(), folder / "grid.png")
    return DataResult(
        proof=proof,
        notes=[*splits.notes, *note_few_levels(splits.named().values())],
        classes=[c for c in splits.train.classes if c in classes],
        splits={
            name: SplitSummary(
                images=len(images),
                patients=len(images.patients()),
                counts=images.counts(),
                hash=images.content_hash(),
            )
            for name, images in splits.named().items()
        },
    )


def _check_classes(splits: Splits, source: str, classes: tuple[str, ...]) -> None:
    """Require an image of every class of the task in every split that is trained or tested on."""
    for name, images in splits.named().items():
        rare = images.multilabel and name == "val"  # a mean over the classes that val has
        for label, count in images.counts().items():
            if count == 0 and name != "reserve" and not rare and label in classes:
                raise DataError(
                    f"source {source}: split {name}", f"class '{label}' has no image", "Exclude it."
                )
