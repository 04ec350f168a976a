"""The judgement of a folder of synthetic images, as JSON."""

from dataclasses import dataclass
from typing import Any, Literal

from pydantic import BaseModel


class Part(BaseModel, extra="forbid", frozen=True):
    """Base of the records."""


class FolderCard(Part):
    """The images of one folder: their number, the number of files that are left out, and the colored ones."""

    name: str
    images: int
    patients: int
    left_out: int
    tinted: int
    notes: tuple[str, ...] = ()


class FigureCard(Part):
    """A figure of synthetic images with its interval and its floor.

    Attributes:
        estimate: of all images, with ``low`` and ``high``, 95 % by a bootstrap over patients and synthetic
            images. The ends keep the bias of this number of images, as the estimate does.
        halves: mean of the figure of the synthetic images against a half of the real ones, for as many images
            on each side as the floor has.
        floor: mean of the figure of one half of the real images against the other, with the range of the
            halvings, ``floor_low`` and ``floor_high``; None with too few patients.
    """

    name: str
    direction: Literal["minimize", "maximize"]
    estimate: float
    low: float
    high: float
    halves: float | None
    floor: float | None
    floor_low: float | None
    floor_high: float | None


class Judgement(Part):
    """All results about one folder of synthetic images.

    Attributes:
        figures: of all images, which are compared by the features of ``extractor``.
        floor_images: on each side, for the floor and for ``FigureCard.halves``.
        copies: as the memorization gate reports them.
        warnings: for a reader, the gravest first.
    """

    synththorax_judgement: Literal[1] = 1
    real: FolderCard
    synthetic: FolderCard
    unseen: FolderCard | None
    extractor: str
    image_size: int
    figures: tuple[FigureCard, ...]
    floor_images: int | None
    copies: dict[str, Any]
    not_checked: tuple[str, ...]
    warnings: tuple[str, ...]
    environment: dict[str, Any]


@dataclass(frozen=True, eq=False)
class Pair:
    """A synthetic image, and the real image that it resembles most.

    Attributes:
        score: of the detector; higher is more like a copy.
        copy: the score is above the threshold.
    """

    synthetic: int
    real: int
    score: float
    copy: bool
