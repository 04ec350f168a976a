"""Resolve the rows of a run: controls and generators, with validated parameters."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from benchmark.errors import TaskError, unknown_name
from benchmark.planning.assets import check_paths, locate_assets, refuse_stored_assets
from benchmark.planning.plan import Row
from benchmark.plugins.generator import Traits
from benchmark.plugins.registry import Plugin, available, find
from benchmark.stages.foreign import describe
from benchmark.stages.records import REAL_ONLY
from benchmark.tasks.parsing import read_yaml
from benchmark.tasks.profile import FitUnit, GeneratorEntry, Profile
from benchmark.tasks.schema import Task
from benchmark.utils.naming import check_name

WITHOUT_IMAGES = {
    "real_only": {
        "title": "Real images only",
        "description": "No added images: the baseline of every difference.",
        "citation": "",
        "license": "Apache-2.0",
    },
    "oversample": {
        "title": "Oversampling",
        "description": "Minority classes drawn again until every class is as frequent as the largest.",
        "citation": "Schaudt et al. 2023, Table 9",
        "license": "Apache-2.0",
    },
    "class_weights": {
        "title": "Class weights",
        "description": "Every class weighs as much in the loss as any other, however rare it is.",
        "citation": "King and Zeng 2001, Logistic regression in rare events data",
        "license": "Apache-2.0",
    },
}


def resolve_rows(
    task: Task,
    profile_name: str,
    generators: tuple[str, ...] | None,
    params: Path | None,
    only: tuple[str, ...] = (),
) -> list[Row]:
    """Return the task's controls, then its generators.

    Args:
        generators: names or paths of Python files in place of the task's, or beside them where the first
            begins with ``+``; None for the task's.
        params: YAML of tuned parameters, or None.
        only: rows to return, with ``real_only``; all where it is empty.
    Raises:
        TaskError: an unknown or repeated name, one that no folder can have, or a wrong parameter.
    """
    profile = task.profile(profile_name)
    rows = [_control(name) for name in task.controls]
    tuned, trials = tuned_params(params), tuning_trials(params)
    own, given = _names(profile, generators)
    for name in (*own, *given):
        entry = profile.generators.get(name, GeneratorEntry())
        if name not in given and (entry.plugin or name) not in available("generators"):
            rows.append(_absent(name, entry))
            continue
        plugin = find("generators", [entry.plugin or name])[0]
        row_name = name if entry.plugin else plugin.name
        entry = profile.generators.get(row_name, entry)
        attempts = trials if row_name in tuned else 1
        row = generator_row(plugin, entry, tuned.pop(row_name, {}))
        rows.append(replace(row, name=row_name, attempts=attempts))
    if tuned:
        raise unknown_name("generator", next(iter(tuned)), [r.name for r in rows], str(params))
    names = [r.name for r in rows]
    for name in names:
        check_name(name, f"task {task.name}: generators")
    repeated = sorted({n for n in names if names.count(n) > 1})
    if repeated:
        raise TaskError("--generators", f"'{repeated[0]}' is named twice, or is a control that runs anyway")
    if odd := [name for name in only if name not in names]:
        raise unknown_name("row", odd[0], names, "--only")
    return [row for row in rows if not only or row.name in (REAL_ONLY, *only)]


def _names(profile: Profile, generators: tuple[str, ...] | None) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the generators of the task that run, and those that a user names."""
    if generators is None:
        return tuple(profile.generators), ()
    if not generators or not generators[0].startswith("+"):
        return (), generators
    return tuple(profile.generators), tuple(n for n in (generators[0][1:], *generators[1:]) if n)


def _absent(name: str, entry: GeneratorEntry) -> Row:
    """Return the row of a generator that the task names and that is not installed."""
    known = entry.plugin or name
    return Row(
        name=name,
        role="generator",
        card={"title": name, "description": "Named by the task; not installed here."},
        params=entry.params,
        absent=f"no generator named '{known}' is installed; docs/add_a_generator.md says how to add one",
    )


def tuned_params(path: Path | None) -> dict[str, dict[str, Any]]:
    """Return parameters by generator, from a YAML file that ``tune`` or a person wrote."""
    if path is None:
        return {}
    value = read_yaml(path).get("generators")
    if not isinstance(value, dict) or not all(isinstance(v, dict) for v in value.values()):
        raise TaskError(f"{path}: generators", "expected a mapping from generator to its parameters")
    return value


def tuning_trials(path: Path | None) -> int:
    """Return the number of trials of the study that wrote a file of parameters; 1 for a person's."""
    study = {} if path is None else read_yaml(path).get("found")
    trials = study.get("trials") if isinstance(study, dict) else None
    return trials if isinstance(trials, int) and trials > 0 else 1


def _control(name: str) -> Row:
    if name in WITHOUT_IMAGES:
        return Row(name, "control", WITHOUT_IMAGES[name])
    plugin = available("generators").get(name)
    if plugin is None:
        raise unknown_name("control", name, [*WITHOUT_IMAGES, *available("generators")], "task: controls")
    return generator_row(plugin, GeneratorEntry(), {})


def generator_row(plugin: Plugin, entry: GeneratorEntry, tuned: Mapping[str, Any]) -> Row:
    """Return the row of a generator, after checking its contract and its parameters.

    Raises:
        TaskError: the plug-in lacks a part of the contract, or a parameter is wrong.
    """
    where = f"generator '{plugin.name}'"
    about = describe(plugin, {**entry.params, **tuned})
    card, traits = dict(about.card), about.traits
    if plugin.origin != "builtin":
        refuse_stored_assets(about.assets, where)
    assets = locate_assets([asset.asset() for asset in about.assets], where)
    check_paths(about.paths, assets, where)
    return Row(
        name=plugin.name,
        role=card.pop("role", "generator"),
        card=card,
        plugin={"name": plugin.name, "origin": plugin.origin},
        target=plugin.target,
        version=plugin.with_content(about.version),
        params=about.params,
        paths={name: str(path) for name, path in about.paths.items()},
        unit=_unit(traits, entry, where),
        conditions=tuple(sorted(traits.conditions)),
        needs_classifier="classifier" in traits.requires,
        entry=entry,
        assets=assets,
        formats=tuple(sorted(traits.formats)),
        trained=about.has_search_space,
    )


def _unit(traits: Traits, entry: GeneratorEntry, where: str) -> FitUnit:
    """Return what one fit of a row learns; an unconditional generator learns at most one class.

    Raises:
        TaskError: the generator does not learn from a single image, or from nothing else.
    """
    unit = entry.fit or traits.fit_unit
    if "per_image" in (unit, traits.fit_unit) and unit != traits.fit_unit:
        raise TaskError(f"{where}: fit", f"is {unit}, its fit_unit is {traits.fit_unit}", "Leave fit out.")
    unconditional = not traits.conditions & {"label", "labels", "prompt"}
    return "per_class" if unconditional and unit == "joint" else unit
