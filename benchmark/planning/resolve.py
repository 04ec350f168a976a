"""From names that a user typed to a plan in which everything is decided and checked."""

from __future__ import annotations

import argparse
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from types import ModuleType
from typing import Any

import yaml

from benchmark.engine.node import needed
from benchmark.engine.store import store_root as store_root
from benchmark.errors import DataError, TaskError, unknown_name
from benchmark.planning.graph import build
from benchmark.planning.plan import Plan, Row
from benchmark.plugins.registry import Plugin, available, find
from benchmark.tasks.classifier import ClassifierConfig
from benchmark.tasks.schema import GeneratorEntry, Task, load_task, parse, read_yaml
from benchmark.utils.hashing import sha256_file

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


@dataclass(frozen=True)
class RunRequest:
    """What a user asked for; None means the task's own choice."""

    task: str
    profile: str = "demo"
    source: str | None = None
    root: Path | None = None
    generators: tuple[str, ...] | None = None
    params: Path | None = None
    extractor: str | None = None
    scenario: str | None = None
    weights: str | None = None
    device: str = "auto"
    precision: str = "auto"


def resolve_device(device: str, precision: str) -> tuple[str, str]:
    """The device and precision of a run: CUDA where there is one, bfloat16 where the device computes in it.

    Raises:
        TaskError: an unknown word, or CUDA asked for where there is none.
    """
    if device not in ("auto", "cpu", "cuda"):
        raise unknown_name("device", device, ["auto", "cpu", "cuda"], "--device")
    if precision not in ("auto", "float32", "bfloat16"):
        raise unknown_name("precision", precision, ["auto", "float32", "bfloat16"], "--precision")
    import torch

    has_cuda = torch.cuda.is_available()
    if device == "cuda" and not has_cuda:
        raise TaskError("--device", "is cuda, but torch finds no CUDA device", "Use --device cpu, or auto.")
    chosen = "cuda" if has_cuda and device != "cpu" else "cpu"
    if precision == "auto":
        fast = torch.cuda.is_bf16_supported() if chosen == "cuda" else _cpu_has_bfloat16()
        precision = "bfloat16" if fast else "float32"
    return chosen, precision


def _cpu_has_bfloat16() -> bool:
    """Whether this processor multiplies in bfloat16; elsewhere it would be emulated, and slower."""
    import torch

    names = ("_is_avx512_bf16_supported", "_is_amx_tile_supported")
    return any(getattr(torch.cpu, name, lambda: False)() for name in names)


def resolve_extractor(name: str) -> tuple[str, str]:
    """The extractor that a name stands for, and the SHA-256 of its weights: other weights, other keys."""
    from benchmark.metrics.features import INCEPTION, inception_path, resolve

    resolved = resolve(name)
    if resolved == INCEPTION:
        return resolved, sha256_file(inception_path())
    folder = Path(__file__).parent.parent / "metrics" / "extractor"
    return resolved, sha256_file(folder / f"{resolved}.safetensors")


def make_plan(request: RunRequest, *, stages: Iterable[str] | None = None) -> Plan:
    """Check every name and parameter of a run before anything is computed.

    Args:
        wish: what the user asked for.
        stages: those that will be run with whatever they need; None for all. Initial weights are found
            where a classifier is among them.
    Raises:
        TaskError, DataError, ClassifierError: the first fault, with the remedy.
    """
    task = load_task(request.task).variant(choices(request.scenario))
    profile = task.profile(request.profile)
    source = request.source or task.default_source
    task.source(source)
    _check_heads(task, request.profile, source)
    if request.weights is not None:
        chosen = tuple(_with_weights(classifier, request.weights) for classifier in profile.classifiers)
        task = task.with_classifiers(request.profile, chosen)
    plugin = find("sources", [source])[0]
    module = plugin.load()
    values = {**task.source(source).params, **profile.data.get(source, {})}
    params = source_params(module, source, values, request.root)
    paths = {k: str(v) for k, v in params if isinstance(v, Path)}
    extractor, extractor_hash = resolve_extractor(request.extractor or profile.measures.extractor)
    device, precision = resolve_device(request.device, request.precision)
    plan = Plan(
        task=task,
        profile_name=request.profile,
        source=source,
        source_target=plugin.target,
        source_params={k: v for k, v in params.model_dump(mode="json").items() if k not in paths},
        source_paths=paths,
        source_fingerprint=module.fingerprint(params),
        source_version=plugin.version(module),
        rows=tuple(_rows(task, request)),
        extractor=extractor,
        extractor_hash=extractor_hash,
        device=device,
        precision=precision,
    )
    return _with_found_weights(plan) if _trains(plan, stages) else plan


