"""Which stage needs what: the graph of a task, its keys, and nothing that touches a disk."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from benchmark.recipe import Recipe
from benchmark.records import sha256_of
from benchmark.task import Profile, SplitRule, Task

STAGE_VERSION = {
    "data": "2",
    "teach": "2",
    "reference": "2",
    "fit": "2",
    "generate": "2",
    "measure": "3",
    "classify": "3",
}

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
    for row in plan.rows:
        if row.absent:
            continue
        if row.has_images:
            nodes += [_fit(plan, row), _generate(plan, row), _measure(plan, row)]
        nodes += _classify(plan, row)
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
        "mix": plan.task.mix.model_dump(mode="json"),
        "extractor": plan.extractor,
        "extractor_hash": plan.extractor_hash,
        "preview": plan.profile.measures.preview,
        "device": plan.device,
        "precision": plan.precision,
        "reserve": row.name == "oracle" and row.role == "control",
    }
    guess = FIRST_GUESS["fit"] if row.trained else 1.0
    return Node(f"fit/{row.name}", "fit", config, ("data",), 0, row.name, _tags(row), _local(row), guess)


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
    needs = ("data", "reference", f"generate/{row.name}")
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
                needs = ("data", f"generate/{row.name}") if row.has_images else ("data",)
                tags = _tags(row) | {"bracket": str(bracket), "classifier": recipe.name, "seed": str(seed)}
                name = f"classify/{row.name}/{bracket}/{recipe.name}/{seed}"
                local, guess = _weights(recipe), FIRST_GUESS["classify"]
                yield Node(name, "classify", config, needs, seed, row.name, tags, local, guess)


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


def weights_left(nodes: Iterable[Node]) -> dict[str, float]:
    """Longest expected path from each node to the end: what to start first."""
    ordered = list(nodes)
    guess = {n.id: n.guess for n in ordered}
    longest = dict(guess)
    for node in reversed(ordered):
        for need in node.needs:
            longest[need] = max(longest[need], guess[need] + longest[node.id])
    return longest
