"""Train a classifier with a row's images and read the test splits once."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from benchmark.images import plots as pictures
from benchmark.images.image_set import ImageSet
from benchmark.stages.job import Job
from benchmark.tasks.rules import Mix


def classify(job: Job) -> dict[str, Any]:
    """Train one classifier with one bracket and one seed, choose its epoch on ``val``, read the tests."""
    from benchmark.classifiers import evaluator, metrics, network, sampling
    from benchmark.classifiers import train as training
    from benchmark.classifiers.config import training_config

    config, splits = job.config, job.splits()
    setting = training_config(config, job.node.seed, job.work, job.progress)
    mix, classes = Mix(**config["mix"]), tuple(config["classes"])
    images = sampling.training_images(splits, job.added(), mix, config["bracket"], classes)
    trained = training.train(images.real, images.train, images.val, setting)
    normal = training.normalization(images.real.image)
    if config.get("keep"):
        evaluator.save_evaluator(trained.network, normal, job.out)
    tests = splits.tests
    scores = {n: training.predict(trained.network, s, setting, normal) for n, s in tests.items()}
    write_predictions(job, tests, scores)
    _picture(job, splits.test, scores["test"])
    return {
        "history": trained.history,
        "chosen": trained.best,
        "steps": trained.steps,
        "parameters": network.parameter_counts(trained.network),
        "training_images": len(images.train),
        "metrics": {
            f"{name}_{metric}": value
            for name, images in tests.items()
            for metric, value in metrics.metric_values(images.label, scores[name]).items()
        },
    }


def curve(job: Job) -> dict[str, Any]:
    """Train one classifier on a share of the training patients, choose its epoch on ``val``, read ``test``.

    ``val`` is whole, as for every row: the curve is of what the training images are worth.
    """
    from benchmark.classifiers import metrics, sampling
    from benchmark.classifiers import train as training
    from benchmark.classifiers.config import training_config

    config, splits = job.config, job.splits()
    setting = training_config(config, job.node.seed, job.work, job.progress)
    images = sampling.subset(splits.train, config["share"], job.node.seed)
    trained = training.train(images, images, splits.val, setting)
    scores = training.predict(trained.network, splits.test, setting, training.normalization(images.image))
    _write_curve(job, splits.test, scores, len(images))
    found = metrics.metric_values(splits.test.label, scores)
    return {
        "history": trained.history,
        "chosen": trained.best,
        "steps": trained.steps,
        "training_images": len(images),
        "counts": images.counts(),
        "metrics": {"training_images": len(images), **{f"test_{k}": v for k, v in found.items()}},
    }


def _write_curve(job: Job, test: ImageSet, scores: np.ndarray, images: int) -> None:
    """Predictions with the share, and the training images that it is, as Parquet."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    table = _table(job, "test", test, scores)
    share, count = pa.array([job.config["share"]] * len(test)), pa.array([images] * len(test), pa.int64())
    name = f"{job.node.row}/{job.config['share']:g}/{job.config['classifier']['name']}/{job.node.seed}"
    table = table.set_column(table.column_names.index("run"), "run", pa.array([name] * len(test)))
    table = table.append_column("share", share).append_column("images", count)
    pq.write_table(table, job.out / "curve.parquet")


def _picture(job: Job, test: ImageSet, scores: np.ndarray) -> None:
    """The confusion matrix, where an image has one class."""
    from sklearn.metrics import confusion_matrix

    if not test.multilabel:
        names = test.classes[: scores.shape[1]]
        counts = confusion_matrix(test.label, scores.argmax(1), labels=range(len(names)))
        pictures.confusion_picture(counts, names, job.out / "confusion.png")


def write_predictions(job: Job, tests: Mapping[str, ImageSet], scores: Mapping[str, np.ndarray]) -> None:
    """Per-image predictions of one run, as Parquet."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    tables = [_table(job, name, images, scores[name]) for name, images in tests.items()]
    pq.write_table(pa.concat_tables(tables), job.out / "predictions.parquet")


def _table(job: Job, split: str, images: ImageSet, scores: np.ndarray) -> Any:
    import pyarrow as pa

    config, node, n = job.config, job.node, len(images)
    columns = {
        "image_id": pa.array(images.image_id.tolist()),
        "patient_id": pa.array(images.patient_id.tolist()),
        "label": pa.array(np.full(n, -1) if images.multilabel else images.label, pa.int64()),
        "split": pa.array([split] * n),
        "bracket": pa.array([config["bracket"]] * n, pa.int64()),
        "classifier": pa.array([config["classifier"]["name"]] * n),
        "seed": pa.array([node.seed] * n, pa.int64()),
        "fold": pa.array([node.fold] * n, pa.int64()),
        "run": pa.array([f"{node.row}/{config['bracket']}/{config['classifier']['name']}/{node.seed}"] * n),
    }
    if images.multilabel:
        columns |= {
            f"label_{k}": pa.array(images.label[:, k], pa.int64()) for k in range(images.label.shape[1])
        }
    columns |= {f"score_{k}": pa.array(scores[:, k]) for k in range(scores.shape[1])}
    for name, kind in (
        ("sex", pa.string()),
        ("view", pa.string()),
        ("site", pa.string()),
        ("age", pa.float64()),
    ):
        if name in config["subgroups"]:
            known = getattr(images, name)
            columns[name] = pa.array(
                [None] * n if known is None else [_known(v) for v in known.tolist()], kind
            )
    return pa.table(columns)


def _known(value: Any) -> Any:
    """A text or a number; None for an empty text and for NaN, which stand for unknown."""
    return None if value is None or value == "" or value != value else value
