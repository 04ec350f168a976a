"""Which stage needs what: the graph of a task, its keys, and nothing that touches a disk."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from benchmark.engine.node import Node
from benchmark.planning.plan import Plan, Row
from benchmark.stages.names import REAL_ONLY
from benchmark.tasks.classifier import ClassifierConfig
from benchmark.tasks.profile import Profile

ON_ALL = ("oracle", "noise")  # controls that show a ceiling and a floor: they see what they always see
BALANCED = ("oversample", "class_weights")  # rows that rebalance the training without any added image

# Expected seconds of a stage before anything was timed; only the progress bar uses them.
FIRST_GUESS = {
    "data": 10.0,
    "pseudo_label": 15.0,
    "reference": 8.0,
    "fit": 100.0,
    "generate": 20.0,
    "measure": 10.0,
    "classify": 15.0,
    "curve": 15.0,
    "select": 8.0,
    "filter": 8.0,
    "gan_test": 5.0,
}


def build(plan: Plan) -> list[Node]:
    """All nodes of a run, each after what it needs."""
    return [node for fold in plan.folds for node in _fold(plan, fold)]


def _fold(plan: Plan, fold: int) -> Iterable[Node]:
    """The nodes of one fold; their ids end in ``@fold`` where there are several."""
    nodes = [*_data(plan, fold), _reference(plan)]
    for row in sorted(plan.rows, key=lambda r: r.name != REAL_ONLY):  # it judges the others
        if row.absent:
            continue
        if row.has_images:
            nodes += _images(plan, row)
        nodes += _classify(plan, row)
        if row.name == REAL_ONLY:
            nodes += _curve(plan, row)
            nodes += [_select(plan)] if plan.task.mix.fit_on == "misclassified" else []
    if len(plan.folds) == 1:
        return nodes

    def at(name: str) -> str:
        return f"{name}@{fold}"

    tag = {"fold": str(fold)}
    return [
        replace(n, id=at(n.id), needs=tuple(map(at, n.needs)), fold=fold, tags={**n.tags, **tag})
        for n in nodes
    ]


def _data(plan: Plan, fold: int) -> list[Node]:
    """The data; where a teacher guesses labels, the data with certain labels and then the teacher."""
    profile = plan.profile
    config = {
        "source": plan.source,
        "version": plan.source_version,
        "fingerprint": plan.source_fingerprint,
        "params": dict(plan.source_params),
        "classes": list(plan.task.classes),
        "labels": plan.task.labels,
        "image_size": profile.image_size,
        "split": plan.split.model_copy(update={"fold": fold}).model_dump(mode="json"),
        "scenario": plan.steps,
        "reserve_per_class": profile.reserve or max(profile.brackets),
    }
    local = {"target": plan.source_target, "paths": dict(plan.source_paths)}
    taught = any(step.get("uncertain") == "self_trained" for step in plan.steps.values())
    data = Node("certain" if taught else "data", "data", config, local=local, guess=FIRST_GUESS["data"])
    if not taught:
        return [data]
    config = {**_training(plan, profile.classifiers[0]), "source": plan.source}
    where, guess = _weights(profile.classifiers[0]), FIRST_GUESS["pseudo_label"]
    return [data, Node("data", "pseudo_label", config, ("certain",), local=where, guess=guess)]


def _added(plan: Plan, bracket: int) -> dict[str, Any]:
    """How many synthetic images of which classes."""
    return {
        "mix": plan.task.mix.model_dump(mode="json"),
        "bracket": bracket,
        "classes": list(plan.task.classes),
    }


def _images(plan: Plan, row: Row) -> Iterable[Node]:
    """What makes the images of a row, and what looks at them."""
    yield _fit(plan, row)
    yield _generate(plan, row)
    if plan.task.mix.filter != "none":
        yield _filter(plan, row)
    yield _measure(plan, row)
    if any(r.name == REAL_ONLY for r in plan.rows):
        yield _gan_test(plan, row)


def _drawn(plan: Plan, row: Row) -> str:
    """The node whose images a row adds."""
    return f"{'generate' if plan.task.mix.filter == 'none' else 'filter'}/{row.name}"


def _judges(plan: Plan) -> tuple[str, ...]:
    """The trainings of real_only whose networks are kept: of the first classifier, every seed."""
    profile = plan.profile
    return tuple(f"classify/{REAL_ONLY}/0/{profile.classifiers[0].name}/{seed}" for seed in profile.seeds)


def _judged(plan: Plan) -> dict[str, Any]:
    """What a stage needs to know of the judges and of what was asked for."""
    return {**_training(plan, plan.profile.classifiers[0]), **_added(plan, max(plan.profile.brackets))}


def _select(plan: Plan) -> Node:
    """Which training images the generators learn from; by the first seed's network."""
    classifier = plan.profile.classifiers[0]
    config, needs = _training(plan, classifier) | {"mix": _asked(plan)}, ("data", _judges(plan)[0])
    return Node("select", "select", config, needs, local=_weights(classifier), guess=FIRST_GUESS["select"])


