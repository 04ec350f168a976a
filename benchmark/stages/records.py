"""Records and names that several stages share."""

from collections.abc import Callable, Sequence
from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field, FiniteFloat, model_serializer

from benchmark.plugins.metric import Matrix

History = list[dict[str, float]]  # scalars by name at each ``step``
FID_OF, MS_SSIM_OF = "preview_fid/", "preview_ms_ssim/"  # scalars of a fit's preview, before a class
REAL_ONLY = "real_only"  # the row whose classifiers evaluate the others
Hash = Annotated[str, Field(pattern=r"^[0-9A-Za-z:._-]{1,128}$")]


class Record(BaseModel, extra="forbid", frozen=True):
    """Frozen JSON values; refuses unknown fields, and optional fields are left out where they are None."""

    @model_serializer(mode="wrap")
    def _without_none(self, serialize: Callable[[Any], dict[str, Any]]) -> dict[str, Any]:
        return {name: value for name, value in serialize(self).items() if value is not None}

    def record(self) -> dict[str, Any]:
        """Return the JSON values."""
        return self.model_dump(mode="json")


class ClassValue(Record):
    """A measure of one class, and the same measure of real images, with intervals where it has them."""

    value: float
    floor: float
    interval: tuple[float, float] | None = None
    floor_interval: tuple[float, float] | None = None


def mean_matrix(matrices: Sequence[Matrix | None]) -> Matrix | None:
    """Return the mean of matrices over the names that all of them have; None where one is missing."""
    known = [matrix for matrix in matrices if matrix is not None]
    if len(known) < len(matrices) or not known:
        return None
    names = [name for name in known[0].names if all(name in matrix.names for matrix in known)]
    values = [
        [sum(m.values[m.names.index(a)][m.names.index(b)] for m in known) / len(known) for b in names]
        for a in names
    ]
    return Matrix(names=tuple(names), values=tuple(map(tuple, values)))


class MeasureCard(Record):
    """The metric plug-in behind a figure; ``extractor`` where it reads features."""

    title: str
    description: str
    citation: str
    version: str = Field(max_length=64)
    params: dict[str, Any] = {}
    extractor: str | None = None


class Measure(Record):
    """One figure over a row's synthetic images.

    Attributes:
        floor: the same figure of real images.
        n: images on each side.
        floor_sd: standard deviation of the floor over random halves.
        scales: of MS-SSIM, in bundles from before ``details``.
        networks: evaluators whose mean it is.
        folds: folds whose mean it is.
        by_fit: value of each fit, by its seed, whose mean it is; ``fit_range`` is from the lowest to the
            highest.
        details: further figures of the metric.
        matrix, floor_matrix: figures of pairs of classes of the row's images, and of the real ones.
        card: of the metric; None for figures of other stages, and in older bundles.
    """

    value: FiniteFloat
    floor: FiniteFloat
    n: int = Field(ge=1)
    direction: Literal["minimize", "maximize"]
    floor_sd: float | None = None
    scales: int | None = None
    networks: int | None = None
    per_class: dict[str, ClassValue] | None = None
    folds: int | None = None
    by_fit: dict[int, float] | None = None
    fit_range: tuple[float, float] | None = None
    details: dict[str, float] | None = None
    matrix: Matrix | None = None
    floor_matrix: Matrix | None = None
    card: MeasureCard | None = None


class SplitSummary(Record):
    """Size and content hash of one split."""

    images: int = Field(ge=0)
    patients: int = Field(ge=0)
    counts: dict[str, int]
    hash: Hash


class NetworkSize(Record):
    """Parameters of a network, and those that were trained."""

    total: int = Field(ge=1)
    trained: int = Field(ge=1)


class FilterRate(Record):
    """Images of one class: drawn, accepted, requested by the largest bracket, and retained."""

    drawn: int = Field(ge=0)
    accepted: int = Field(ge=0)
    requested: int = Field(ge=0)
    retained: int = Field(ge=0)


class StageResult(Record):
    """Result of a stage; each stage defines its own subclass.

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
