"""Choose the training images that generators learn from."""

from pathlib import Path

import numpy as np

from benchmark.errors import DataError
from benchmark.images import arrow, plots
from benchmark.images.image_set import Learning
from benchmark.protocol.mixing import receiving_classes
from benchmark.stages.job import CHOSEN, Job
from benchmark.stages.records import StageResult
from benchmark.stages.training import ClassifierStageConfig, evaluators
from benchmark.tasks.rules import Mix

SAMPLE = 1000  # images per class that make the plane and the mean distance: Lan 2023, 4.5 and Figure 20


class SelectConfig(ClassifierStageConfig, stage="select", version="1", seconds=8.0):
    """Configuration of ``select``; ``mix`` names the classes that get synthetic images."""

    mix: Mix


class SelectResult(StageResult):
    """Training images, misclassified ones and chosen ones by class.

    Attributes:
        mean_distance: to the boundary, in the plane.
        explained_variance: share of the features' variance that the plane holds.
        plane_agrees: share of images whose class is the same in the plane.
    """

    training_images: dict[str, int]
    misclassified: dict[str, int]
    chosen: dict[str, int]
    mean_distance: float
    explained_variance: float
    plane_agrees: float


def select(job: Job[SelectConfig]) -> SelectResult:
    """Choose the misclassified training images near the boundary.

    The plane and the mean distance are of a random sample with equally many images of every class; the
    choice is from all of ``train``.

    Source: Lan 2023, section 4.5 and Figure 20.
    """
    from benchmark.classifiers import boundary

    config, splits = job.config, job.splits()
    (evaluator,) = evaluators(job, splits)
    train, classes = splits.train, config.classes
    rows = np.flatnonzero(train.label < len(classes))  # classes that only a label policy makes get none
    known = train.select(rows)
    predicted = evaluator.scores(known).argmax(1)
    sample = boundary.balanced_sample(known.label, SAMPLE, job.node.seed)
    features, layer = evaluator.penultimate_features(known), evaluator.last_layer()
    plane = boundary.fit_plane(features, *layer, sample)
    distance = boundary.boundary_distance(plane, predicted)
    mean, wrong = boundary.mean_distance(distance[sample]), known.label != predicted
    near = boundary.near_misses(known.label, predicted, distance, mean)
    chosen = known.select(np.flatnonzero(near)).counts()
    _check_chosen(chosen, receiving_classes(train, config.mix, classes))
    np.save(job.out / CHOSEN, rows[near])
    title = f"{100 * plane.explained:.0f} % of the variance; shaded: predicted class"
    shown = (plane.points[sample], plane.logits, known.label[sample], near[sample], classes)
    plots.boundary_picture(*shown, title, job.out / "boundary.png")
    return SelectResult(
        training_images={c: n for c, n in known.counts().items() if c in classes},
        misclassified={c: int((wrong & (known.label == k)).sum()) for k, c in enumerate(classes)},
        chosen={c: chosen[c] for c in classes},
        mean_distance=mean,
        explained_variance=plane.explained,
        plane_agrees=float((plane.logits(plane.points).argmax(1) == predicted).mean()),
        metrics={
            "misclassified": int(wrong.sum()),
            "chosen": int(near.sum()),
            "explained_variance": plane.explained,
        },
    )


def _check_chosen(counts: dict[str, int], wanted: tuple[str, ...]) -> None:
    for name in wanted:
        if counts[name] == 0:
            raise DataError(
                f"mix.fit_on 'misclassified': class '{name}'",
                "no training image is misclassified near the boundary, so no generator can learn it",
                "Train real_only for fewer steps, leave the class out of mix.classes, or set fit_on to all.",
            )


def learning_images(
    data: Path, selection: Path | None, classes: tuple[str, ...], *, reserve: bool = False
) -> Learning:
    """Return what generators learn from, with one label each: all of ``train``, or what was selected of it.

    Args:
        data: folder of the splits.
        selection: folder of the stage ``select``, or None.
        classes: of the task.
        reserve: include ``reserve``.
    """
    learning = arrow.read_learning(data, reserve=reserve)
    if selection is not None:
        train = learning.train.select(np.load(selection / CHOSEN))
        present = [name for name, n in train.counts().items() if n]
        learning = Learning(train, learning.val, learning.reserve).only(present)
    return learning.only(classes).to_single_label()
