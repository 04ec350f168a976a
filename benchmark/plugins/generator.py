"""Contract of a generator: what it declares, what it is asked for, and what it returns."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Protocol

import numpy as np

from benchmark.images.image_set import ImageSet
from benchmark.tasks.profile import FitUnit

if TYPE_CHECKING:
    from benchmark.plugins.contexts import FitContext, SampleContext

CONDITIONS = (
    "label",
    "labels",
    "prompt",
    "mask",
    "view",
    "age",
    "sex",
    "laterality",
    "severity",
    "source_id",
)
FORMATS = {"diffusers": "model_index.json", "peft": "adapter_config.json"}  # and the mark of each
ASSET_FILES = ("*.safetensors", "*.json", "*.txt", "*.model")


@dataclass(frozen=True)
class Asset:
    """A base checkpoint: a folder, or a repository of the Hugging Face Hub at one commit.

    Attributes:
        name: key in ``context.assets``.
        folder: a local folder.
        hub_id, revision: repository and full commit hash.
        files: patterns of the files to download and hash, among those of ``ASSET_FILES``.
    """

    name: str
    folder: Path | None = None
    hub_id: str = ""
    revision: str = ""
    files: tuple[str, ...] = ASSET_FILES


@dataclass(frozen=True, eq=False)
class SampleRequest:
    """The images that a generator must draw, column by column.

    Attributes:
        label: (N,) class index per image. Where images may have several classes, the image must show this
            one.
        classes: names of the classes.
        image_size: height and width in pixels, the generator's own size.
        index: (N,) number of each image among those of its class, from 0 on.
        labels: (N, K) uint8, every class of each image.
        prompt, view, sex, laterality, severity, source_id: (N,) str.
        age: (N,) years.
        mask: (N, image_size, image_size) uint8, 255 inside the finding.

    A column after ``index`` is None unless the generator's ``conditions`` name it.
    """

    label: np.ndarray
    classes: tuple[str, ...]
    image_size: int
    index: np.ndarray = field(default_factory=lambda: np.zeros(0, np.int64))
    labels: np.ndarray | None = None
    prompt: np.ndarray | None = None
    view: np.ndarray | None = None
    age: np.ndarray | None = None
    sex: np.ndarray | None = None
    laterality: np.ndarray | None = None
    severity: np.ndarray | None = None
    source_id: np.ndarray | None = None
    mask: Any = None

    def __post_init__(self) -> None:
        if len(self.index) != len(self.label):
            object.__setattr__(self, "index", positions(self.label))

    def __len__(self) -> int:
        return len(self.label)

    def select(self, rows: np.ndarray) -> SampleRequest:
        """Return the request for these rows, in this order."""
        columns = {
            f.name: getattr(self, f.name) for f in fields(self) if f.name not in ("classes", "image_size")
        }
        return replace(self, **{name: c[rows] for name, c in columns.items() if c is not None})

    @classmethod
    def of_class(
        cls, label: int, first: int, count: int, classes: tuple[str, ...], image_size: int
    ) -> SampleRequest:
        """Request ``count`` images of one class, numbered from ``first`` on."""
        return cls(np.full(count, label), classes, image_size, np.arange(first, first + count))

    @classmethod
    def balanced(cls, per_class: int, classes: tuple[str, ...], image_size: int) -> SampleRequest:
        """Request ``per_class`` images of each class, interleaved, so that every prefix is balanced."""
        return cls(alternate(dict.fromkeys(classes, per_class), classes), classes, image_size)


def alternate(counts: Mapping[str, int], classes: tuple[str, ...]) -> np.ndarray:
    """Return a class index for every image of these counts; classes alternate while they last."""
    label = np.concatenate([np.full(counts.get(c, 0), k) for k, c in enumerate(classes)]).astype(np.int64)
    return label[np.argsort(positions(label), kind="stable")]


def positions(label: np.ndarray) -> np.ndarray:
    """Return the number of each image among those of its class, in order."""
    number = np.zeros(len(label), np.int64)
    for k in np.unique(label):
        number[label == k] = np.arange((label == k).sum())
    return number


@dataclass(frozen=True, eq=False)
class Samples:
    """Drawn images, in the order of the request, with whatever the generator knows of them.

    Attributes:
        image: (N, S, S) of the requested size: uint8, or float in [0, 1].
        patient_id: (N,) str; equal ids make a series of one synthetic patient. Without it every image is a
            separate patient.
        source_id: (N,) str, ``image_id`` of the real image that each came from.
        mask: (N, S, S) uint8, 255 where the generator put the finding.
        labels: (N, K) uint8, every class of each image.
        card: remarks (JSON values). Of ``shares``, counts [n, of] by name, the suite adds those of all chunks
            and notes them on the board, by class.
    """

    image: Any
    patient_id: np.ndarray | None = None
    source_id: np.ndarray | None = None
    mask: Any = None
    labels: np.ndarray | None = None
    card: Mapping[str, Any] = field(default_factory=dict)


class Generator(Protocol):
    """Contract of a generator; see docs/add_a_generator.md. Only ``conditions`` has no default.

    Attributes:
        conditions: columns of a request that it reads, of ``CONDITIONS``; empty for an unconditional model.
        fit_unit: what one fit learns: all classes, one class, or one image.
        requires: ``classifier`` for a differentiable classifier of real images during the fit.
        determinism: ``exact`` if equal seeds give equal bytes, else ``statistical``.
        whole_chunks: False if an image depends on its own position alone, so that a chunk may be cut.
        formats: of ``FORMATS``, those in which ``save`` writes, so that the library alone loads the folder.
    """

    conditions: ClassVar[set[str]]
    fit_unit: ClassVar[FitUnit] = "joint"
    requires: ClassVar[frozenset[str]] = frozenset()
    determinism: ClassVar[Literal["exact", "statistical"]] = "exact"
    whole_chunks: ClassVar[bool] = True
    formats: ClassVar[frozenset[str]] = frozenset()

    def __init__(self, params: Any) -> None: ...
    def fit(self, train: ImageSet, context: FitContext) -> None: ...
    def sample(self, request: SampleRequest, context: SampleContext) -> Samples: ...
    def save(self, folder: Path) -> None: ...
    @classmethod
    def load(cls, folder: Path, context: SampleContext) -> Generator: ...


@dataclass(frozen=True)
class Traits:
    """Declarations of a generator's class, defaults filled in; the attributes are those of ``Generator``."""

    conditions: frozenset[str]
    fit_unit: FitUnit
    requires: frozenset[str]
    determinism: Literal["exact", "statistical"]
    whole_chunks: bool
    formats: frozenset[str] = frozenset()

    @classmethod
    def of(cls, kind: Any) -> Traits:
        """Read the declarations of a generator's class."""
        return cls(
            conditions=frozenset(kind.conditions),
            fit_unit=getattr(kind, "fit_unit", "joint"),
            requires=frozenset(getattr(kind, "requires", ())),
            determinism=getattr(kind, "determinism", "exact"),
            whole_chunks=bool(getattr(kind, "whole_chunks", True)),
            formats=frozenset(getattr(kind, "formats", ())),
        )
