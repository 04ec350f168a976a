"""What the suite lends a generator while it is fitted, and the base of every generator."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, ClassVar, Protocol

from benchmark.records import ImageSet, SampleRequest

Sampler = Callable[[SampleRequest, int], ImageSet]


class FitContext(Protocol):
    """Given to ``fit``; a generator sees nothing else of the suite.

    Attributes:
        device: a torch device name, ``cpu`` or ``cuda``.
        precision: ``float32`` or ``bfloat16``, for autocast.
        seed: of every random act of this fit.
        scratch: an empty folder of this fit, gone afterwards.
        reserve: real images kept aside; None but for the control ``oracle``.
        fold: of the cross-validation; 0 without one.
    """

    device: str
    precision: str
    seed: int
    fold: int
    scratch: Path
    reserve: ImageSet | None

    def report(self, step: int, total: int, sampler: Sampler | None = None, **scalars: float) -> bool:
        """Log scalars at a step; with a sampler, also measure a preview on ``val``.

        The state with the best preview FID is saved through the generator's own ``save`` and is
        what is sampled from in the end.

        Returns:
            True when the fit should stop (a tuner pruned it).
        """

    def load_state(self) -> Mapping[str, Any] | None:
        """The last saved state of this very fit after a crash, or None."""

    def save_state(self, state: Mapping[str, Any]) -> None:
        """Keep a state to resume from, atomically: tensors, numbers, strings, dicts and lists of them."""


class Generator(Protocol):
    """The contract of a generator; see docs/add_a_generator.md."""

    conditions: ClassVar[set[str]]

    def __init__(self, params: Any) -> None: ...
    def fit(self, train: ImageSet, context: FitContext) -> None: ...
    def sample(self, request: SampleRequest, *, seed: int) -> ImageSet: ...
    def save(self, folder: Path) -> None: ...
    @classmethod
    def load(cls, folder: Path) -> Generator: ...
