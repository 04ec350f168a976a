"""Context of a fit: previews on ``val``, the best checkpoint, resumable states."""

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
from benchmark.utils.files import atomic_folder, write_json
from benchmark.utils.training_state import load_state, save_state

PREVIEW_SEED = 77
ShouldPrune = Callable[[int, float], bool]


@dataclass
class Fit:
    """A ``plugins.generator.FitContext`` that saves the generator's best state by preview FID on ``val``.

    Attributes:
        preview: images of a preview; ``preview_fid`` maps them to their FID against ``val``.
        metric: name of that FID in the history.
        checkpoints: folder of the best state.
        should_prune: called with step and FID; whether a tuner ends the fit.
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
    checkpoints: Path
    reserve: ImageSet | None = None
    fold: int = 0
    progress: Callable[[float], None] = lambda share: None
    should_prune: ShouldPrune = lambda step, fid: False
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
            stop = self.should_prune(step, fid)
            if fid < min((h[self.metric] for h in earlier if self._folder(h).exists()), default=math.inf):
                self._save(entry)
        self.history = [*earlier, entry]
        write_json(self.scratch / "history.json", self.history)
        self.progress(min(step / max(total, 1), 1.0))
        return stop

    def request(self) -> SampleRequest:
        """Return the request for a preview: the classes of ``val`` in its proportions, each present."""
        label = np.resize(
            self.val.label[np.random.default_rng(PREVIEW_SEED).permutation(len(self.val))], self.preview
        )
        return SampleRequest(label, self.val.classes, self.val.size)

    def _folder(self, entry: Mapping[str, float]) -> Path:
        return self.checkpoints / f"step_{int(entry['step'])}"

    def _save(self, entry: Mapping[str, float]) -> None:
        """Save the state of this step, then remove the older one: one of them is complete at any instant."""
        folder = self._folder(entry)
        with atomic_folder(folder) as part:
            self.generator.save(part)
        for old in self.checkpoints.glob("step_*"):
            if old != folder:
                shutil.rmtree(old)

    def best(self) -> tuple[Path, dict[str, float]]:
        """Return the best state and its entry of the history; the final state where there was no preview."""
        scored = [h for h in self.history if self.metric in h and self._folder(h).exists()]
        if not scored:
            entry = {"step": -1.0}
            self._save(entry)
            return self._folder(entry), {}
        entry = min(scored, key=lambda h: h[self.metric])
        return self._folder(entry), entry

    def load_state(self) -> Mapping[str, Any] | None:
        """See benchmark.plugins.generator.FitContext.load_state."""
        return load_state(self.scratch / "state.pt", "cpu")

    def save_state(self, state: Mapping[str, Any]) -> None:
        """See benchmark.plugins.generator.FitContext.save_state."""
        save_state(self.scratch / "state.pt", state)
