"""Metric plug-ins as stages call them: their inputs, computed once for all of them, and their results."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from benchmark.errors import BenchmarkError, MetricError
from benchmark.images.image_set import ImageSet, Splits
from benchmark.plugins.metric import Direction, FeatureMaps, Metric, Need, Side, Sides, Unmeasured, Value
from benchmark.plugins.registry import Plugin
from benchmark.stages.job import Job, first_line
from benchmark.stages.measured_images import MeasuredImages, predicted_labels
from benchmark.stages.plugin import PluginReference
from benchmark.stages.records import MeasureCard
from benchmark.stages.segment import segmentation
from benchmark.stages.training import AddedImages, ClassifierStageConfig, evaluators

OF_EXTRACTOR = {"features", "feature_maps"}
OF_EVALUATORS = {"predictions", "predicted_labels"}
OF_SEGMENTER = {"found_masks", "segmented_classes"}


class MetricReference(PluginReference):
    """A metric plug-in with its parameters, its needs and its optional inputs, both in alphabetical order."""

    params: dict[str, Any]
    needs: tuple[Need, ...]
    optional: tuple[Need, ...] = ()

    @property
    def inputs(self) -> frozenset[Need]:
        """All inputs that it may read."""
        return frozenset({*self.needs, *self.optional})


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
class LoadedMetric:
    """A metric of a run; ``name`` is that of its figure, with the extractor if it reads its features."""

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

    def __call__(self, real: MeasuredImages, fake: MeasuredImages) -> Value | Unmeasured:
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
        if isinstance(value, Unmeasured):
            return value
        if not isinstance(value, Value):
            problem = f"measure() gave {type(value).__name__}, expected a Value"
            raise MetricError(where, problem, "Use plugins.metric.Value.")
        bounds = {name: sum(interval) for name, interval in value.intervals.items()}
        figures = {"value": value.value, **value.per_class, **value.details, **bounds}
        if wrong := [name for name, figure in figures.items() if not math.isfinite(figure)]:
            raise MetricError(
                where, f"measure() gave {figures[wrong[0]]} for '{wrong[0]}'", "Give finite values."
            )
        if unknown := sorted({*value.per_class, *value.intervals} - {*fake.images.classes}):
            raise MetricError(where, f"measure() gave a value of '{unknown[0]}', which is no class")
        return value

    def _side(self, images: MeasuredImages) -> Side:
        return Side(images.images.label, images.images.classes, images.given(self.reference.inputs))


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
            extractor=config.extractor if OF_EXTRACTOR & reference.inputs else None,
        )
        metric = module.Metric(module.Params(**reference.params), config.device)
        loaded.append(LoadedMetric(reference, metric, card))
    return loaded


def maps_of(config: MeasuringConfig) -> FeatureMaps:
    """Return the function that computes features by position, by the run's extractor."""
    from benchmark.metrics.extractor.features import feature_maps

    return partial(feature_maps, extractor=config.extractor, device=config.device)


def with_inputs(
    images: ImageSet,
    metrics: Iterable[LoadedMetric],
    job: Job[MeasuringConfig],
    splits: Splits,
    sources: Callable[[ImageSet], Any],
) -> MeasuredImages:
    """Compute what these metrics read of images, each input once.

    Args:
        sources: returns the source image of each image, or None.
    """
    from benchmark.metrics.extractor.features import features

    config, needs = job.config, {need for metric in metrics for need in metric.reference.inputs}
    scores = labels = None
    if needs & OF_EVALUATORS:
        assert config.evaluating is not None
        networks = evaluators(job, splits, config.evaluating)
        scores = np.stack([network.scores(images) for network in networks])
        if "predicted_labels" in needs:
            labels = predicted_labels(scores, networks, splits.val)
    segmented = segmentation(job, images, config.device) if needs & OF_SEGMENTER else None
    return MeasuredImages(
        images,
        splits.train.multilabel,
        features=features(images.image, config.extractor, config.device) if "features" in needs else None,
        feature_maps=maps_of(config),
        predictions=scores,
        predicted_labels=labels,
        sources=sources(images) if "sources" in needs else None,
        found_masks=None if segmented is None else segmented[0],
        segmented_classes=None if segmented is None else segmented[1],
    )
