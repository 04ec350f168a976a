"""A substitute for the suite's fit context that can kill a fit."""

from __future__ import annotations

import io
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmark.images.image_set import ImageSet
from benchmark.plugins.generator import Sampler, SampleRequest


class KilledError(Exception):
    """Substitute for a SIGKILL during a fit."""


@dataclass
class FakeContext:
    """Preview four images, save states as the suite does, and die after ``kill_after`` saved states."""

    scratch: Path
    classes: tuple[str, ...] = ("a", "b", "c")
    image_size: int = 16
    labels: tuple[int, ...] = (0, 1, 2, 0)
    device: str = "cpu"
    precision: str = "float32"
    seed: int = 5
    reserve: ImageSet | None = None
    fold: int = 0
    kill_after: int = 0
    stop_at: int = 10**9
    steps: list[int] = field(default_factory=list)
    previews: list[int] = field(default_factory=list)
    saved: int = 0
    state: bytes = b""

    def report(self, step: int, total: int, sampler: Sampler | None = None, **scalars: float) -> bool:
        """Record the step, and draw a preview."""
        import numpy as np

        assert 1 <= step <= total
        assert all(np.isfinite(v) for v in scalars.values())
        self.steps.append(step)
        if sampler is not None:
            preview = sampler(SampleRequest(np.array(self.labels), self.classes, self.image_size), 1)
            assert len(preview) == len(self.labels)
            self.previews.append(step)
        return step >= self.stop_at

    def load_state(self) -> Mapping[str, Any] | None:
        """Load the state as the suite does: tensors and plain values alone."""
        import torch

        if not self.state:
            return None
        state: dict[str, Any] = torch.load(io.BytesIO(self.state), weights_only=True)
        return state

    def save_state(self, state: Mapping[str, Any]) -> None:
        """Save a state, then die if it is the last allowed one."""
        import torch

        out = io.BytesIO()
        torch.save(dict(state), out)
        self.state = out.getvalue()
        self.saved += 1
        if self.saved == self.kill_after:
            raise KilledError
