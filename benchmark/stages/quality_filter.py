"""Drop synthetic images that the evaluators take for another class."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from benchmark.errors import DataError
from benchmark.images import arrow, plots
from benchmark.images.image_set import ImageSet
from benchmark.stages.generate import ImagesResult
from benchmark.stages.job import SYNTHETIC, Job
from benchmark.stages.records import FilterRate, Measure
from benchmark.stages.training import AddedImages, ClassifierStageConfig, evaluators

if TYPE_CHECKING:
    from benchmark.classifiers.evaluator import Evaluator


class QualityFilterConfig(
    ClassifierStageConfig, AddedImages, stage="quality_filter", version="1", seconds=8.0
):
    """Configuration of ``quality_filter``."""


class QualityFilterResult(ImagesResult):
    """The retained images, and the rates by class; ``thresholds`` where images may have several classes."""

    quality_filter: dict[str, FilterRate]
    thresholds: dict[str, float] | None = None


def quality_filter(job: Job[QualityFilterConfig]) -> QualityFilterResult:
    """Drop the images whose requested class the mean of the evaluators does not see; ``test`` is not read."""
    from benchmark.classifiers.evaluator import mean_scores
    from benchmark.classifiers.quality_filter import passes_filter

    splits, drawn = job.splits(), job.synthetic()
    networks = evaluators(job, splits)
    requested = {name: n for name, n in job.config.counts(splits.train).items() if n}
    least, floor = _thresholds(networks, splits.val, list(requested))
    passes = passes_filter(drawn.label, mean_scores(networks, drawn), least)
    rows, rates = _first_plausible(drawn, passes, requested)
    if not len(rows):
        raise DataError(
            f"mix.filter: row '{job.node.row}'",
            f"none of {len(drawn)} images passes for its requested class",
            "Fix the generator, or run without the filter: mix.filter=none.",
        )
    retained = drawn.select(rows)
    arrow.write_images(job.out / SYNTHETIC, retained)
    plots.sample_grid(retained, job.out / "grid.png")
    plots.sample_grid(drawn.select(~passes), job.out / "dropped.png")
    rate = float(np.mean([r.accepted / r.drawn for r in rates.values()]))
    passed = Measure(value=rate, floor=floor, n=len(drawn), direction="maximize", networks=len(networks))
    return QualityFilterResult(
        images=len(retained),
        hash=retained.content_hash(),
        quality_filter=rates,
        thresholds=None if least is None else {c: float(least[drawn.classes.index(c)]) for c in requested},
        measures={"filter_pass_rate": passed},
    )


def _thresholds(
    networks: list[Evaluator], val: ImageSet, requested: list[str]
) -> tuple[np.ndarray | None, float]:
    """Return the thresholds (K,), if images may have several classes, and the share of real images passed."""
    from benchmark.classifiers.evaluator import mean_scores
    from benchmark.classifiers.metrics import class_metrics
    from benchmark.classifiers.quality_filter import youden_thresholds

    scores = mean_scores(networks, val)
    if not val.multilabel:
        passed = class_metrics(val.label, scores, val.classes)
        return None, float(np.mean([passed[name] for name in requested]))
    youden = youden_thresholds(val, scores, requested)
    least = np.array([youden.get(name, np.inf) for name in val.classes])
    columns = [val.classes.index(name) for name in requested]
    return least, float(np.mean([(scores[val.label[:, k] == 1, k] >= least[k]).mean() for k in columns]))


def _first_plausible(
    drawn: ImageSet, passes: np.ndarray, requested: Mapping[str, int]
) -> tuple[np.ndarray, dict[str, FilterRate]]:
    """Return the positions of the first plausible images of each class, in order, and the rates by class."""
    rows, rates = [], {}
    for k, name in enumerate(drawn.classes):
        if name not in requested:
            continue
        of_class = drawn.label == k
        first = np.flatnonzero(of_class & passes)[: requested[name]]
        rows.append(first)
        rates[name] = FilterRate(
            drawn=int(of_class.sum()),
            accepted=int((of_class & passes).sum()),
            requested=requested[name],
            retained=len(first),
        )
    return np.sort(np.concatenate(rows)), rates
