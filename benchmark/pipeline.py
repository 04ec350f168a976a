"""Which stage needs what: the graph of a task, its keys, and nothing that touches a disk."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from benchmark.recipe import Recipe
from benchmark.records import sha256_of
from benchmark.task import Profile, SplitRule, Task

STAGE_VERSION = {
    "data": "2",
    "teach": "3",
    "reference": "2",
    "fit": "2",
    "generate": "2",
    "measure": "3",
    "classify": "4",
    "curve": "1",
    "select": "1",
    "filter": "1",
    "mirror": "1",
}

REAL_ONLY = "real_only"
ON_ALL = ("oracle", "noise")  # controls that show a ceiling and a floor: they see what they always see
BALANCED = ("oversample", "class_weights")  # rows that rebalance the training without any added image

# Expected seconds of a stage before anything was timed; only the progress bar uses them.
FIRST_GUESS = {
    "data": 10.0,
    "teach": 15.0,
    "reference": 8.0,
    "fit": 100.0,
    "generate": 20.0,
    "measure": 10.0,
    "classify": 15.0,
    "curve": 15.0,
    "select": 8.0,
    "filter": 8.0,
    "mirror": 5.0,
}


@dataclass(frozen=True)
class Row:
    """A line of the leaderboard: a generator or a control.

    Attributes:
        plugin: its name and origin, or None for rows without images.
        target: where to import it from; not part of any key.
        params: canonical parameters, defaults filled in.
        per_class: fit once per class.
        trained: whether fitting it is real work (for the progress bar alone).
        absent: why it cannot be run here, or empty.
        way: how it came in: ``suite``, or ``generator`` or ``samples`` of a submission.
        submission: the card of a submission, as JSON; None for the suite's own.
    """

    name: str
    role: str
    card: Mapping[str, str]
    plugin: Mapping[str, str] | None = None
    target: str = ""
    version: str = "1"
    params: Mapping[str, Any] = field(default_factory=dict)
    per_class: bool = False
    trained: bool = False
    absent: str = ""
    way: str = "suite"
    submission: Mapping[str, Any] | None = None

    @property
    def has_images(self) -> bool:
        """Whether this row adds images."""
        return self.plugin is not None


@dataclass(frozen=True)
class Plan:
    """Everything that a run has decided before it starts.

    ``task`` is the task with the run's choices made. ``source_paths`` are the parameters that say where the
    data lies; the fingerprint stands for them in keys.
    """

    task: Task
    profile_name: str
    source: str
    source_target: str
    source_params: Mapping[str, Any]
    source_paths: Mapping[str, str]
    source_fingerprint: str
    source_version: str
    rows: tuple[Row, ...]
    extractor: str
    extractor_hash: str
    device: str
    precision: str

    @property
    def profile(self) -> Profile:
        """The chosen profile."""
        return self.task.profile(self.profile_name)

    @property
    def split(self) -> SplitRule:
        """How the source's images are divided."""
        return self.task.source(self.source).split

    @property
    def folds(self) -> tuple[int, ...]:
        """The folds that are run; one for a hold-out."""
        return tuple(range(max(self.split.folds, 1)))

    @property
    def steps(self) -> dict[str, dict[str, Any]]:
        """The scenario's rules, as JSON values."""
        rules = self.task.steps(self.profile_name, self.source)
        return {name: rule.model_dump(mode="json") for name, rule in rules.items()}

    @property
    def chosen(self) -> dict[str, Any]:
        """The value of every choice of the task, by ``step.field``."""
        steps = {**self.steps, "mix": self.task.mix.model_dump(mode="json")}
        return {
            path: steps[step][name]
            for path in self.task.choices
            for step, _, name in [path.partition(".")]
            if step in steps
        }

    @property
    def protocol_hash(self) -> str:
        """What two results must share to be compared."""
        return self.task.protocol_hash(self.profile_name, self.source, self.extractor)


@dataclass(frozen=True)
class Node:
    """One stage of one row in one fold: computed once per key.

    ``local`` is needed to compute it here and is no part of its key: paths and import targets.
    """

    id: str
    stage: str
    config: Mapping[str, Any]
    needs: tuple[str, ...] = ()
    seed: int = 0
    row: str = ""
    tags: Mapping[str, str] = field(default_factory=dict)
    local: Mapping[str, Any] = field(default_factory=dict)
    guess: float = 1.0
    fold: int = 0


def without_fold(node_id: str) -> str:
    """The id of a node as it is without folds: ``fit/ddpm`` of ``fit/ddpm@2``."""
    return node_id.partition("@")[0]


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
    where, guess = _weights(profile.classifiers[0]), FIRST_GUESS["teach"]
    return [data, Node("data", "teach", config, ("certain",), local=where, guess=guess)]


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
        yield _mirror(plan, row)


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
    recipe = plan.profile.classifiers[0]
    config, needs = _training(plan, recipe) | {"mix": _asked(plan)}, ("data", _judges(plan)[0])
    return Node("select", "select", config, needs, local=_weights(recipe), guess=FIRST_GUESS["select"])


