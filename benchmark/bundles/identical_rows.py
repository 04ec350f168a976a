"""Refuse two rows of one task that hold the same images or the same predictions under two names."""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping, Sequence
from itertools import combinations
from typing import Any

import numpy as np

from benchmark.bundles.io import Bundle
from benchmark.bundles.schema import Manifest
from benchmark.bundles.tables import FIT, KEY, with_fit
from benchmark.comparison.controls import NEVER_GATED
from benchmark.errors import SubmissionError

CLOSE = 2.0  # mean gray levels: JPEG changes an image by less, two patients differ by 6 or more
CHANCE = 1e-6  # that two honest rows share more images than are allowed, since both copy training images
FLAT = 1.0  # standard deviation in gray levels below which an image shows nothing
CERTAIN = 0.999  # score above which different classifiers give the same one
DIGITS = 5  # of a score
SHARE = 0.1  # of the other scores that two rows may share; honest ones of five boards share at most 0.003
FEWEST = 20  # scores to compare
CELLS = 4  # along each side of the grid whose means preselect pairs of images


def refuse_identical(bundles: Sequence[Bundle], others: Sequence[Bundle] = (), where: str = "board") -> None:
    """Refuse two rows with the same samples or predictions, in any order and encoding, even in part.

    Controls show the same images by design, and so do rows that the memorization gate refuses a rank.

    Args:
        bundles: rows of one board.
        others: rows of other boards, whose images alone are compared, with rows of another name.
        where: name of the board.
    Raises:
        SubmissionError: names both rows.
    """
    shared = (*_same_images(bundles, others), *_same_predictions(bundles))
    for a, b, what in shared:
        remedy = "Leave out one of the two; a row is what its author generated and evaluated."
        raise SubmissionError(f"{where}: rows '{a}' and '{b}'", what, remedy)


def _same_images(bundles: Sequence[Bundle], others: Sequence[Bundle]) -> Iterator[tuple[str, str, str]]:
    own = [b for b in bundles if _shows_new_images(b)]
    rows = [*own, *(b for b in others if _shows_new_images(b))]
    if len(rows) < 2 or not own:
        return
    size = own[0].manifest.image_size
    known = [_shown(b, size) for b in bundles if b.previews is not None and _copies(b)]
    pictures = [_shown(b, size) for b in rows]
    shared = _close_pairs(pictures, known)
    for i, j in combinations(range(len(rows)), 2):
        a, b = rows[i].manifest, rows[j].manifest
        if a.row.name == b.row.name or i >= len(own):
            continue
        if a.samples and b.samples and a.samples.hash == b.samples.hash and j < len(own):
            yield a.row.name, b.row.name, f"have the same {a.samples.images} samples"
        count = shared.get((i, j), 0)
        if count > allowed(len(pictures[i]), len(pictures[j]), _train_images(a)):
            of = f"{len(pictures[i])} and {len(pictures[j])}"
            yield a.row.name, b.row.name, f"share {count} of the {of} images that they show"


def allowed(a: int, b: int, train: int, copies: float = 0.05) -> int:
    """Return the most images that two honest rows share by chance, both copying images of ``train``.

    Two images of continuous gray levels never agree. What the memorization gate lets pass, the share
    ``copies`` of each row, may show the same training images: a Poisson number of pairs.
    """
    from scipy.stats import poisson

    return int(poisson.isf(CHANCE, (copies * a) * (copies * b) / max(train, 1)))


def _train_images(manifest: Manifest) -> int:
    splits = manifest.data.splits
    return (
        splits["train"].images if "train" in splits else max((s.images for s in splits.values()), default=1)
    )


def _shows_new_images(bundle: Bundle) -> bool:
    """Return whether a row shows images that no other row may show."""
    return bundle.previews is not None and not _copies(bundle)


def _copies(bundle: Bundle) -> bool:
    """Return whether a row shows training images, by design or as the gate says."""
    row, gate = bundle.manifest.row, bundle.manifest.memorization
    return (row.role == "control" and row.name not in NEVER_GATED) or (gate is not None and gate.gated)


