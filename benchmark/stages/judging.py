"""What classifiers of real images decide: what generators learn from, what is dropped, the GAN-test."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from benchmark.classifiers import evaluate as judging
from benchmark.classifiers import train as training
from benchmark.errors import DataError
from benchmark.images import arrow
from benchmark.images import plots as pictures
from benchmark.images.image_set import ImageSet, Splits
from benchmark.protocol.mixing import added_counts, receiving_classes, with_labels_like
from benchmark.stages.job import CHOSEN, Job
from benchmark.stages.measure import in_proportion
from benchmark.tasks.rules import Mix

SAMPLE = 1000  # images per class that make the plane and the mean distance: Lan 2023, 4.5 and Figure 20


def _judges(job: Job, splits: Splits) -> list[judging.Evaluator]:
    setting = training.setting_of(job.config, job.node.seed, job.work, job.progress)
    return [
        judging.read(folder, setting, len(splits.train.classes), multilabel=splits.train.multilabel)
        for folder in job.evaluators()
    ]


def select(job: Job) -> dict[str, Any]:
    """Choose the training images that generators learn from: misclassified, and near the boundary.

    The plane and the mean distance are of a random sample with as many images of every class; chosen is from
    all of ``train``.

    Source: Lan 2023, section 4.5 and Figure 20.
    """
    config, splits = job.config, job.splits()
    (evaluator,) = _judges(job, splits)
    train, classes = splits.train, tuple(config["classes"])
    rows = np.flatnonzero(train.label < len(classes))  # classes that only a label policy has made get none
    known = train.select(rows)
    predicted = evaluator.scores(known).argmax(1)
    seen = judging.balanced_sample(known.label, SAMPLE, job.node.seed)
    where = judging.plane(judging.features(evaluator, known), *judging.last_layer(evaluator), seen)
    distance = judging.boundary_distance(where, predicted)
    mean = judging.mean_distance(distance[seen])
    near = judging.near_misses(known.label, predicted, distance, mean)
    counts = known.select(np.flatnonzero(near)).counts()
    _check_chosen(counts, receiving_classes(train, Mix(**config["mix"]), classes))
    np.save(job.out / CHOSEN, rows[near])
    title = f"{100 * where.explained:.0f} % of the variance; shaded: predicted class"
    pictures.boundary_picture(
        where.points[seen],
        where.logits,
        known.label[seen],
        near[seen],
        classes,
        title,
        job.out / "boundary.png",
    )
    in_plane = where.logits(where.points).argmax(1)
    wrong = known.label != predicted
    return {
        "training_images": {c: n for c, n in known.counts().items() if c in classes},
        "misclassified": {c: int((wrong & (known.label == k)).sum()) for k, c in enumerate(classes)},
        "chosen": {c: counts[c] for c in classes},
        "mean_distance": mean,
        "explained_variance": where.explained,
        "plane_agrees": float((in_plane == predicted).mean()),
        "metrics": {
            "misclassified": int(wrong.sum()),
            "chosen": int(near.sum()),
            "explained_variance": where.explained,
        },
    }


def _check_chosen(counts: dict[str, int], wanted: tuple[str, ...]) -> None:
    for name in wanted:
        if counts[name] == 0:
            raise DataError(
                f"mix.fit_on 'misclassified': class '{name}'",
                "no training image is misclassified near the boundary, so no generator can learn it",
                "Train real_only for fewer steps, leave the class out of mix.classes, or set fit_on to all.",
            )


def plausible(job: Job) -> dict[str, Any]:
    """Drop the synthetic images that the mean of the judges takes for something else; test is not read."""
    config, splits = job.config, job.splits()
    evaluators, drawn = _judges(job, splits), job.drawn()
    wanted = added_counts(splits.train, Mix(**config["mix"]), config["bracket"], tuple(config["classes"]))
    asked = [name for name, n in wanted.items() if n]
    least, floor = _least(splits.val, judging.mean_scores(evaluators, splits.val), asked)
    passes = judging.plausible(drawn.label, judging.mean_scores(evaluators, drawn), least)
    rows, rates = _first_plausible(drawn, passes, wanted)
    if not len(rows):
        raise DataError(
            f"mix.filter: row '{job.node.row}'",
            f"none of {len(drawn)} images passes for the class that was asked for",
            "Mend the generator, or run without the filter: mix.filter=none.",
        )
    kept = drawn.select(rows)
    arrow.write_images(job.out / "synthetic.arrow", kept)
    pictures.sample_grid(kept, job.out / "grid.png")
    pictures.sample_grid(drawn.select(~passes), job.out / "dropped.png")
    rate = float(np.mean([r["accepted"] / r["drawn"] for r in rates.values()]))
    measure = {"value": rate, "floor": floor, "n": len(drawn), "direction": "maximize"}
    return {
        "images": len(kept),
        "hash": kept.content_hash(),
        "quality_filter": rates,
        "thresholds": None if least is None else {c: float(least[drawn.classes.index(c)]) for c in asked},
        "measures": {"filter_pass_rate": {**measure, "networks": len(evaluators)}},
    }


def _least(val: ImageSet, scores: np.ndarray, asked: list[str]) -> tuple[np.ndarray | None, float]:
    """The thresholds where an image may have several classes, and the share of real images that pass."""
    if not val.multilabel:
        passed = judging.by_class(val.label, scores, val.classes)
        return None, float(np.mean([passed[name] for name in asked]))
    found = judging.thresholds(val, scores, asked)
    least = np.array([found.get(name, np.inf) for name in val.classes])
    columns = [val.classes.index(name) for name in asked]
    return least, float(np.mean([(scores[val.label[:, k] == 1, k] >= least[k]).mean() for k in columns]))


def _first_plausible(
    drawn: ImageSet, passes: np.ndarray, wanted: Mapping[str, int]
) -> tuple[np.ndarray, dict[str, dict[str, int]]]:
    """Positions of the first plausible images of each class, in their order, and the counts by class."""
    rows, rates = [], {}
    for k, name in enumerate(drawn.classes):
        mine = drawn.label == k
        if not wanted.get(name):
            continue
        kept = np.flatnonzero(mine & passes)[: wanted[name]]
        rows.append(kept)
        rates[name] = {
            "drawn": int(mine.sum()),
            "accepted": int((mine & passes).sum()),
            "requested": wanted[name],
            "retained": len(kept),
        }
    return np.sort(np.concatenate(rows)), rates


def gan_test(job: Job) -> dict[str, Any]:
    """Train on real images, test on synthetic ones: do they show what was asked for?

    The classifiers of ``real_only`` read the row's images, in the proportions of the real test images of the
    same classes, which they read as well: the floor. Where an image may have several classes, the AUROC of
    the class that was asked for. Nothing is trained. Images that a filter has dropped are read too, since
    these same classifiers have dropped them.

    Source: GAN-test of Shmelkov et al. 2018, How good is my GAN?, section 3.
    """
    config, splits = job.config, job.splits()
    evaluators, drawn = _judges(job, splits), job.drawn()
    real, made = _matched(splits.test, with_labels_like(drawn, splits.train))
    metric = config["metric"]
    values, of_class = judging.values(evaluators, made, metric)
    floors, of_real = judging.values(evaluators, real, metric)
    per_class = {c: {"value": v, "floor": of_real[c]} for c, v in of_class.items() if c in of_real}
    said: dict[str, Any] = {"values": values, "floors": floors, "per_class": per_class}
    said["metrics"] = {f"gan_test_{c}": v for c, v in of_class.items()}
    if not values or not floors:
        why = f"{job.node.row}: the GAN-test has no {metric}, since images were asked of too few classes"
        return {**said, "measures": {}, "notes": [why]}
    measure = {"value": float(np.mean(values)), "floor": float(np.mean(floors)), "n": len(made)}
    more = {"direction": "maximize", "networks": len(evaluators), "per_class": per_class}
    return {**said, "measures": {f"gan_test_{metric}": {**measure, **more}}}


def _matched(test: ImageSet, made: ImageSet) -> tuple[ImageSet, ImageSet]:
    """Real and synthetic images of the same classes in the same proportions, as many as there are."""
    if test.multilabel:
        return test, made
    have = np.bincount(made.label, minlength=len(made.classes))
    real = test.select(np.flatnonzero(have[test.label] > 0))
    want = np.bincount(real.label, minlength=len(made.classes))
    both = (have > 0) & (want > 0)
    share = (have[both] / want[both]).min()
    counts = np.where(both, np.maximum(1, np.floor(share * want)), 0).astype(np.int64)
    return real, in_proportion(made, dict(zip(made.classes, counts.tolist(), strict=True)))
