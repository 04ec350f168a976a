"""Control: copies of real training images, which show the effect of mere quantity and longer training."""

from benchmark.generators._base import NoParams
from benchmark.generators._image_bank import ImageBank

version = "1"

card = {
    "title": "Duplicated real images",
    "role": "control",
    "description": "Unchanged copies of the training images of each class, each as often as the others. "
    "A generator must beat this row, not only the one without added images.",
    "citation": "",
    "license": "Apache-2.0",
}

Params = NoParams


class DuplicateReal(ImageBank):
    """Return training images unchanged."""

    name = "duplicate_real"


Generator = DuplicateReal
