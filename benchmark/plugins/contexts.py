"""Contexts that the suite hands to a generator; it sees nothing else of the suite."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from benchmark.images.image_set import ImageSet
from benchmark.utils.training_state import autocast, dtype_of

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True)
class SampleContext:
    """Context of loading and sampling, and the part of a fit's context that both share.

    Attributes:
        device: a torch device name, such as ``cpu`` or ``cuda``.
        precision: ``float32``, ``bfloat16`` or ``float16``, for autocast.
        seed: of all randomness.
        assets: local folder of every asset, by name.
        asset_hashes: SHA-256 of every asset's files, by name; an adapter saves that of its base.
        sampler_steps: steps of the sampler; None for the generator's own.
        classifier: a differentiable module from (N, 1, S, S) images in [0, 1], of any side S, to (N, K)
            logits; frozen. It neither filters nor evaluates. None unless the generator requires it.
    """

    device: str = "cpu"
    precision: str = "float32"
    seed: int = 0
    assets: Mapping[str, Path] = field(default_factory=dict)
    asset_hashes: Mapping[str, str] = field(default_factory=dict)
    sampler_steps: int | None = None
    classifier: Any = None

    @property
    def dtype(self) -> torch.dtype:
        """The precision as a torch type."""
        return dtype_of(self.precision)

    def autocast(self) -> AbstractContextManager[None]:
        """Return a context that computes in the precision."""
        return autocast(self.device, self.precision)


class FitContext(Protocol):
    """Context of a fit; it has the attributes of ``SampleContext`` too, but ``sampler_steps``.

    Attributes:
        scratch: an empty folder for this fit, removed afterwards.
        should_stop: True when the fit should end, since a tuner prunes it.
    """

    device: str
    precision: str
    seed: int
    assets: Mapping[str, Path]
    asset_hashes: Mapping[str, str]
    scratch: Path
    classifier: Any

    @property
    def dtype(self) -> torch.dtype: ...

    @property
    def should_stop(self) -> bool: ...

    def autocast(self) -> AbstractContextManager[None]: ...

    def scaler(self) -> torch.amp.GradScaler:
        """Return a gradient scaler; it does nothing unless the precision is ``float16``."""

    def log(self, step: int, **scalars: float) -> None:
        """Log scalars at a step.

        Raises:
            GeneratorError: one is NaN or infinite.
        """

    def checkpoint(self, step: int, total: int, *, first: int = 0) -> None:
        """Record that ``step`` of ``total`` steps is done; call it after every step.

        Where a preview is due, the suite calls ``sample``, measures the images, and saves the generator if
        they are the best so far. In the end it samples from the saved state.

        Args:
            first: step until which no preview is drawn.
        """

    def stop(self, step: int, reason: str) -> None:
        """End the fit early, since it has failed; the best earlier preview stands, with a note.

        Args:
            reason: what failed, such as ``collapsed at step 900``.
        Raises:
            GeneratorError: there is no earlier preview.
        """

    def note(self, remark: str) -> None:
        """Leave a remark for readers of the row, one line, such as a substitute that the fit had to use."""

    def load_state(self) -> Mapping[str, Any] | None:
        """Return the last saved state of this fit after a crash, or None."""

    def save_state(self, state: Mapping[str, Any]) -> None:
        """Save a state to resume from, atomically: tensors, numbers, strings, dicts and lists of them."""


class BuiltinContext(FitContext, Protocol):
    """Context of the fit of a built-in plug-in.

    Attributes:
        reserve: real images that only the control ``oracle`` may learn from, else None.
        val: real images for thresholds of scores, not to learn from; one label each, as *train*.
        fold: index of the cross-validation fold; 0 without folds.
    """

    reserve: ImageSet | None
    val: ImageSet
    fold: int
