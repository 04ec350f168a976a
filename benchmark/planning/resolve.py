"""Resolve and validate user options into a run plan."""

import re
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import yaml

from benchmark.engine.resources import Placement
from benchmark.errors import TaskError, unknown_name
from benchmark.planning.graph import build
from benchmark.planning.metrics import resolve_metrics
from benchmark.planning.plan import Plan
from benchmark.planning.protocol_hash import extractor_hash
from benchmark.planning.request import RunRequest
from benchmark.planning.requests import check_conditions, with_read_files
from benchmark.planning.rows import resolve_rows
from benchmark.planning.source import resolve_source
from benchmark.plugins.source import source_conditions
from benchmark.stages.training import ClassifierStageConfig
from benchmark.tasks.classifier import ClassifierConfig
from benchmark.tasks.loading import load_task
from benchmark.tasks.parsing import parse
from benchmark.tasks.schema import Task

DRIVER = Path("/proc/driver/nvidia/version")


def resolve_device(device: str, precision: str, placement: Placement | None = None) -> tuple[str, str]:
    """Return device and precision of a run: CUDA where present, bfloat16 where the device computes in it.

    Args:
        placement: of stages for which no device is to be asked. Then CUDA is present if the cluster's file
            states GPUs, or if stages run here and a driver is loaded; GPUs compute in bfloat16. A stage
            refuses a machine without a GPU.
    Raises:
        TaskError: an unknown name, or CUDA where there is none.
    """
    if device not in ("auto", "cpu", "cuda"):
        raise unknown_name("device", device, ["auto", "cpu", "cuda"], "--device")
    precisions = ["auto", "float32", "bfloat16", "float16"]
    if precision not in precisions:
        raise unknown_name("precision", precision, precisions, "--precision")
    if placement is not None:
        has_gpus = placement.has_gpus or (not placement.elsewhere and DRIVER.exists())
        chosen = "cuda" if device == "cuda" or (device == "auto" and has_gpus) else "cpu"
    else:
        chosen = _device_here(device)
    if precision == "float16" and chosen == "cpu":
        raise TaskError(
            "--precision", "is float16, which a CPU does not train in", "Use bfloat16 or float32."
        )
    if precision == "auto":
        fast = _gpu_has_bfloat16(placement) if chosen == "cuda" else _cpu_has_bfloat16()
        precision = "bfloat16" if fast else "float32"
    return chosen, precision


def _device_here(device: str) -> str:
    import torch

    has_cuda = torch.cuda.is_available()
    if device == "cuda" and not has_cuda:
        raise TaskError("--device", "is cuda, but torch finds no CUDA device", "Use --device cpu, or auto.")
    return "cuda" if has_cuda and device != "cpu" else "cpu"


def _gpu_has_bfloat16(placement: Placement | None) -> bool:
    import torch

    return placement is not None or torch.cuda.is_bf16_supported()


def _cpu_has_bfloat16() -> bool:
    """Return whether this processor multiplies in bfloat16; elsewhere it would be emulated, and slower."""
    import torch

    names = ("_is_avx512_bf16_supported", "_is_amx_tile_supported")
    return any(getattr(torch.cpu, name, lambda: False)() for name in names)


def resolve_extractor(name: str) -> tuple[str, str]:
    """Return the extractor of a name and the SHA-256 of its weights; other weights give other cache keys."""
    from benchmark.metrics.extractor.features import resolve

    resolved = resolve(name)
    return resolved, extractor_hash(resolved)


