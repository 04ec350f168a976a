"""Metric plug-ins as stages call them: their inputs, computed once for all of them, and their results."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np

from benchmark.errors import BenchmarkError, MetricError
from benchmark.images.image_set import ImageSet, Splits
from benchmark.plugins.metric import Direction, Metric, Need, Side, Sides, Value
from benchmark.plugins.registry import Plugin
from benchmark.stages.job import Job, first_line
from benchmark.stages.plugin import PluginReference
from benchmark.stages.records import MeasureCard
from benchmark.stages.training import AddedImages, ClassifierStageConfig, evaluators


class MetricReference(PluginReference):
    """A metric plug-in with its parameters and its needs, in the order of their names."""

    params: dict[str, Any]
    needs: tuple[Need, ...]


class MeasuringConfig(AddedImages):
    """Configuration of the stages that measure images.

    Attributes:
        evaluating: training of the evaluators, where a metric needs predictions; else None.
    """

    extractor: str
    extractor_hash: str
    metrics: tuple[MetricReference, ...]
    evaluating: ClassifierStageConfig | None = None
    device: str


@dataclass(frozen=True, eq=False)
class MeasuredImages:
    """Images with what metrics read of them; what no metric needs is None.

    Attributes:
        features: (N, D) of the run's extractor.
        predictions: (E, N, K) of the evaluators.
    """

    images: ImageSet
    features: np.ndarray | None = None
    predictions: np.ndarray | None = None

    def select(self, index: np.ndarray) -> MeasuredImages:
        """Return the images at these indices."""
        features = None if self.features is None else self.features[index]
        predictions = None if self.predictions is None else self.predictions[:, index]
        return MeasuredImages(self.images.select(index), features, predictions)

    def given(self, needs: Iterable[Need]) -> dict[Need, Any]:
        """Return the inputs by need; None for what these images do not have."""
        images = self.images
        every: dict[Need, Any] = {
            "features": self.features, "images": images.image, "masks": images.mask,
            "prompts": images.prompt, "predictions": self.predictions,
        }  # fmt: skip
        return {need: every[need] for need in needs}

    def missing(self, needs: Iterable[Need]) -> list[Need]:
        """Return the needs that these images do not meet."""
        return [need for need, column in self.given(needs).items() if column is None]


@dataclass(frozen=True, eq=False)
class LoadedMetric:
    """A metric of a run; ``name`` is that of its figure, with the extractor if it reads features."""

    reference: MetricReference
    metric: Metric
    card: MeasureCard

    @property
    def name(self) -> str:
        """Name of the figure in a bundle."""
        return self.reference.name + (f"_{self.card.extractor}" if self.card.extractor else "")

    @property
    def needs(self) -> tuple[Need, ...]:
        return self.reference.needs

    @property
    def direction(self) -> Direction:
        return self.metric.direction

    @property
    def sides(self) -> Sides:
        return self.metric.sides

    @property
    def fewest(self) -> int:
        """Images of each matched side, below which the figure is missing."""
        return getattr(self.metric, "fewest", 1)

    def __call__(self, real: MeasuredImages, fake: MeasuredImages) -> Value:
        """Measure two sides that meet the metric's needs.

        Raises:
            MetricError: the metric failed, or gave something else than a finite value of known classes.
        """
        where = f"metric '{self.reference.name}'"
        try:
            value = self.metric.measure(*(self._side(images) for images in (real, fake)))
        except BenchmarkError:
            raise
        except Exception as error:  # a third party's code may raise anything
            raise MetricError(
                where,
                f"measure() raised {type(error).__name__}: {first_line(error)}",
                "Fix the metric; the whole traceback is in the logs folder of the store.",
            ) from error
        if not isinstance(value, Value):
            problem = f"measure() gave {type(value).__name__}, expected a Value"
            raise MetricError(where, problem, "Use plugins.metric.Value.")
        figures = {"value": value.value, **value.per_class, **value.details}
        if wrong := [name for name, figure in figures.items() if not math.isfinite(figure)]:
            raise MetricError(
                where, f"measure() gave {figures[wrong[0]]} for '{wrong[0]}'", "Give finite values."
            )
        if unknown := sorted(set(value.per_class) - {*fake.images.classes}):
            raise MetricError(where, f"measure() gave a value of '{unknown[0]}', which is no class")
        return value

    def _side(self, images: MeasuredImages) -> Side:
        return Side(images.images.label, images.images.classes, images.given(self.needs))


def load_metrics(config: MeasuringConfig) -> list[LoadedMetric]:
    """Import the metrics of a run.

    Raises:
        TaskError: one cannot be imported.
    """
    loaded = []
    for reference in config.metrics:
        module = Plugin("metrics", reference.name, reference.origin, reference.target).load()
        about = {name: str(module.card.get(name, "")) for name in ("title", "description", "citation")}
        card = MeasureCard(
            **about,
            version=reference.version,
            params=reference.params,
            extractor=config.extractor if "features" in reference.needs else None,
        )
        metric = module.Metric(module.Params(**reference.params), config.device)
        loaded.append(LoadedMetric(reference, metric, card))
    return loaded


def with_inputs(
    images: ImageSet, metrics: Iterable[LoadedMetric], job: Job[MeasuringConfig], splits: Splits
) -> MeasuredImages:
    """Compute the features and predictions of images that these metrics need, each once."""
    from benchmark.metrics.extractor.features import features

    config, needs = job.config, {need for metric in metrics for need in metric.needs}
    read = features(images.image, config.extractor, config.device) if "features" in needs else None
    predicted = None
    if "predictions" in needs:
        assert config.evaluating is not None
        predicted = np.stack([e.scores(images) for e in evaluators(job, splits, config.evaluating)])
    return MeasuredImages(images, read, predicted)