def _filter(plan: Plan, row: Row) -> Node:
    needs = ("data", f"generate/{row.name}", *_judges(plan))
    guess, where = FIRST_GUESS["filter"], _weights(plan.profile.classifiers[0])
    name, tags = f"filter/{row.name}", _tags(row)
    return Node(name, "filter", _judged(plan), needs, 3, row.name, tags, where, guess)


def _gan_test(plan: Plan, row: Row) -> Node:
    needs = (
        "data",
        f"generate/{row.name}",
        *_judges(plan),
    )  # as drawn: a filter by the same judges would decide it
    guess, where = FIRST_GUESS["gan_test"], _weights(plan.profile.classifiers[0])
    name, tags = f"gan_test/{row.name}", _tags(row)
    return Node(name, "gan_test", _judged(plan), needs, 4, row.name, tags, where, guess)


def _asked(plan: Plan) -> dict[str, Any]:
    """The part of the mix that says which classes get images; the rest says how many and which ones."""
    return plan.task.mix.model_dump(mode="json", include={"classes", "unit", "factor"})


def _measured(plan: Plan) -> dict[str, Any]:
    return {
        **_added(plan, plan.profile.primary_bracket),
        "extractor": plan.extractor,
        "extractor_hash": plan.extractor_hash,
        "ms_ssim_images": plan.profile.measures.ms_ssim_images,
        "device": plan.device,
    }


def _reference(plan: Plan) -> Node:
    """Features of real images and the real-against-real floor, shared by every measure."""
    return Node("reference", "reference", _measured(plan), ("data",), guess=FIRST_GUESS["reference"])


def _fit(plan: Plan, row: Row) -> Node:
    config = {
        "plugin": dict(row.plugin or {}),
        "version": row.version,
        "params": dict(row.params),
        "per_class": row.per_class,
        "classes": list(plan.task.classes),
        "mix": _asked(plan) if row.per_class else {},  # a joint fit is of all classes
        "extractor": plan.extractor,
        "extractor_hash": plan.extractor_hash,
        "preview": plan.profile.measures.preview_images,
        "device": plan.device,
        "precision": plan.precision,
        "reserve": row.name == "oracle" and row.role == "control",
    }
    guess = FIRST_GUESS["fit"] if row.trained else 1.0
    selects = plan.task.mix.fit_on == "misclassified" and not (row.role == "control" and row.name in ON_ALL)
    needs = ("data", "select") if selects else ("data",)
    return Node(f"fit/{row.name}", "fit", config, needs, 0, row.name, _tags(row), _local(row), guess)


