"""The data of a run: load and divide them, prove it, and let a teacher guess uncertain labels."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from benchmark.errors import DataError
from benchmark.images import arrow
from benchmark.images import plots as pictures
from benchmark.images.disjoint import prove_disjoint
from benchmark.images.image_set import Splits
from benchmark.protocol import load as loading
from benchmark.protocol import scenario
from benchmark.protocol.rules.label_policy import (
    join_pseudo_labeled,
    of_training_patients,
    with_pseudo_labels,
)
from benchmark.stages.job import Job
from benchmark.tasks.rules import parse_rules
from benchmark.tasks.schema import SplitRule

UNLABELED = "unlabeled.arrow"


def data(job: Job) -> dict[str, Any]:
    """Load the source, apply the rules, write the splits, prove that they are disjoint."""
    config, local = job.config, job.node.local
    module = importlib.import_module(local["target"])
    params = module.Params(**{**config["params"], **local["paths"]})
    rules = parse_rules(config["scenario"])
    splits = loading.load(
        module,
        params,
        **_request(job),
        split=SplitRule(**config["split"]),
        before=scenario.before_split(rules),
        on_train=scenario.on_train(rules, seed=job.node.seed),
    )
    arrow.write_splits(job.out, splits)  # pixels are drawn and decoded here, once
    uncertain = scenario.uncertain_before_split(rules)
    if uncertain is not None:
        everything = module.images(params, **_request(job))
        arrow.write_images(job.out / UNLABELED, of_training_patients(uncertain(everything), splits))
    return describe(job.out, config)


def _request(job: Job) -> dict[str, Any]:
    """What a source is asked for."""
    config = job.config
    return {
        "classes": tuple(config["classes"]),
        "image_size": config["image_size"],
        "reserve_per_class": config["reserve_per_class"],
        "seed": job.node.seed,
    }


def describe(folder: Path, config: Mapping[str, Any]) -> dict[str, Any]:
    """Prove the splits in a folder disjoint, picture them, and say what they hold.

    Raises:
        DataError: two splits share a patient or a picture, or a class has no image.
    """
    splits = arrow.read_splits(folder)
    if splits.train.multilabel != (config["labels"] == "multilabel"):
        has = "several labels" if splits.train.multilabel else "one label"
        raise DataError(
            f"source {config['source']}",
            f"has {has} per image, the task's labels are '{config['labels']}'",
            "Choose another source, or add a label_policy to the task's scenario.",
        )
    _check_classes(splits, config)
    proof = prove_disjoint(splits)
    pictures.sample_grid(splits.train.to_single_label(), folder / "grid.png")
    return {
        "proof": proof,
        "notes": list(splits.notes),
        "classes": [c for c in splits.train.classes if c in config["classes"]],
        "splits": {
            name: {
                "images": len(images),
                "patients": len(images.patients()),
                "counts": images.counts(),
                "hash": images.content_hash(),
            }
            for name, images in splits.named().items()
        },
    }


def _check_classes(splits: Splits, config: Mapping[str, Any]) -> None:
    """Every class of the task has an image in every split that is trained or tested on."""
    for name, images in splits.named().items():
        rare = images.multilabel and name == "val"  # a mean over the classes that val has
        for label, count in images.counts().items():
            if count == 0 and name != "reserve" and not rare and label in config["classes"]:
                raise DataError(
                    f"source {config['source']}: split {name}", f"class '{label}' has no image", "Exclude it."
                )


def pseudo_label(job: Job) -> dict[str, Any]:
    """Train on the certain labels, guess the uncertain ones, and hand on the data with both.

    Source: U-SelfTrained of Irvin et al. 2019, section 3.1; the guesses stay soft.
    """
    from benchmark.classifiers import train as training

    config = job.config
    source = job.input("certain")
    assert source is not None
    splits, unlabeled = arrow.read_splits(source), arrow.read_images(source / UNLABELED)
    setting = training.setting_of(config, job.node.seed, job.work, job.progress)
    trained = training.train(splits.train, splits.train, splits.val, setting)
    probability = training.predict(
        trained.network, unlabeled, setting, training.normalization(splits.train.image)
    )[:, 1]
    guessed = with_pseudo_labels(unlabeled, probability)
    train = join_pseudo_labeled(splits.train, guessed)
    note = (
        f"{len(guessed)} uncertain images labeled by a classifier trained on the {len(splits.train)} others, "
        f"{int((probability >= 0.5).sum())} of them positive"
    )
    taught = Splits(train, splits.val, splits.test, splits.reserve, splits.more_tests, (*splits.notes, note))
    arrow.write_splits(job.out, taught)
    return {**describe(job.out, config), "history": trained.history}