def make_plan(
    request: RunRequest, *, stages: Iterable[str] | None = None, placement: Placement | None = None
) -> Plan:
    """Resolve and validate every name and parameter of a run before anything is computed.

    Args:
        stages: the stages to run with all that they need; None for all. Initial weights are located only
            where one of them trains a classifier.
        placement: of stages that do not run on this machine, see ``resolve_device``.
    Raises:
        TaskError, DataError, ClassifierError: the first fault, with the remedy.
    """
    task = with_read_files(load_task(request.task).variant(choices(request.scenario)))
    chosen = resolve_source(task, request.profile, request.source, root=request.root, settings=request.set)
    task, source, params = chosen.task, chosen.plugin.name, chosen.params
    _check_heads(task, request.profile, source)
    if request.seeds:
        task = task.with_seeds(request.profile, request.seeds)
    if request.weights is not None:
        classifiers = tuple(
            _with_weights(each, request.weights) for each in task.profile(request.profile).classifiers
        )
        task = task.with_classifiers(request.profile, classifiers)
    paths = {k: str(v) for k, v in params if isinstance(v, Path)}
    profile = task.profile(request.profile)
    extractor, extractor_hash = resolve_extractor(request.extractor or profile.measures.extractor)
    device, precision = resolve_device(request.device, request.precision, placement)
    plan = Plan(
        task=task,
        profile_name=request.profile,
        source=source,
        source_target=chosen.plugin.target,
        source_params={k: v for k, v in params.model_dump(mode="json").items() if k not in paths},
        source_paths=paths,
        source_fingerprint=chosen.module.fingerprint(params),
        source_version=chosen.plugin.version(chosen.module),
        rows=tuple(resolve_rows(task, request.profile, request.generators, request.params, request.only)),
        extractor=extractor,
        extractor_hash=extractor_hash,
        device=device,
        precision=precision,
        settings=chosen.settings,
        metrics=resolve_metrics(profile.measures.metrics, request.metrics),
    )
    check_conditions(task, plan.rows, source, source_conditions(chosen.module, params))
    return _with_located_weights(plan) if _trains(plan, stages) else plan


def _check_heads(task: Task, profile: str, source: str) -> None:
    """Refuse a sigmoid head where ``multi_class`` makes a third class of uncertain labels.

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
    """Return whether any of the stages, or of their inputs, trains or reads a classifier."""
    graph = build(plan)
    nodes = graph if stages is None else graph.until(stages)
    return any(isinstance(node.config, ClassifierStageConfig) for node in nodes)


def _with_located_weights(plan: Plan) -> Plan:
    """Return the plan with the initial weights of its classifiers named by their content.

    Raises:
        ClassifierError: weights are missing, or do not fit.
    """
    classifiers = plan.profile.classifiers
    if all(classifier.weights.kind == "none" for classifier in classifiers):
        return plan
    from benchmark.classifiers.network import check_weights
    from benchmark.classifiers.weights import locate_weights

    located = tuple(locate_weights(classifier) for classifier in classifiers)
    for classifier in located:
        if classifier.weights.kind != "none":
            check_weights(classifier)
    return replace(plan, task=plan.task.with_classifiers(plan.profile_name, located))


def _with_weights(classifier: ClassifierConfig, choice: str) -> ClassifierConfig:
    """Return the classifier with weights ``none``, ``imagenet``, or from its file in a folder."""
    weights: dict[str, Any] = {"kind": choice}
    if choice == "imagenet" and classifier.weights.kind == "imagenet":
        return classifier
    if choice not in ("none", "imagenet"):
        folder = Path(choice)
        if not folder.is_dir():
            raise TaskError(f"--weights {choice}", "is not a folder", "Give none, imagenet, or a folder.")
        weights = {"kind": "file", "path": folder / f"{classifier.timm}.safetensors"}
    return parse(
        ClassifierConfig,
        {**classifier.model_dump(), "weights": weights},
        f"--weights {choice}: {classifier.where}",
    )


def choices(text: str | None) -> dict[str, Any]:
    """Parse ``step.field=value,...``; values are YAML, so that numbers are numbers.

    Raises:
        TaskError: not of this form.
    """
    chosen = {}
    for part in re.split(r",(?=\s*\w+\.\w+\s*=)", text or ""):  # a value may hold commas
        path, equals, value = part.partition("=")
        if not part.strip():
            continue
        if not equals or not re.fullmatch(r"\w+\.\w+", path.strip()):
            raise TaskError("--scenario", f"'{part}' is not of the form step.field=value", "See: tasks NAME.")
        try:
            chosen[path.strip()] = yaml.safe_load(value)
        except yaml.YAMLError:
            raise TaskError(
                f"--scenario {path}", f"'{value}' is not a plain value", "See: tasks NAME."
            ) from None
    return chosen
