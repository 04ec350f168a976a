"""Control: copies of real training images. Shows what mere quantity and longer training give."""

from __future__ import annotations

from typing import ClassVar

from pydantic import BaseModel

from benchmark.generators._bank import ImageBank

version = "1"

card = {
    "title": "Duplicated real images",
    "role": "control",
    "description": "Unchanged copies of the training images of each class, each as often as the others. "
    "A generator must beat this row, not only the one without added images.",
    "citation": "",
    "license": "Apache-2.0",
}


class Params(BaseModel, extra="forbid", frozen=True):
    """Nothing to set."""


class DuplicateReal(ImageBank):
    """Hands out training images unchanged."""

    name: ClassVar[str] = "duplicate_real"
    params_type: ClassVar[type[BaseModel]] = Params


Generator = DuplicateReal