def _shown(bundle: Bundle, size: int) -> np.ndarray:
    """Return the (n, size * size) uint8 images that a bundle shows."""
    from PIL import Image

    assert bundle.previews is not None
    pictures = []
    for content in bundle.previews["image"]:
        with Image.open(io.BytesIO(content), formats=["PNG"]) as picture:
            gray = picture.convert("L")
            pictures.append(
                np.asarray(gray if gray.size == (size, size) else gray.resize((size, size))).ravel()
            )
    return np.array(pictures, dtype=np.uint8)


def _close_pairs(rows: Sequence[np.ndarray], known: Sequence[np.ndarray]) -> Mapping[tuple[int, int], int]:
    """Count the images that two rows share, by their positions; images of ``known`` do not count.

    The smaller of both directions counts, so that a row which repeats one image shares one.
    """
    groups = [*rows, np.concatenate(known)] if known else list(rows)
    image = np.concatenate(groups)
    row = np.repeat(np.arange(len(groups)), [len(g) for g in groups])
    flat = image.std(1) < FLAT
    links: dict[tuple[int, int], tuple[set[int], set[int]]] = {}
    training: set[int] = set()
    for k, m in _candidates(image):
        if row[k] == row[m] or flat[k] or flat[m]:
            continue
        if np.abs(image[k].astype(np.int16) - image[m]).mean() <= CLOSE:
            k, m = (k, m) if row[k] < row[m] else (m, k)
            if row[m] == len(rows):
                training.add(k)
            else:
                one, other = links.setdefault((int(row[k]), int(row[m])), (set(), set()))
                one.add(k)
                other.add(m)
    return {pair: min(len(one - training), len(other - training)) for pair, (one, other) in links.items()}


def _candidates(image: np.ndarray) -> Sequence[tuple[int, int]]:
    """Return the pairs of images whose cell means differ by at most ``CLOSE`` on average.

    The mean difference of two images is at least that of their means over cells, so no pair is missed.
    """
    from scipy.spatial import cKDTree

    size = round(image.shape[1] ** 0.5)
    side = size // CELLS * CELLS
    square = image.reshape(-1, size, size)[:, :side, :side].astype(np.float32)
    cells = square.reshape(len(image), CELLS, side // CELLS, CELLS, side // CELLS).mean((2, 4))
    reach = CLOSE * CELLS**2 * (size / side) ** 2
    pairs = cKDTree(cells.reshape(len(image), -1)).query_pairs(reach + 1e-3, p=1, output_type="ndarray")
    return [(int(k), int(m)) for k, m in pairs]


def _same_predictions(bundles: Sequence[Bundle]) -> Iterator[tuple[str, str, str]]:
    """Yield pairs of rows that share scores, unless both are controls, which may train on the same images."""
    tables = {b.manifest.row.name: _scores(b) for b in bundles if b.predictions is not None}
    roles = {b.manifest.row.name: b.manifest.row.role for b in bundles}
    for a, b in combinations(tables, 2):
        one, other = tables[a], tables[b]
        if roles[a] == roles[b] == "control" or one.shape != other.shape:
            continue
        open_ = (one.max(1) < CERTAIN) & (other.max(1) < CERTAIN)
        same = (one[open_] == other[open_]).all(1)
        if np.array_equal(one, other):
            yield a, b, "have the same predictions"
        elif len(same) >= FEWEST and same.mean() > SHARE:
            yield a, b, f"have {100 * same.mean():.0f} % of their predictions in common"


def _scores(bundle: Bundle) -> Any:
    """Return the (n, K) rounded scores of the first fit on ``test`` at the largest bracket, run by run."""
    assert bundle.predictions is not None
    table = with_fit(bundle.predictions)
    table = table[(table["split"] == "test") & (table["bracket"] == table["bracket"].max())]
    table = table[table[FIT] == table[FIT].min()].sort_values([name for name in KEY if name != "bracket"])
    columns = [c for c in table.columns if c.startswith("score_")]
    return np.round(table[columns].to_numpy(np.float64), DIGITS)
