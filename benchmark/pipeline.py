"""Which stage needs what: the graph of a task, its keys, and nothing that touches a disk."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from benchmark.records import sha256_of
from benchmark.task import Profile, Task

STAGE_VERSION = {"data": "2", "reference": "1", "fit": "1", "generate": "1", "measure": "2", "classify": "1"}

# Expected seconds of a stage before anything was timed; only the progress bar uses them.
FIRST_GUESS = {
    "data": 10.0,
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

    @property
    def has_images(self) -> bool:
        """Whether this row adds images."""
        return self.plugin is not None


@dataclass(frozen=True)
class Plan:
    """Everything that a run has decided before it starts.

    ``source_paths`` are the parameters that say where the data lies; the fingerprint stands for them in keys.
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
    def protocol_hash(self) -> str:
        """What two results must share to be compared."""
        return self.task.protocol_hash(self.profile_name, self.source, self.extractor)


@dataclass(frozen=True)
class Node:
    """One stage of one row: computed once per key.

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


def build(plan: Plan) -> list[Node]:
    """All nodes of a run, each after what it needs."""
    nodes = [_data(plan), _reference(plan)]
    for row in plan.rows:
        if row.has_images:
            nodes += [_fit(plan, row), _generate(plan, row), _measure(plan, row)]
        nodes += _classify(plan, row)
    return nodes


def _data(plan: Plan) -> Node:
    profile, source = plan.profile, plan.task.source(plan.source)
    config = {
        "source": plan.source,
        "version": plan.source_version,
        "fingerprint": plan.source_fingerprint,
        "params": dict(plan.source_params),
        "classes": list(plan.task.classes),
        "image_size": profile.image_size,
        "split": source.split.model_dump(mode="json"),
        "scenario": {
            name: rule.model_dump(mode="json")
            for name, rule in plan.task.steps(plan.profile_name, plan.source).items()
        },
        "reserve_per_class": profile.reserve or max(profile.brackets),
    }
    local = {"target": plan.source_target, "paths": dict(plan.source_paths)}
    return Node("data", "data", config, local=local, guess=FIRST_GUESS["data"])


def _reference(plan: Plan) -> Node:
    """Features of real images and the real-against-real floor, shared by every measure."""
    config = {
        "extractor": plan.extractor,
        "extractor_hash": plan.extractor_hash,
        "per_class": plan.profile.primary_bracket,
        "ms_ssim_images": plan.profile.measures.ms_ssim_images,
        "device": plan.device,
    }
    return Node("reference", "reference", config, ("data",), guess=FIRST_GUESS["reference"])


def _fit(plan: Plan, row: Row) -> Node:
    config = {
        "plugin": dict(row.plugin or {}),
        "version": row.version,
        "params": dict(row.params),
        "per_class": row.per_class,
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
        "plugin": dict(row.plugin or {}),
        "version": row.version,
        "per_class": row.per_class,
        "count_per_class": max(plan.profile.brackets),
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
    config = {
        "extractor": plan.extractor,
        "extractor_hash": plan.extractor_hash,
        "per_class": plan.profile.primary_bracket,
        "ms_ssim_images": plan.profile.measures.ms_ssim_images,
        "device": plan.device,
    }
    needs = ("data", "reference", f"generate/{row.name}")
    guess = FIRST_GUESS["measure"]
    return Node(f"measure/{row.name}", "measure", config, needs, 2, row.name, _tags(row), guess=guess)


def _classify(plan: Plan, row: Row) -> Iterable[Node]:
    profile = plan.profile
    for bracket in profile.brackets if row.has_images else (0,):
        for recipe in profile.classifiers:
            for seed in profile.seeds:
                config = {
                    "bracket": bracket,
                    "oversample": row.name == "oversample",
                    "recipe": recipe.model_dump(mode="json"),
                    "budget": profile.budget.model_dump(mode="json"),
                    "device": plan.device,
                    "precision": plan.precision,
                }
                needs = ("data", f"generate/{row.name}") if row.has_images else ("data",)
                tags = _tags(row) | {"bracket": str(bracket), "classifier": recipe.name, "seed": str(seed)}
                name = f"classify/{row.name}/{bracket}/{recipe.name}/{seed}"
                yield Node(
                    name, "classify", config, needs, seed, row.name, tags, guess=FIRST_GUESS["classify"]
                )


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
    longest: dict[str, float] = {n.id: n.guess for n in ordered}
    for node in reversed(ordered):
        for need in node.needs:
            guess = next(n.guess for n in ordered if n.id == need)
            longest[need] = max(longest[need], guess + longest[node.id])
    return longest
