"""The page of a judgement: one file, with its pictures in it."""

import base64
from collections.abc import Sequence
from functools import cache
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np

from benchmark.images.image_set import ImageSet
from benchmark.metrics.judging.record import Judgement, Pair
from benchmark.reporting.formats import number, percent

MARK = '"synththorax_judgement"'
TITLES = {
    "fid": ("FID", "Fréchet distance of the features; lower is better, and biased upwards by few images."),
    "kid": ("KID", "Unbiased kernel distance of the features; 0 in expectation for equal distributions."),
    "density": (
        "Density",
        "Real neighborhoods around a synthetic image, by those expected; 1 is ideal.",
    ),
    "coverage": ("Coverage", "Share of real images with a synthetic one in their neighborhood; 1 is ideal."),
}
SIDE, SHOWN = 96, 12  # pixels of a picture, pictures of a folder


def judgement_page(judgement: Judgement, real: ImageSet, synthetic: ImageSet, pairs: Sequence[Pair]) -> str:
    """Return the HTML, in which no link leads out.

    Args:
        pairs: the most alike, with rows of ``synthetic`` and ``real``.
    """
    shown = {
        name: [_picture(images.image[k]) for k in _some(len(images))]
        for name, images in (("real", real), ("synthetic", synthetic))
    }
    alike = [
        (_picture(synthetic.image[p.synthetic]), _picture(real.image[p.real]), p, synthetic, real)
        for p in pairs
    ]
    return _template().render(j=judgement, titles=TITLES, shown=shown, alike=alike)


def _some(count: int) -> list[int]:
    rows: list[int] = np.unique(np.linspace(0, count - 1, min(SHOWN, count)).astype(int)).tolist()
    return rows


def _picture(image: np.ndarray) -> str:
    """Return a data URI of a small WebP."""
    from PIL import Image

    small = Image.fromarray(np.ascontiguousarray(image)).resize((SIDE, SIDE), Image.Resampling.LANCZOS)
    content = BytesIO()
    small.save(content, "WEBP", quality=80)
    return f"data:image/webp;base64,{base64.b64encode(content.getvalue()).decode()}"


@cache
def _template() -> Any:
    import jinja2

    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"number": number, "percent": percent}
    return environment.get_template("judgement.html.jinja")
