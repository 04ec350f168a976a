"""Inside a sandbox: the handlers that run a generator from outside."""

from __future__ import annotations

import importlib.util
import shutil
import sys
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

from benchmark.engine.sandbox.channel import Channel, Handler, Reply
from benchmark.plugins.contexts import SampleContext
from benchmark.plugins.description import describe_module, module_facts
from benchmark.plugins.generator import Traits
from benchmark.plugins.registry import Plugin
from benchmark.stages.foreign_arrays import ARRAYS, read_request, write_samples
from benchmark.utils.training_state import load_state, one_thread, save_state

if TYPE_CHECKING:
    import torch

STATE = "state.pt"


def handlers(channel: Channel, given: Path) -> Mapping[str, Handler]:
    """Return what the suite may call."""
    return Guest(channel, given).handlers()


@dataclass(frozen=True)
class GuestFit(SampleContext):
    """A ``plugins.contexts.FitContext`` whose other end is the suite's."""

    call: Callable[..., Any] = field(kw_only=True)
    state: Path = field(kw_only=True)
    scratch: Path = field(kw_only=True)
    reserve: None = None
    fold: int = 0
    stopping: dict[str, bool] = field(default_factory=dict)

    @property
    def should_stop(self) -> bool:
        """See benchmark.plugins.contexts.FitContext."""
        return self.stopping["now"]

    def scaler(self) -> torch.amp.GradScaler:
        """See benchmark.plugins.contexts.FitContext.scaler."""
        import torch

        return torch.amp.GradScaler(torch.device(self.device).type, enabled=self.precision == "float16")

    def log(self, step: int, **scalars: float) -> None:
        """See benchmark.plugins.contexts.FitContext.log."""
        self.call("log", {"step": int(step), "scalars": {n: float(v) for n, v in scalars.items()}})

    def checkpoint(self, step: int, total: int, *, first: int = 0) -> None:
        """See benchmark.plugins.contexts.FitContext.checkpoint."""
        reply = self.call("checkpoint", {"step": int(step), "total": int(total), "first": int(first)})
        self.stopping["now"] = bool(reply.value)

    def stop(self, step: int, reason: str) -> None:
        """See benchmark.plugins.contexts.FitContext.stop."""
        self.call("stop", {"step": int(step), "reason": str(reason)})

    def note(self, remark: str) -> None:
        """See benchmark.plugins.contexts.FitContext.note."""
        self.call("note", str(remark))

    def load_state(self) -> Mapping[str, Any] | None:
        """See benchmark.plugins.contexts.FitContext.load_state."""
        return load_state(self.state, "cpu")

    def save_state(self, state: Mapping[str, Any]) -> None:
        """See benchmark.plugins.contexts.FitContext.save_state."""
        save_state(self.state, state)
        self.call("save_state", None, {STATE: self.state})