def _check_heads(task: Task, profile: str, source: str) -> None:
    """A yes or no cannot tell the two classes from the third that ``multi_class`` makes of uncertain labels.

    Raises:
        TaskError: names the classifier and the step.
    """
    for name, rule in task.steps(profile, source).items():
        for classifier in task.profile(profile).classifiers:
            if getattr(rule, "uncertain", "") == "multi_class" and classifier.head == "sigmoid":
                raise TaskError(
                    f"task {task.name}: {name}.uncertain",
                    f"is multi_class, a third class that head 'sigmoid' of {classifier.where} cannot learn",
                    "Choose another policy, or head linear.",
                )


def _trains(plan: Plan, stages: Iterable[str] | None) -> bool:
    """Whether any of the stages, or of what they need, has to do with a classifier."""
    nodes = build(plan)
    return any("classifier" in n.config for n in (nodes if stages is None else needed(nodes, stages)))


def _with_found_weights(plan: Plan) -> Plan:
    """The plan with the initial weights of its classifiers named by their content.

    Raises:
        ClassifierError: weights that cannot be had, or do not fit.
    """
    classifiers = plan.profile.classifiers
    if all(classifier.weights.kind == "none" for classifier in classifiers):
        return plan
    from benchmark.classifiers.network import check_weights
    from benchmark.classifiers.weights import locate_weights

    found = tuple(locate_weights(classifier) for classifier in classifiers)
    for classifier in found:
        if classifier.weights.kind != "none":
            check_weights(classifier)
    return replace(plan, task=plan.task.with_classifiers(plan.profile_name, found))


def _with_weights(classifier: ClassifierConfig, choice: str) -> ClassifierConfig:
    """The recipe with ``none``, ``imagenet``, or the file of its architecture in a folder."""
    weights: dict[str, Any] = {"kind": choice}
    if choice == "imagenet" and classifier.weights.kind == "imagenet":
        return classifier
    if choice not in ("none", "imagenet"):
        folder = Path(choice)
        if not folder.is_dir():
            raise TaskError(f"--weights {choice}", "is no folder", "Give none, imagenet, or a folder.")
        weights = {"kind": "file", "path": folder / f"{classifier.timm}.safetensors"}
    return parse(
        ClassifierConfig,
        {**classifier.model_dump(), "weights": weights},
        f"--weights {choice}: {classifier.where}",
    )


def choices(text: str | None) -> dict[str, Any]:
    """``step.field=value,...`` as values of YAML: numbers are numbers.

    Raises:
        TaskError: not of this form.
    """
    found = {}
    for part in re.split(r",(?=\s*\w+\.\w+\s*=)", text or ""):  # a value may hold commas of its own
        path, equals, value = part.partition("=")
        if not part.strip():
            continue
        if not equals or not re.fullmatch(r"\w+\.\w+", path.strip()):
            raise TaskError("--scenario", f"'{part}' is not of the form step.field=value", "See: tasks NAME.")
        try:
            found[path.strip()] = yaml.safe_load(value)
        except yaml.YAMLError:
            raise TaskError(
                f"--scenario {path}", f"'{value}' is no plain value", "See: tasks NAME."
            ) from None
    return found


def source_params(module: ModuleType, source: str, values: Mapping[str, Any], root: Path | None) -> Any:
    """The validated parameters of a source, with the folder that the user gave.

    Raises:
        TaskError, DataError: a root where none is read, none where one is needed, or a wrong parameter.
    """
    fields = module.Params.model_fields
    given = dict(values)
    if root is not None:
        if "root" not in fields:
            raise TaskError("--root", f"source '{source}' reads no folder", "Leave --root out.")
        given["root"] = root.resolve()
    elif "root" in fields and "root" not in given:
        raise DataError(f"source {source}", "needs the folder of the dataset", "Give it with --root PATH.")
    return parse(module.Params, given, f"source {source}: params")


