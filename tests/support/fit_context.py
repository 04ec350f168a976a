"""A substitute for the suite's fit context that can kill a fit."""

from __future__ import annotations

import io
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmark.images.image_set import ImageSet
from benchmark.plugins.contexts import SampleContext
from benchmark.plugins.generator import SampleRequest
from benchmark.stages.samples import check_samples
from benchmark.utils.training_state import autocast, dtype_of


class KilledError(Exception):
    """Substitute for a SIGKILL during a fit."""


@dataclass
class FakeContext:
    """Preview four images twice, save states as the suite does, and die after ``kill_after`` saved states."""

    scratch: Path
    generator: Any = None
    classes: tuple[str, ...] = ("a", "b", "c")
    image_size: int = 16
    labels: tuple[int, ...] = (0, 1, 2, 0)
    device: str = "cpu"
    precision: str = "float32"
    seed: int = 5
    assets: Mapping[str, Path] = field(default_factory=dict)
    asset_hashes: Mapping[str, str] = field(default_factory=dict)
    classifier: Any = None
    reserve: ImageSet | None = None
    val: ImageSet | None = None
    fold: int = 0
    kill_after: int = 0
    stop_at: int = 10**9
    steps: list[int] = field(default_factory=list)
    logged: list[int] = field(default_factory=list)
    previews: list[int] = field(default_factory=list)
    saved: int = 0
    total: int = 0
    stopped: str = ""
    notes: list[str] = field(default_factory=list)
    state: bytes = b""
    columns: Mapping[str, Any] = field(default_factory=dict)

    @property
    def dtype(self) -> torch.dtype:
        """The precision as a torch type."""
        return dtype_of(self.precision)

    def autocast(self) -> Any:
        """Return a context that computes in the precision."""
        return autocast(self.device, self.precision)

    def scaler(self) -> torch.amp.GradScaler:
        """Return a scaler that does nothing."""
        return torch.amp.GradScaler(self.device, enabled=False)

    @property
    def should_stop(self) -> bool:
        """Return whether the fit should end."""
        return bool(self.steps) and self.steps[-1] >= self.stop_at

    def log(self, step: int, **scalars: float) -> None:
        """Record the step of finite scalars."""
        assert all(np.isfinite(v) for v in scalars.values())
        self.logged.append(step)

    def checkpoint(self, step: int, total: int, *, first: int = 0) -> None:
        """Record the step, and draw a preview in the middle and at the end."""
        assert 1 <= step <= total
        self.steps.append(step)
        self.total = total
        since, every = step - first, -(-(total - first) // 2)
        due = step == total or (since > 0 and since % every == 0)
        if self.generator is None or not due:
            return
        request = SampleRequest(np.array(self.labels), self.classes, self.image_size, **self.columns)
        context = SampleContext(self.device, self.precision, 1, self.assets, self.asset_hashes)
        check_samples(self.generator.sample(request, context), request, "preview")
        self.previews.append(step)

    def stop(self, step: int, reason: str) -> None:
        """Record why the fit ended early."""
        self.stopped = reason

    def note(self, remark: str) -> None:
        """Record a remark."""
        self.notes.append(remark)

    def load_state(self) -> Mapping[str, Any] | None:
        """Load the state as the suite does: tensors and plain values alone."""
        if not self.state:
            return None
        state: dict[str, Any] = torch.load(io.BytesIO(self.state), weights_only=True)
        return state

    def save_state(self, state: Mapping[str, Any]) -> None:
        """Save a state, then die if it is the last allowed one."""
        out = io.BytesIO()
        torch.save(dict(state), out)
        self.state = out.getvalue()
        self.saved += 1
        if self.saved == self.kill_after:
            raise KilledError