def _generate(plan: Plan, row: Row) -> Node:
    config = {
        **_added(plan, max(plan.profile.brackets)),
        "plugin": dict(row.plugin or {}),
        "version": row.version,
        "per_class": row.per_class,
        "image_size": plan.profile.image_size,
        "device": plan.device,
        "precision": plan.precision,
    }
    guess = FIRST_GUESS["generate"] if row.trained else 1.0
    needs = ("data", f"fit/{row.name}")
    return Node(
        f"generate/{row.name}", "generate", config, needs, 1, row.name, _tags(row), _local(row), guess
    )


def _measure(plan: Plan, row: Row) -> Node:
    needs = ("data", "reference", _drawn(plan, row))
    guess = FIRST_GUESS["measure"]
    return Node(
        f"measure/{row.name}", "measure", _measured(plan), needs, 2, row.name, _tags(row), guess=guess
    )


def _training(plan: Plan, classifier: ClassifierConfig) -> dict[str, Any]:
    """What every training of a classifier shares."""
    return {
        "classes": list(plan.task.classes),
        "labels": plan.task.labels,
        "metric": plan.task.primary_metric.name,
        "balance": "none",
        "classifier": classifier.model_dump(mode="json"),
        "budget": plan.profile.budget.model_dump(mode="json"),
        "device": plan.device,
        "precision": plan.precision,
    }


def _weights(classifier: ClassifierConfig) -> dict[str, str]:
    """Where the initial weights lie that the recipe names by their content, for ``Node.local``."""
    return {"weights": str(classifier.weights.path)} if classifier.weights.path is not None else {}


def _classify(plan: Plan, row: Row) -> Iterable[Node]:
    profile = plan.profile
    for bracket in profile.brackets if row.has_images else (0,):
        for classifier in profile.classifiers:
            for seed in profile.seeds:
                config = {
                    **_training(plan, classifier),
                    **_added(plan, bracket),
                    "balance": row.name if row.name in BALANCED else "none",
                    "subgroups": list(plan.task.subgroups),
                }
                if row.name == REAL_ONLY and classifier == profile.classifiers[0]:
                    config["keep"] = True  # other stages ask this network
                needs = ("data", _drawn(plan, row)) if row.has_images else ("data",)
                tags = _tags(row) | {
                    "bracket": str(bracket),
                    "classifier": classifier.name,
                    "seed": str(seed),
                }
                name = f"classify/{row.name}/{bracket}/{classifier.name}/{seed}"
                guess = _training_guess(profile, classifier, bracket * len(plan.task.classes))
                yield Node(name, "classify", config, needs, seed, row.name, tags, _weights(classifier), guess)


def _curve(plan: Plan, row: Row) -> Iterable[Node]:
    """The row without images, trained on shares of the training patients."""
    profile = plan.profile
    for share in profile.learning_curve:
        for classifier in profile.classifiers:
            for seed in profile.seeds:
                config = {
                    **_training(plan, classifier),
                    "share": share,
                    "bracket": 0,
                    "subgroups": list(plan.task.subgroups),
                }
                tags = _tags(row) | {"share": f"{share:g}", "classifier": classifier.name, "seed": str(seed)}
                name = f"curve/{share:g}/{classifier.name}/{seed}"
                guess = _training_guess(profile, classifier, 0)
                yield Node(
                    name, "curve", config, ("data",), seed, row.name, tags, _weights(classifier), guess
                )


def _training_guess(profile: Profile, classifier: ClassifierConfig, added: int) -> float:
    """Expected seconds of a training: ``FIRST_GUESS`` is that of 300 batches of 32 with 32 pixels.

    How many real images there are is not known before the data are; a thousand is the papers' order.
    """
    budget = profile.budget
    batch = classifier.batch_size or budget.batch_size
    updates = budget.length if budget.unit == "steps" else budget.length * math.ceil((1000 + added) / batch)
    return FIRST_GUESS["classify"] * updates / 300 * batch / 32 * (profile.image_size / 32) ** 2


def _tags(row: Row) -> dict[str, str]:
    return {"generator": row.name, "role": row.role}


def _local(row: Row) -> dict[str, str]:
    return {"target": row.target}