def _rows(task: Task, request: RunRequest) -> list[Row]:
    profile = task.profile(request.profile)
    rows = [_control(name) for name in task.controls]
    wanted = request.generators if request.generators is not None else tuple(profile.generators)
    tuned = tuned_params(request.params)
    for name in wanted:
        entry = profile.generators.get(name, GeneratorEntry())
        if request.generators is None and (entry.plugin or name) not in available("generators"):
            rows.append(_absent(name, entry))
            continue
        plugin = find("generators", [entry.plugin or name])[0]
        named = name if entry.plugin else plugin.name
        entry = profile.generators.get(named, entry)
        rows.append(replace(generator_row(plugin, entry, tuned.pop(named, {})), name=named))
    if tuned:
        raise unknown_name("generator", next(iter(tuned)), [r.name for r in rows], str(request.params))
    names = [r.name for r in rows]
    twice = sorted({n for n in names if names.count(n) > 1})
    if twice:
        raise TaskError("--generators", f"'{twice[0]}' is named twice, or is a control that runs anyway")
    return rows


def _absent(name: str, entry: GeneratorEntry) -> Row:
    """The row of a generator that the task names and nobody has installed."""
    known = entry.plugin or name
    return Row(
        name=name,
        role="generator",
        card={"title": name, "description": "Named by the task; not installed here."},
        params=entry.params,
        absent=f"no generator named '{known}' is installed; docs/add_a_generator.md says how to add one",
    )


def tuned_params(path: Path | None) -> dict[str, dict[str, Any]]:
    """Parameters by generator, from a YAML that ``tune`` wrote or a person did."""
    if path is None:
        return {}
    value = read_yaml(path).get("generators")
    if not isinstance(value, dict) or not all(isinstance(v, dict) for v in value.values()):
        raise TaskError(f"{path}: generators", "expected a mapping from generator to its parameters")
    return value


def _control(name: str) -> Row:
    if name in WITHOUT_IMAGES:
        return Row(name, "control", WITHOUT_IMAGES[name])
    plugin = available("generators").get(name)
    if plugin is None:
        raise unknown_name("control", name, [*WITHOUT_IMAGES, *available("generators")], "task: controls")
    return generator_row(plugin, GeneratorEntry(), {})


def generator_row(plugin: Plugin, entry: GeneratorEntry, tuned: Mapping[str, Any]) -> Row:
    """The row of a generator, its contract looked over and its parameters validated.

    Raises:
        TaskError: the plug-in lacks a part of the contract, or a parameter is wrong.
    """
    module = plugin.load()
    kind = check_contract(module, plugin)
    where = f"generator '{plugin.name}': params"
    params = parse(module.Params, {**entry.params, **tuned}, where)
    card = {k: str(v) for k, v in dict(getattr(module, "card", {})).items()}
    return Row(
        name=plugin.name,
        role=card.pop("role", "generator"),
        card=card,
        plugin={"name": plugin.name, "origin": plugin.origin},
        target=plugin.target,
        version=plugin.version(module),
        params=params.model_dump(mode="json"),
        per_class=entry.fit == "per_class" or not kind.conditions,
        trained=hasattr(module, "search_space"),
    )


def check_contract(module: ModuleType, plugin: Plugin) -> Any:
    """The generator class of a plug-in.

    Raises:
        TaskError: names the part of the contract that is missing.
    """
    for name in ("Params", "Generator"):
        if not hasattr(module, name):
            raise TaskError(f"{plugin.target}: {name}", "is missing", "See docs/add_a_generator.md.")
    kind = module.Generator
    missing = [m for m in ("fit", "sample", "save", "load", "conditions") if not hasattr(kind, m)]
    if missing:
        raise TaskError(
            f"{plugin.target}: {kind.__name__}", f"lacks {', '.join(missing)}", "See docs/add_a_generator.md."
        )
    return kind


def split_names(value: str | None) -> tuple[str, ...] | None:
    """``a,b,c`` as names; nothing as None."""
    names = tuple(n.strip() for n in (value or "").split(",") if n.strip())
    return names or None


def request_of(options: argparse.Namespace) -> RunRequest:
    """The wish that the options of a verb express."""
    return RunRequest(
        task=options.task,
        profile=options.profile,
        source=options.source,
        root=options.root,
        generators=split_names(getattr(options, "generators", None)),
        params=getattr(options, "params", None),
        extractor=getattr(options, "extractor", None),
        scenario=options.scenario,
        weights=getattr(options, "weights", None),
        device=options.device,
        precision=options.precision,
    )
