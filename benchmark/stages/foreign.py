"""A generator from outside as the stages use one: the contract's methods, whose code runs in a sandbox."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from pydantic import ValidationError

import benchmark
from benchmark.engine.sandbox.channel import Handler, Reply
from benchmark.engine.sandbox.level import warn_if_exposed
from benchmark.engine.sandbox.limits import Limits
from benchmark.engine.sandbox.sandbox import USED, Sandbox, plain
from benchmark.engine.store import store_root
from benchmark.errors import BenchmarkError, GeneratorError, TaskError
from benchmark.images import arrow
from benchmark.images.image_set import ImageSet
from benchmark.plugins.contexts import SampleContext
from benchmark.plugins.description import Description, describe_module, module_facts
from benchmark.plugins.generator import SampleRequest, Samples
from benchmark.plugins.registry import Plugin
from benchmark.stages.fit_context import STATE
from benchmark.stages.foreign_arrays import ARRAYS, Malformed, read_samples, write_request
from benchmark.tasks.classifier import ClassifierConfig
from benchmark.utils.files import atomic_path

ENTRY = "benchmark.stages.foreign_guest:handlers"
PLANNING_SECONDS = 600.0  # a slow disk takes a minute to import torch
MOST_ENTRIES = 100_000  # of a fit's history
MOST_NOTES = 20  # of a fit


def sandbox_of(
    plugin: Plugin, *, error: type[BenchmarkError], given: Mapping[str, Path], gpu: bool = False, **more: Any
) -> Sandbox:
    """Return a sandbox for a generator from outside; it starts in a ``with`` block.

    Sources and phantoms are hidden, as is the store should it lie in a folder of the installation.
    """
    suite = Path(benchmark.__file__).parent
    packs = os.environ.get("SYNTHTHORAX_PACKS")
    hidden = [suite / "datasets", suite / "phantoms", store_root(), *([Path(packs)] if packs else [])]
    code = Path(plugin.target) if plugin.origin == "file" else None
    name = code.name if code else plugin.target
    where = f"generator '{plugin.name}' ({name})"
    return Sandbox(ENTRY, where, error, code, given, hidden, gpu, **more)


def describe(plugin: Plugin, params: Mapping[str, Any]) -> Description:
    """Return what a generator declares; that of one from outside comes out of a sandbox.

    Raises:
        TaskError: the contract is broken, or a parameter is wrong.
    """
    if plugin.origin == "builtin":
        return describe_module(plugin.load(), plugin, dict(params))
    warn_if_exposed()
    value = {"plugin": vars(plugin), "params": _json(params)}
    try:
        return Description.model_validate(_ask(plugin, "describe", value))
    except ValidationError as fault:
        where = f"generator '{plugin.name}': {'.'.join(map(str, fault.errors()[0]['loc']))}"
        raise TaskError(where, plain(fault.errors()[0]["msg"]), "See docs/add_a_generator.md.") from None


def _json(value: Any) -> Any:
    """Return values of YAML as JSON values."""
    if isinstance(value, Mapping):
        return {str(k): _json(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [_json(v) for v in value]
    return value if isinstance(value, (bool, int, float, str)) or value is None else str(value)


def facts(plugin: Plugin) -> tuple[bool, str]:
    """Return whether a generator has a search space, and the hash of its code."""
    known = module_facts(plugin.load()) if plugin.origin == "builtin" else _ask(plugin, "facts", vars(plugin))
    return known.get("has_search_space") is True, str(known.get("code"))[:64]


def suggest(plugin: Plugin, trial: Any) -> dict[str, Any]:
    """Return the parameters that a generator's search space draws from an Optuna trial."""
    if plugin.origin == "builtin":
        return dict(plugin.load().search_space(trial))

    def ask(value: Any, _: Mapping[str, Path]) -> Reply:
        method = value.get("method")
        if method not in ("suggest_int", "suggest_float", "suggest_categorical"):
            remedy = "Use suggest_int, suggest_float or suggest_categorical."
            raise TaskError(f"generator '{plugin.name}'", f"calls trial.{plain(method, 40)}", remedy)
        return getattr(trial, method)(*value["given"], **value["named"]), {}

    return dict(_ask(plugin, "search_space", vars(plugin), {"suggest": ask}))


