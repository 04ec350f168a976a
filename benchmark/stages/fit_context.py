"""Context of a fit: curves, previews, the best checkpoint, resumable states."""

from __future__ import annotations

import math
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmark.engine.worker import Log
from benchmark.errors import GeneratorError
from benchmark.images.image_set import ImageSet
from benchmark.plugins.contexts import SampleContext
from benchmark.plugins.generator import Generator
from benchmark.stages.preview_images import add_preview
from benchmark.stages.previews import Preview
from benchmark.utils.files import atomic_folder
from benchmark.utils.sealed import hashes, read_sealed, write_sealed
from benchmark.utils.signals import end_if_asked
from benchmark.utils.training_state import discarded, load_state, save_state

if TYPE_CHECKING:
    import torch

STATE = "state.pt"
ShouldPrune = Callable[[int, float], bool]


@dataclass(frozen=True)
class Fit(SampleContext):
    """A ``plugins.contexts.FitContext`` that saves the generator's best state by preview FID.

    Attributes:
        previews: their number along the fit; ``preview_fid`` draws and measures one.
        metric: name of that FID in the history.
        classes: names of the classes of the previews.
        checkpoints: folder of the best state.
        should_prune: called with step and FID; whether a tuner ends the fit.
        history: scalars by name at each ``step``.
        seals: hashes of the files of the best state, by the name of its folder.
        notes: remarks for readers, one line each.
    """

    generator: Generator = field(kw_only=True)
    name: str = field(kw_only=True)
    previews: int = field(kw_only=True)
    preview_fid: Callable[[Generator, SampleContext], Preview] = field(kw_only=True)
    metric: str = field(kw_only=True)
    classes: tuple[str, ...] = ()
    scratch: Path = field(kw_only=True)
    reserve: ImageSet | None = None
    val: ImageSet | None = None
    fold: int = 0
    progress: Callable[[float], None] = lambda share: None
    on_log: Log = lambda step, scalars: None
    should_prune: ShouldPrune = lambda step, fid: False
    history: list[dict[str, float]] = field(default_factory=list)
    seals: dict[str, dict[str, str]] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        if not self._log_file.exists():
            return
        log = read_sealed(self._log_file)
        seals = {} if log is None else log["seals"]
        if log is None or any(hashes(self.checkpoints / name) != seals[name] for name in seals):
            shutil.rmtree(self.checkpoints, ignore_errors=True)
            (self.scratch / STATE).unlink(missing_ok=True)  # resuming needs the best state so far
            discarded(self._log_file, "the history or the best state was changed")
            return
        self.history.extend(log["history"])
        self.seals.update(seals)

    @property
    def _log_file(self) -> Path:
        return self.scratch / "history.json"

    @property
    def checkpoints(self) -> Path:
        return self.scratch / "checkpoints"

    @property
    def should_stop(self) -> bool:
        """See benchmark.plugins.contexts.FitContext."""
        return bool(self.history) and bool(self.history[-1].get("stopped"))

    def scaler(self) -> torch.amp.GradScaler:
        """See benchmark.plugins.contexts.FitContext.scaler."""
        import torch

        return torch.amp.GradScaler(torch.device(self.device).type, enabled=self.precision == "float16")

    def log(self, step: int, **scalars: float) -> None:
        """See benchmark.plugins.contexts.FitContext.log."""
        bad = [f"{name} is {value}" for name, value in scalars.items() if not math.isfinite(value)]
        if bad:
            raise GeneratorError(
                f"generator '{self.name}'",
                f"{', '.join(bad)} at step {step}",
                "Lower the learning rate, or use precision float32.",
            )
        self._record(step, {name: float(value) for name, value in scalars.items()})

    def _record(self, step: int, scalars: Mapping[str, float]) -> dict[str, float]:
        """Add scalars to the entry of a step, and return it."""
        # a resumed fit logs its last steps again; the newer entries stand
        self.history[:] = [entry for entry in self.history if entry["step"] <= step]
        if not self.history or self.history[-1]["step"] != step:
            self.history.append({"step": float(step)})
        self.history[-1].update(scalars)
        self.on_log(step, scalars)
        self._write_log()
        return self.history[-1]

    def _write_log(self) -> None:
        write_sealed(self._log_file, {"history": self.history, "seals": self.seals})

    def checkpoint(self, step: int, total: int, *, first: int = 0) -> None:
        """See benchmark.plugins.contexts.FitContext.checkpoint."""
        if self._is_due(step, total, first):
            earlier = min((h[self.metric] for h in self._scored() if h["step"] < step), default=math.inf)
            preview = self.preview_fid(self.generator, self)
            stop = self.should_prune(step, preview.fid)
            scalars = {self.metric: preview.fid, **preview.scalars}
            entry = self._record(step, scalars | ({"stopped": 1.0} if stop else {}))
            if preview.fid < earlier:
                self._save(entry)
            if preview.image is not None:
                self.on_log(step, add_preview(self.scratch, step, preview, self.classes))
        self.progress(min(step / max(total, 1), 1.0))

    def _is_due(self, step: int, total: int, first: int) -> bool:
        since = step - first
        every = math.ceil((total - first) / self.previews) if total > first else 1
        return step == total or (since > 0 and since % every == 0)

    def _scored(self) -> list[dict[str, float]]:
        """Return the entries whose state is saved."""
        return [h for h in self.history if self.metric in h and self._folder(h).name in self.seals]

    def _folder(self, entry: Mapping[str, float]) -> Path:
        return self.checkpoints / f"step_{int(entry['step'])}"

    def _save(self, entry: Mapping[str, float]) -> None:
        """Save the state of this step, then remove the older one: one of them is complete at any instant."""
        folder = self._folder(entry)
        with atomic_folder(folder, internal=True) as part:
            self.generator.save(part)
        self.seals.clear()
        self.seals[folder.name] = hashes(folder)
        self._write_log()
        for old in self.checkpoints.glob("step_*"):
            if old != folder:
                shutil.rmtree(old)

    def best(self) -> tuple[Path, dict[str, float]]:
        """Return the best state and its entry of the history; the final state where there was no preview."""
        scored = self._scored()
        if not scored:
            entry = {"step": -1.0}
            self._save(entry)
            return self._folder(entry), {}
        entry = min(scored, key=lambda h: h[self.metric])
        return self._folder(entry), entry

    def stop(self, step: int, reason: str) -> None:
        """See benchmark.plugins.contexts.FitContext.stop."""
        if not self._scored():
            raise GeneratorError(
                f"generator '{self.name}'",
                f"{reason}, before the first preview",
                "Lower the learning rate, or use precision float32.",
            )
        self.notes.append(f"{self.name} ended early: {reason}; the best preview before it is used")
        self._record(step, {"ended_early": 1.0})

    def note(self, remark: str) -> None:
        """See benchmark.plugins.contexts.FitContext.note."""
        self.notes.append(f"{self.name}: {remark}")

    def load_state(self) -> Mapping[str, Any] | None:
        """See benchmark.plugins.contexts.FitContext.load_state."""
        return load_state(self.scratch / STATE, "cpu")

    def save_state(self, state: Mapping[str, Any]) -> None:
        """See benchmark.plugins.contexts.FitContext.save_state."""
        save_state(self.scratch / STATE, state)
        end_if_asked()