class Guest:
    """One generator from outside: its module, and the object that is fitted or loaded."""

    def __init__(self, channel: Channel, given: Path) -> None:
        self.channel, self.given = channel, given
        self.own = Path(tempfile.mkdtemp(dir=tempfile.gettempdir()))
        self.generator: Any = None
        self.machine: dict[str, Any] = {}
        self.classifier: Any = None

    def handlers(self) -> dict[str, Handler]:
        """Return the methods that the suite may call, by name."""
        methods = (
            self.facts,
            self.describe,
            self.search_space,
            self.open,
            self.fit,
            self.load,
            self.sample,
            self.save,
        )
        return {method.__name__: method for method in methods}

    def facts(self, value: Any, _: Mapping[str, Path]) -> Reply:
        """Return what the module declares without parameters."""
        return module_facts(Plugin(**value).load()), {}

    def describe(self, value: Any, _: Mapping[str, Path]) -> Reply:
        """Return everything that planning reads of the module, with these parameters."""
        plugin = Plugin(**value["plugin"])
        return describe_module(plugin.load(), plugin, value["params"]).model_dump(mode="json"), {}

    def search_space(self, value: Any, _: Mapping[str, Path]) -> Reply:
        """Return the parameters that the search space draws from the suite's trial."""
        return dict(Plugin(**value).load().search_space(_Trial(self.channel))), {}

    def open(self, value: Any, _: Mapping[str, Path]) -> Reply:
        """Import the module for a fit or for sampling; return its traits."""
        sys.meta_path.insert(0, _TorchHook())
        self.module = Plugin(**value["plugin"]).load()
        assets = {name: self.given / "assets" / str(i) for i, name in enumerate(value["asset_hashes"])}
        self.machine = {**{n: value[n] for n in ("device", "precision", "asset_hashes")}, "assets": assets}
        # a parameter that is a path is the folder of an asset
        self.params = value["params"] | {name: assets[asset] for name, asset in value["paths"].items()}
        return {"whole_chunks": Traits.of(self.module.Generator).whole_chunks}, {}

    def fit(self, value: Any, _: Mapping[str, Path]) -> Reply:
        """Fit the generator on the given training images."""
        from benchmark.images import arrow

        if (self.given / STATE).exists():
            shutil.copyfile(self.given / STATE, self.own / STATE)
        (self.own / "scratch").mkdir(exist_ok=True)
        self.classifier = self._classifier(value["classifier"])
        context = GuestFit(
            **self.machine, seed=value["seed"], call=self.channel.call, state=self.own / STATE,
            scratch=self.own / "scratch", classifier=self.classifier, stopping={"now": value["stop"]},
        )  # fmt: skip
        self.generator = self.module.Generator(self.module.Params(**self.params))
        self.generator.fit(arrow.read_images(self.given / "train.arrow"), context)
        return {"gpu": _used_gpu()}, {}

    def _classifier(self, about: Mapping[str, Any] | None) -> Any:
        if about is None:
            return None
        from benchmark.classifiers.guide import load
        from benchmark.tasks.classifier import ClassifierConfig

        config = ClassifierConfig.model_validate(about["config"])
        return load(
            self.given / "classifier", config, about["classes"], about["image_size"],
            self.machine["device"], multilabel=about["multilabel"],
        )  # fmt: skip

    def load(self, value: Any, _: Mapping[str, Path]) -> Reply:
        """Load a fitted generator by its number."""
        folder = self.given / "fitted" / str(value["number"])
        self.classifier = self._classifier(value["classifier"])
        self.generator = self.module.Generator.load(folder, self._context(value))
        return None, {}

    def sample(self, value: Any, files: Mapping[str, Path]) -> Reply:
        """Draw the images of a request."""
        request = read_request(value["request"], files[ARRAYS])
        path = self.own / ARRAYS
        path.unlink(missing_ok=True)
        about = write_samples(self.generator.sample(request, self._context(value)), path)
        about["gpu"] = _used_gpu()
        return about, {ARRAYS: path} if path.exists() else {}

    def save(self, _: Any, __: Mapping[str, Path]) -> Reply:
        """Save the generator."""
        folder = self.own / "saved"
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        self.generator.save(folder)
        return None, {str(p.relative_to(folder)): p for p in sorted(folder.rglob("*")) if p.is_file()}

    def _context(self, value: Mapping[str, Any]) -> SampleContext:
        return SampleContext(
            **self.machine, seed=value["seed"], sampler_steps=value["sampler_steps"],
            classifier=self.classifier,
        )  # fmt: skip


class _TorchHook(MetaPathFinder):
    """Gives torch the settings of a worker at the moment of its import, which takes seconds."""

    def find_spec(self, fullname: str, path: object, target: object = None) -> ModuleSpec | None:
        """Return torch's own spec, whose loader then sets one thread and exact algorithms."""
        if fullname != "torch":
            return None
        sys.meta_path.remove(self)
        spec = importlib.util.find_spec(fullname)
        if spec is None or spec.loader is None:
            return None
        load = spec.loader.exec_module

        def load_and_set(module: ModuleType) -> None:
            load(module)
            one_thread()

        spec.loader.exec_module = load_and_set  # type: ignore[method-assign]
        return spec


class _Trial:
    """An Optuna trial whose suggestions come from the suite."""

    def __init__(self, channel: Channel) -> None:
        self._channel = channel

    def __getattr__(self, name: str) -> Callable[..., Any]:
        if not name.startswith("suggest_"):
            raise AttributeError(f"a trial in a sandbox has no '{name}', only suggest_...")
        return lambda *given, **named: (
            self._channel.call("suggest", {"method": name, "given": given, "named": named}).value
        )


def _used_gpu() -> bool:
    return bool("torch" in sys.modules and sys.modules["torch"].cuda.is_initialized())