def _ask(
    plugin: Plugin, call: str, value: Any, handlers: Mapping[str, Handler] | None = None
) -> dict[str, Any]:
    limits = Limits.of_machine(PLANNING_SECONDS)
    with sandbox_of(plugin, error=TaskError, given={}, limits=limits, handlers=handlers or {}) as sandbox:
        reply = sandbox.call(call, value).value
    if not isinstance(reply, dict):
        raise TaskError(sandbox.where, f"{call}() gave no mapping", "Fix the generator.")
    return reply


@contextmanager
def foreign_generator(
    plugin: Plugin,
    config: Any,
    *,
    train: ImageSet | None = None,
    state: Path | None = None,
    classifier: tuple[Path, ClassifierConfig, Mapping[str, Any]] | None = None,
    fitted: Sequence[Path] = (),
) -> Iterator[Any]:
    """Yield a substitute for the module of a generator from outside, with ``Params`` and ``Generator``.

    Args:
        config: of the stage, a ``GeneratorStageConfig``.
        train: the only images that the process can read; None while sampling.
        state: file of a saved training state, which need not exist.
        classifier: folder, configuration and shape of ``context.classifier``.
        fitted: folders of saved generators.
    """
    with tempfile.TemporaryDirectory(prefix="synththorax-given-", dir=state.parent if state else None) as own:
        given = {f"fitted/{i}": folder for i, folder in enumerate(fitted)}
        for i, asset in enumerate(config.assets):
            given |= {f"assets/{i}/{name}": path for name, path in asset.known_files().items()}
        if train is not None:
            given["train.arrow"] = Path(own) / "train.arrow"
            arrow.write_images(given["train.arrow"], replace(train, card={}))
        if state is not None and state.exists():
            given[STATE] = state
        if classifier is not None:
            given |= {f"classifier/{p.name}": p for p in classifier[0].glob("network.*")}
        host = _Host(config, classifier, tuple(fitted), state)
        sandbox = sandbox_of(
            plugin, error=GeneratorError, given=given, gpu=config.device == "cuda", handlers=host.handlers()
        )
        with sandbox:
            yield host.module(plugin, sandbox, Path(own))


