"""Records that several stages report."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

History = list[dict[str, float]]  # scalars by name at each ``step``


class Record(BaseModel):
    """Frozen JSON values; refuses unknown fields, and optional fields are left out where they are None."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    def record(self) -> dict[str, Any]:
        """Return the JSON values."""
        return self.model_dump(mode="json", exclude_none=True)


class ClassValue(Record):
    """A measure of one class, and the same measure of real images."""

    value: float
    floor: float


class Measure(Record):
    """One figure over a row's synthetic images.

    Attributes:
        floor: the same figure of real images.
        n: images on each side.
        floor_sd: standard deviation of the floor over random halves.
        scales: of MS-SSIM.
        networks: evaluators whose mean it is.
        folds: folds whose mean it is.
    """

    value: float
    floor: float
    n: int
    direction: Literal["minimize", "maximize"]
    floor_sd: float | None = None
    scales: int | None = None
    networks: int | None = None
    per_class: dict[str, ClassValue] | None = None
    folds: int | None = None


class StageResult(Record):
    """What a stage reports; each stage defines its own subclass.

    Attributes:
        history: scalars at each step of a training.
        metrics: scalars to show beside the run.
        measures: figures over a row's synthetic images.
        notes: remarks for readers, one line each.
    """

    history: History = []
    metrics: dict[str, float] = {}
    measures: dict[str, Measure] = {}
    notes: list[str] = []

    def scalars(self) -> dict[str, float]:
        """Return every figure to show beside the run."""
        return self.metrics | {name: measure.value for name, measure in self.measures.items()}