def _filter(plan: Plan, row: Row) -> Node:
    needs = ("data", f"generate/{row.name}", *_judges(plan))
    guess, where = FIRST_GUESS["filter"], _weights(plan.profile.classifiers[0])
    name, tags = f"filter/{row.name}", _tags(row)
    return Node(name, "filter", _judged(plan), needs, 3, row.name, tags, where, guess)


def _mirror(plan: Plan, row: Row) -> Node:
    needs = (
        "data",
        f"generate/{row.name}",
        *_judges(plan),
    )  # as drawn: a filter by the same judges would decide it
    guess, where = FIRST_GUESS["mirror"], _weights(plan.profile.classifiers[0])
    name, tags = f"mirror/{row.name}", _tags(row)
    return Node(name, "mirror", _judged(plan), needs, 4, row.name, tags, where, guess)


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
        "preview": plan.profile.measures.preview,
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


def _training(plan: Plan, recipe: Recipe) -> dict[str, Any]:
    """What every training of a classifier shares."""
    return {
        "classes": list(plan.task.classes),
        "labels": plan.task.labels,
        "metric": plan.task.primary_metric.name,
        "balance": "none",
        "recipe": recipe.model_dump(mode="json"),
        "budget": plan.profile.budget.model_dump(mode="json"),
        "device": plan.device,
        "precision": plan.precision,
    }


def _weights(recipe: Recipe) -> dict[str, str]:
    """Where the initial weights lie that the recipe names by their content, for ``Node.local``."""
    return {"weights": str(recipe.weights.path)} if recipe.weights.path is not None else {}


def _classify(plan: Plan, row: Row) -> Iterable[Node]:
    profile = plan.profile
    for bracket in profile.brackets if row.has_images else (0,):
        for recipe in profile.classifiers:
            for seed in profile.seeds:
                config = {
                    **_training(plan, recipe),
                    **_added(plan, bracket),
                    "balance": row.name if row.name in BALANCED else "none",
                    "subgroups": list(plan.task.subgroups),
                }
                if row.name == REAL_ONLY and recipe == profile.classifiers[0]:
                    config["keep"] = True  # other stages ask this network
                needs = ("data", _drawn(plan, row)) if row.has_images else ("data",)
                tags = _tags(row) | {"bracket": str(bracket), "classifier": recipe.name, "seed": str(seed)}
                name = f"classify/{row.name}/{bracket}/{recipe.name}/{seed}"
                guess = _training_guess(profile, recipe, bracket * len(plan.task.classes))
                yield Node(name, "classify", config, needs, seed, row.name, tags, _weights(recipe), guess)


def _curve(plan: Plan, row: Row) -> Iterable[Node]:
    """The row without images, trained on shares of the training patients."""
    profile = plan.profile
    for share in profile.curve:
        for recipe in profile.classifiers:
            for seed in profile.seeds:
                config = {
                    **_training(plan, recipe),
                    "share": share,
                    "bracket": 0,
                    "subgroups": list(plan.task.subgroups),
                }
                tags = _tags(row) | {"share": f"{share:g}", "classifier": recipe.name, "seed": str(seed)}
                name = f"curve/{share:g}/{recipe.name}/{seed}"
                guess = _training_guess(profile, recipe, 0)
                yield Node(name, "curve", config, ("data",), seed, row.name, tags, _weights(recipe), guess)


def _training_guess(profile: Profile, recipe: Recipe, added: int) -> float:
    """Expected seconds of a training: ``FIRST_GUESS`` is that of 300 batches of 32 with 32 pixels.

    How many real images there are is not known before the data are; a thousand is the papers' order.
    """
    budget = profile.budget
    batch = recipe.batch_size or budget.batch_size
    updates = budget.length if budget.unit == "steps" else budget.length * math.ceil((1000 + added) / batch)
    return FIRST_GUESS["classify"] * updates / 300 * batch / 32 * (profile.image_size / 32) ** 2


def _tags(row: Row) -> dict[str, str]:
    return {"generator": row.name, "role": row.role}


def _local(row: Row) -> dict[str, str]:
    return {"target": row.target}


def keys(nodes: Iterable[Node]) -> dict[str, str]:
    """The content address of every node: a hash of code version, configuration, inputs' keys and seed."""
    found: dict[str, str] = {}
    for node in nodes:
        inputs = [found[n] for n in node.needs]
        found[node.id] = sha256_of(
            [node.stage, STAGE_VERSION[node.stage], dict(node.config), inputs, node.seed]
        )[:40]
    return found


def needed(nodes: Iterable[Node], stages: Iterable[str], row: str | None = None) -> list[Node]:
    """The nodes of these stages, of one row or of all, and whatever they need, in the order given."""
    ordered, wanted = list(nodes), set(stages)
    found: set[str] = set()
    for node in reversed(ordered):
        if (node.stage in wanted and row in (None, node.row)) or node.id in found:
            found |= {node.id, *node.needs}
    return [node for node in ordered if node.id in found]


def weights_left(nodes: Iterable[Node]) -> dict[str, float]:
    """Longest expected path from each node to the end: what to start first."""
    ordered = list(nodes)
    guess = {n.id: n.guess for n in ordered}
    longest = dict(guess)
    for node in reversed(ordered):
        for need in node.needs:
            longest[need] = max(longest[need], guess[need] + longest[node.id])
    return longest
