"""The context of a fit: previews on ``val``, the best checkpoint, resumable states."""

from __future__ import annotations

import json
import math
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from benchmark.errors import GeneratorError
from benchmark.images.image_set import ImageSet
from benchmark.plugins.generator import Generator, Sampler, SampleRequest
from benchmark.utils.files import write_json
from benchmark.utils.training_state import load_state, save_state

PREVIEW_SEED = 77


@dataclass
class Fit:
    """A ``plugins.generator.FitContext`` that keeps the generator's best state by preview FID on ``val``.

    Attributes:
        preview_fid: maps a preview to its FID against ``val``.
        kept: folder that holds the best state.
        asks_to_stop: given (step, fid), whether a tuner wants the fit to end.
    """

    generator: Generator
    name: str
    val: ImageSet
    preview: int
    preview_fid: Callable[[ImageSet], float]
    metric: str
    device: str
    precision: str
    seed: int
    scratch: Path
    kept: Path
    reserve: ImageSet | None = None
    fold: int = 0
    progress: Callable[[float], None] = lambda share: None
    asks_to_stop: Callable[[int, float], bool] = lambda step, fid: False
    history: list[dict[str, float]] = field(default_factory=list)

    def __post_init__(self) -> None:
        log = self.scratch / "history.json"
        self.history = json.loads(log.read_text()) if log.exists() else []

    def report(self, step: int, total: int, sampler: Sampler | None = None, **scalars: float) -> bool:
        """See benchmark.plugins.generator.FitContext.report."""
        bad = {k: v for k, v in scalars.items() if not math.isfinite(v)}
        if bad:
            raise GeneratorError(
                f"generator '{self.name}'",
                f"{', '.join(bad)} not finite at step {step}",
                "Lower the learning rate.",
            )
        entry = {"step": float(step), **{k: float(v) for k, v in scalars.items()}}
        # A resumed fit reports its last steps again; the newer entry stands.
        earlier = [h for h in self.history if h["step"] < step]
        stop = False
        if sampler is not None:
            entry[self.metric] = fid = self.preview_fid(sampler(self.request(), PREVIEW_SEED))
            stop = self.asks_to_stop(step, fid)
            if fid < min((h[self.metric] for h in earlier if self._folder(h).exists()), default=math.inf):
                self._keep(entry)
        self.history = [*earlier, entry]
        write_json(self.scratch / "history.json", self.history)
        self.progress(min(step / max(total, 1), 1.0))
        return stop

    def request(self) -> SampleRequest:
        """A preview with the classes in the proportions of ``val``, every class of it present."""
        label = np.resize(
            self.val.label[np.random.default_rng(PREVIEW_SEED).permutation(len(self.val))], self.preview
        )
        return SampleRequest(label, self.val.classes, self.val.size)

    def _folder(self, entry: Mapping[str, float]) -> Path:
        return self.kept / f"step_{int(entry['step'])}"

    def _keep(self, entry: Mapping[str, float]) -> None:
        """Save the state of this step, then drop the older one: at any instant one of them is whole."""
        part = self.kept / "part"
        shutil.rmtree(part, ignore_errors=True)
        part.mkdir(parents=True)
        self.generator.save(part)
        folder = self._folder(entry)
        shutil.rmtree(folder, ignore_errors=True)
        part.rename(folder)
        for old in self.kept.glob("step_*"):
            if old != folder:
                shutil.rmtree(old)

    def best(self) -> tuple[Path, dict[str, float]]:
        """The kept state, and its entry of the history; the final state where no preview was asked for."""
        scored = [h for h in self.history if self.metric in h and self._folder(h).exists()]
        if not scored:
            entry = {"step": -1.0}
            self._keep(entry)
            return self._folder(entry), {}
        entry = min(scored, key=lambda h: h[self.metric])
        return self._folder(entry), entry

    def load_state(self) -> Mapping[str, Any] | None:
        """See benchmark.plugins.generator.FitContext.load_state."""
        return load_state(self.scratch / "state.pt", "cpu")

    def save_state(self, state: Mapping[str, Any]) -> None:
        """See benchmark.plugins.generator.FitContext.save_state."""
        save_state(self.scratch / "state.pt", state)
