"""Resolve a run's source: its plug-in, its parameters and its split, with the settings of ``--set``."""

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

import yaml
from pydantic.fields import FieldInfo
from pydantic_core import to_jsonable_python

from benchmark.errors import DataError, TaskError, unknown_name
from benchmark.plugins.registry import Plugin, find
from benchmark.plugins.source import DataSource, load_source
from benchmark.tasks.parsing import parse
from benchmark.tasks.schema import Source, SplitRule, Task

SPLIT = "split."  # begins the name of a setting of the split; the others are parameters of the source
NOT_SET = ("by", "fold")  # fields of a split that no user sets


@dataclass(frozen=True)
class ResolvedSource:
    """The source of a run.

    Attributes:
        task: with the settings made.
        params: the validated ``Params`` of the module.
        settings: those of ``--set`` that differ from the task, as JSON values; without paths.
    """

    task: Task
    plugin: Plugin
    module: DataSource
    params: Any
    settings: Mapping[str, Any]


def resolve_source(
    task: Task, profile: str, name: str | None, *, root: Path | None, settings: Iterable[str] = ()
) -> ResolvedSource:
    """Find a source, and validate its contract, its parameters and the settings.

    Args:
        name: of a source of the task, or path of a Python file; None for the task's own.
        root: folder of the dataset, if it reads one.
        settings: as ``read_settings`` takes them.
    Raises:
        TaskError, DataError: an unknown name, a broken contract, or a wrong parameter.
    """
    name = name or task.default_source
    if not name.endswith(".py"):
        task.source(name)
    plugin = find("sources", [name])[0]
    module = load_source(plugin)
    task = task.with_source(plugin.name, task.sources.get(plugin.name, Source()))
    given = read_settings(settings)
    task, changed = with_settings(task, profile, plugin.name, module, given)
    paths = {k: v for k, v in given.items() if is_path(module.Params.model_fields.get(k))}
    values = {**task.source(plugin.name).params, **task.profile(profile).data.get(plugin.name, {}), **paths}
    params = source_params(module, plugin.name, values, root)
    return ResolvedSource(task, plugin, module, params, changed)


def read_settings(texts: Iterable[str]) -> dict[str, Any]:
    """Read ``name=value,other=value`` with YAML values, or a YAML mapping ``{name: value, other: value}``.

    Raises:
        TaskError: not of this form, or a name twice.
    """
    settings: dict[str, Any] = {}
    for text in texts:
        for name, value in _pairs(text):
            if name in settings:
                raise TaskError(f"--set {name}", "is given twice", "Give it once.")
            settings[name] = value
    return settings


def _pairs(text: str) -> Iterable[tuple[str, Any]]:
    try:
        if text.lstrip().startswith("{"):
            return dict(yaml.safe_load(text)).items()
        parts = re.split(r",(?=\s*[\w.]+\s*=)", text)  # a value may hold commas
        parts = [part for part in parts if part.strip()]
        pairs = [(name.strip(), equals, value) for name, equals, value in (p.partition("=") for p in parts)]
        if any(not name or not equals for name, equals, _ in pairs):
            raise TaskError(f"--set {text}", "is not key=value", "For example --set split.too_few=exclude.")
        return [(name, yaml.safe_load(value)) for name, _, value in pairs]
    except (yaml.YAMLError, ValueError, TypeError):
        raise TaskError(f"--set {text}", "is not YAML", "Quote the value.") from None


def setting_words(settings: Mapping[str, Any]) -> list[str]:
    """Return settings as ``read_settings`` takes them."""
    return [f"{name}={json.dumps(value)}" for name, value in settings.items()]


def check_settings(module: DataSource, settings: Iterable[str], *, split: bool) -> None:
    """Refuse a setting that the source, or with ``split`` the division of its images, does not have.

    Raises:
        UnknownNameError: names the setting that may be meant.
    """
    fields = [f"{SPLIT}{name}" for name in SplitRule.model_fields if name not in NOT_SET] if split else []
    known = [*module.Params.model_fields, *fields]
    for name in settings:
        if name not in known:
            raise unknown_name("setting", str(name), known, "--set")


def with_settings(
    task: Task, profile: str, source: str, module: DataSource, settings: Mapping[str, Any]
) -> tuple[Task, dict[str, Any]]:
    """Return the task with settings made, and those that differ from it.

    They count in the protocol's hash as if the task file had them. A parameter that is a path is not part of
    a protocol, so it is left out.

    Raises:
        TaskError: an unknown setting, or a wrong value of the split.
    """
    check_settings(module, settings, split=True)
    entry, fields = task.source(source), module.Params.model_fields
    before = entry.split.model_dump(mode="json")
    split = {k.removeprefix(SPLIT): v for k, v in settings.items() if k.startswith(SPLIT)}
    rule: SplitRule = parse(SplitRule, {**before, **split}, "--set split")
    after = rule.model_dump(mode="json")
    known = {**entry.params, **task.profile(profile).data.get(source, {})}
    params = {
        name: value
        for name, value in settings.items()
        if name in fields and not is_path(fields[name]) and value != _current(fields[name], known, name)
    }
    task = task.with_source(source, entry.model_copy(update={"split": rule}))
    if params:
        task = task.with_data(profile, source, params)
    return task, {**{f"{SPLIT}{k}": after[k] for k in split if after[k] != before[k]}, **params}


def _current(field: FieldInfo, known: Mapping[str, Any], name: str) -> Any:
    """Return the value that a parameter has without a setting, as JSON."""
    return to_jsonable_python(known[name] if name in known else field.get_default(call_default_factory=True))


def is_path(field: FieldInfo | None) -> bool:
    """Return whether a parameter is a path."""
    return field is not None and Path in (field.annotation, *get_args(field.annotation))


def source_params(module: DataSource, source: str, values: Mapping[str, Any], root: Path | None) -> Any:
    """Return the validated parameters of a source, with the folder that the user gave.

    Raises:
        TaskError, DataError: a root that the source does not read, a missing root, or a wrong parameter.
    """
    fields = module.Params.model_fields
    given = dict(values)
    if root is not None:
        if "root" not in fields:
            raise TaskError("--root", f"source '{source}' reads no folder", "Leave --root out.")
        given["root"] = root.resolve()
    elif "root" in fields and fields["root"].is_required() and "root" not in given:
        raise DataError(f"source {source}", "needs the folder of the dataset", "Give it with --root PATH.")
    return parse(module.Params, given, f"source {source}: params")