class _Host:
    """The suite's end of a generator from outside."""

    def __init__(self, config: Any, classifier: Any, fitted: tuple[Path, ...], state: Path | None) -> None:
        self.config, self.classifier, self.fitted, self.state = config, classifier, fitted, state
        self.context: Any = None

    def module(self, plugin: Plugin, sandbox: Sandbox, own: Path) -> Any:
        """Return the substitute for the module."""
        self.sandbox, self.own = sandbox, own
        config = self.config
        folders = {asset.folder: asset.name for asset in config.assets}
        paths = {name: folders[Path(path).resolve()] for name, path in getattr(config, "paths", {}).items()}
        about = sandbox.call("open", {
            "plugin": vars(plugin), "device": config.device, "precision": config.precision,
            "asset_hashes": {asset.name: asset.hash for asset in config.assets},
            "params": getattr(config, "params", {}), "paths": paths,
        }).value  # fmt: skip
        whole = not (isinstance(about, dict) and about.get("whole_chunks") is False)
        kind = SimpleNamespace(conditions=set(config.conditions), whole_chunks=whole, load=self._load)
        return SimpleNamespace(Params=dict, Generator=_Kind(self, kind))

    def _load(self, folder: Path, context: SampleContext) -> _Generator:
        number = self.fitted.index(folder)
        about = {"number": number, "classifier": self.about_classifier(), **_plain_context(context)}
        self.sandbox.call("load", about)
        return _Generator(self)

    def about_classifier(self) -> dict[str, Any] | None:
        """Return configuration and shape of the classifier, whose files the sandbox holds, or None."""
        if self.classifier is None:
            return None
        return {"config": self.classifier[1].model_dump(mode="json"), **self.classifier[2]}

    def handlers(self) -> dict[str, Handler]:
        """Return what the generator may call during its fit."""
        methods = (self._log, self._checkpoint, self._stop, self._note, self._save_state)
        return {method.__name__[1:]: method for method in methods}

    def _log(self, value: Any, _: Mapping[str, Path]) -> Reply:
        context = self._fitting()
        step, scalars = value["step"], value["scalars"]
        valid = type(step) is int and isinstance(scalars, dict) and len(scalars) <= 64
        if not valid or not all(isinstance(v, float) and len(n) <= 64 for n, v in scalars.items()):
            raise self._fault("log() gave no step with at most 64 scalars")
        if len(context.history) >= MOST_ENTRIES:
            raise self._fault(f"log() was called for more than {MOST_ENTRIES} steps")
        context.log(step, **{plain(name): v for name, v in scalars.items() if name not in ("self", "step")})
        return None, {}

    def _checkpoint(self, value: Any, _: Mapping[str, Path]) -> Reply:
        context = self._fitting()
        if not all(type(value[name]) is int for name in ("step", "total", "first")):
            raise self._fault("checkpoint() gave no step")
        context.checkpoint(value["step"], value["total"], first=value["first"])
        return context.should_stop, {}

    def _stop(self, value: Any, _: Mapping[str, Path]) -> Reply:
        if type(value["step"]) is not int:
            raise self._fault("stop() gave no step")
        self._fitting().stop(value["step"], self._line(value["reason"]))
        return None, {}

    def _note(self, value: Any, _: Mapping[str, Path]) -> Reply:
        context = self._fitting()
        if len(context.notes) >= MOST_NOTES:
            raise self._fault(f"note() was called more than {MOST_NOTES} times")
        context.note(self._line(value))
        return None, {}

    def _line(self, value: Any) -> str:
        if not isinstance(value, str) or len(value) > 200:
            raise self._fault("a remark is not a text of at most 200 characters")
        return plain(value)

    def _save_state(self, _: Any, files: Mapping[str, Path]) -> Reply:
        self._fitting()
        if self.state is None or set(files) != {STATE}:
            raise self._fault("save_state() gave no state")
        with atomic_path(self.state) as part:
            shutil.copyfile(files[STATE], part)
        return None, {}

    def _fitting(self) -> Any:
        if self.context is None:
            raise self._fault("a method of the fit's context was called without a fit")
        return self.context

    def _fault(self, problem: str) -> GeneratorError:
        return GeneratorError(self.sandbox.where, problem, "Fix the generator.")


class _Kind:
    """Substitute for the generator's class."""

    def __init__(self, host: _Host, about: SimpleNamespace) -> None:
        self._host = host
        self.conditions, self.whole_chunks, self.load = about.conditions, about.whole_chunks, about.load

    def __call__(self, params: Any) -> _Generator:
        return _Generator(self._host)


class _Generator:
    """Substitute for a generator: ``benchmark.plugins.generator.Generator``."""

    def __init__(self, host: _Host) -> None:
        self._host, self._call = host, host.sandbox.call

    def fit(self, train: ImageSet, context: Any) -> None:
        """Fit on the images that the sandbox was given, which are these."""
        host = self._host
        host.context = context
        try:
            about = {"classifier": host.about_classifier(), "stop": context.should_stop}
            _note_gpu(self._call("fit", {"seed": context.seed, **about}).value)
        finally:
            host.context = None

    def sample(self, request: SampleRequest, context: SampleContext) -> Samples:
        """Draw images; what comes back is read as a stranger's data."""
        path = self._host.own / "request.safetensors"
        value = {"request": write_request(request, path), **_plain_context(context)}
        frame = self._call("sample", value, {ARRAYS: path})
        try:
            samples = read_samples(frame.value, frame.files)
        except Malformed as fault:
            raise self._host._fault(f"sample() gave {fault}") from None
        _note_gpu(frame.value)
        if samples is None:
            kind = plain(frame.value["type"], 80)
            remedy = "Return plugins.generator.Samples."
            raise GeneratorError(self._host.sandbox.where, f"sample() gave {kind}, expected Samples", remedy)
        return samples

    def save(self, folder: Path) -> None:
        """Save the generator's files into a folder."""
        for name, file in self._call("save").files.items():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.move(file, folder / name)


def _note_gpu(value: Any) -> None:
    USED.gpu |= isinstance(value, dict) and value.get("gpu") is True


def _plain_context(context: SampleContext) -> dict[str, Any]:
    return {"seed": context.seed, "sampler_steps": getattr(context, "sampler_steps", None)}
