"""Find the same image twice in sets of any size: exact copies, and copies re-saved, scaled or moved.

On request also copies that are mirrored, turned by quarters, or inverted, though not moved besides.

An image becomes 128 bits: 16 x 16 means, standardized, centered on the sample's mean and projected on its
whitened axes; then the signs of 128 random projections (SimHash: Charikar 2002, STOC, section 3). Two images
are candidates if one of 8 bands of 16 bits agrees and at most ``MOST_BITS`` bits differ, for one of nine
moves by up to one pixel. The correlation of the details, the band between two Gaussians, after the best move
decides: noise and edges of one exposure recur in its copies and in no other image.
"""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from benchmark.errors import DataError
from benchmark.images.gray_levels import has_few_levels
from benchmark.images.lazy import LazyImages, blocks, select
from benchmark.images.symmetries import SAME, Change, changes_of

WORK = 64  # pixels; larger images are reduced to it
CELLS = 16
BITS, BANDS = 128, 8
MOST_BITS = 20  # copies differ in 7 (median, gamma 1.3) or fewer; a millionth of other pairs in 23 or fewer
SAME_DETAIL = 0.95  # correlation; 0.975 and more in copies, at most 0.88 otherwise
EMPTY = 2.0  # gray values; a black first frame has 0.1, the palest image of the real packs 11.7
SAMPLE = 2048  # images that give the mean and the axes
MOVES = [(y, x) for y in (-1, 0, 1) for x in (-1, 0, 1)]
_MARGIN = 3
_PAIRS = 2**20  # compared at once


@dataclass(frozen=True, eq=False)
class Scan:
    """Result of one pass over the images.

    Attributes:
        indices: (M,) of the images that could be read.
        digest: (M,) 16 bytes of BLAKE2b of the pixels.
        empty: (M,) bool, the means over cells deviate by less than ``EMPTY``: one gray value, or nearly.
        code: (M, 9, 2) uint64, the 128 bits of every move; ``MOVES[4]`` is no move.
        few: (M,) bool, has few gray levels.
        changes: those that are searched; ``changed`` (M, C, 2) uint64 has their bits.
        broken: index and fault of every image that could not be read.
    """

    indices: np.ndarray
    digest: np.ndarray
    empty: np.ndarray
    code: np.ndarray
    few: np.ndarray
    broken: tuple[tuple[int, str], ...]
    changes: tuple[Change, ...]
    changed: np.ndarray


@dataclass(frozen=True)
class Pair:
    """Two indices, first < second, the correlation of their details, and the change of the first."""

    first: int
    second: int
    similarity: float
    change: Change = SAME


def scan(image: np.ndarray | LazyImages, *, symmetric: bool = False) -> Scan:
    """Read all images once.

    Args:
        image: (N, H, W) uint8; an image whose reading raises ``DataError`` is recorded as broken.
        symmetric: also prepare the search for mirrored, turned and inverted copies.
    """
    changes = changes_of(*image.shape[1:]) if symmetric else ()
    axes, mean = _axes(image)
    indices, digest, empty, code, few, changed = [], [], [], [], [], []
    broken: list[tuple[int, str]] = []
    start = 0
    for block, lost in _readable(image):
        broken += [(start + i, fault) for i, fault in lost.items()]
        readable = np.array([i for i in range(len(block)) if i not in lost], np.int64)
        indices.append(start + readable)
        start += len(block)
        whole = block[readable]
        digest.append([hashlib.blake2b(pixels.tobytes(), digest_size=16).digest() for pixels in whole])
        few.append(has_few_levels(whole))
        small = reduce(whole)
        empty.append(small.std(axis=(1, 2)) < EMPTY)
        code.append(np.stack([_bits(moved(small, move), axes, mean) for move in MOVES], axis=1))
        turned = [_bits(change(small), axes, mean) for change in changes]
        changed.append(np.stack(turned, axis=1) if turned else np.zeros((len(small), 0, 2), np.uint64))
    return Scan(
        indices=np.concatenate(indices),
        digest=np.array([d for some in digest for d in some], dtype="V16"),
        empty=np.concatenate(empty),
        code=np.concatenate(code),
        few=np.concatenate(few),
        broken=tuple(broken),
        changes=changes,
        changed=np.concatenate(changed),
    )


def _readable(image: np.ndarray | LazyImages) -> Iterator[tuple[np.ndarray, dict[int, str]]]:
    """Yield all images in blocks, and the faults of those that cannot be read, which are left black."""
    step = _at_once(image)
    for start in range(0, len(image), step):
        stop = min(start + step, len(image))
        try:
            yield image[start:stop], {}
        except DataError:
            block, lost = np.zeros((stop - start, *image.shape[1:]), np.uint8), {}
            for i in range(stop - start):
                try:
                    block[i] = image[start + i]
                except DataError as error:
                    lost[i] = str(error).split("\n")[0]
            yield block, lost


def _at_once(image: np.ndarray | LazyImages) -> int:
    """Return the number of images to hold at once: many small ones, few large ones."""
    return int(np.clip(2**23 // (image.shape[1] * image.shape[2]), 1, 256))


def same_bytes(scanned: Scan) -> list[np.ndarray]:
    """Return groups of two and more indices with the same pixels, each in order."""
    order = np.argsort(scanned.digest, kind="stable")
    change = np.flatnonzero(scanned.digest[order][1:] != scanned.digest[order][:-1]) + 1
    groups = [np.sort(scanned.indices[g]) for g in np.split(order, change) if len(g) > 1]
    return sorted(groups, key=lambda g: int(g[0]))


def same_picture(image: np.ndarray | LazyImages, scanned: Scan, apart: np.ndarray) -> list[Pair]:
    """Return pairs of different groups whose images are copies of each other, though not byte by byte.

    Args:
        image: as given to ``scan``.
        apart: (N,) group of every image, such as its patient; pairs within a group are not compared.
    """
    _, first = np.unique(scanned.digest, return_index=True)
    some = np.sort(first[~scanned.empty[first]])  # of exact copies, one
    still, group = np.ascontiguousarray(scanned.code[some, 4]), apart[scanned.indices[some]]
    pairs: dict[tuple[int, int], Pair] = {}
    for change, code in [
        (SAME, scanned.code[some]),
        *((c, scanned.changed[some, k : k + 1]) for k, c in enumerate(scanned.changes)),
    ]:
        indices = scanned.indices[some][_candidates(code, still, group)]
        for start in range(0, len(indices), 256):
            part = indices[start : start + 256]
            for (a, b), value in zip(part.tolist(), _similarity(image, part, change).tolist(), strict=True):
                if value >= SAME_DETAIL:
                    pairs.setdefault((a, b), Pair(a, b, value, change))
    return [pairs[key] for key in sorted(pairs)]


def reduce(block: np.ndarray, side: int = WORK) -> np.ndarray:
    """Reduce (M, H, W) of any size to means over cells, at most ``side`` per axis; float32."""
    means: np.ndarray = block.astype(np.float32)
    for axis in (1, 2):
        length = means.shape[axis]
        edges = np.linspace(0, length, min(side, length) + 1).astype(np.int64)
        count = np.diff(edges).reshape([-1 if a == axis else 1 for a in range(3)])
        means = np.add.reduceat(means, edges[:-1], axis=axis) / count.astype(np.float32)
    return means


def moved(block: np.ndarray, move: tuple[int, int]) -> np.ndarray:
    """Move (M, H, W) by up to one pixel, with the border repeated."""
    y, x = move
    h, w = block.shape[1:]
    padded = np.pad(block, ((0, 0), (1, 1), (1, 1)), mode="edge")
    return padded[:, 1 + y : 1 + y + h, 1 + x : 1 + x + w]


def _standard(block: np.ndarray) -> np.ndarray:
    """Standardize (M, ...) to (M, D) of mean 0 and length 1, so that brightness and contrast drop out."""
    rows = block.reshape(len(block), -1)
    rows = rows - rows.mean(1, keepdims=True)
    return rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-6)


def _axes(image: np.ndarray | LazyImages) -> tuple[np.ndarray, np.ndarray]:
    """Return (D, 128) projections and (D,) mean of a sample; the mean of a small sample shrinks to 0."""
    rows = np.unique(np.linspace(0, len(image) - 1, min(SAMPLE, len(image))).astype(np.int64))
    sampled = select(image, rows)
    seen = np.concatenate([_standard(reduce(reduce(block), CELLS)) for block, _ in _readable(sampled)])
    mean = seen.mean(0) * (len(seen) / (len(seen) + 10))
    spread, axes = np.linalg.eigh((seen - mean).T @ (seen - mean) / len(seen))
    scale = np.maximum(spread, 0) + 0.01 * max(float(spread.max()), 1e-9)
    turn = np.random.default_rng(1).standard_normal((len(mean), BITS))
    return ((axes * scale**-0.5) @ turn).astype(np.float32), mean


def _bits(small: np.ndarray, axes: np.ndarray, mean: np.ndarray) -> np.ndarray:
    """Return (M, 2) uint64 of reduced images."""
    signs = (_standard(reduce(small, CELLS)) - mean) @ axes > 0
    return np.packbits(signs, axis=1).view(np.uint64)


def _candidates(code: np.ndarray, still: np.ndarray, group: np.ndarray) -> np.ndarray:
    """Return (P, 2) pairs i < j of different groups with a common band and few different bits, for some form.

    Args:
        code: (M, F, 2) uint64, the bits of i in F forms: moved, or changed.
        still: (M, 2) uint64, the bits of j.
    """
    bands = np.ascontiguousarray(code).view(np.uint16).reshape(*code.shape[:2], BANDS)
    still_bands = still.view(np.uint16)
    pairs: set[tuple[int, int]] = set()
    for k in range(BANDS):
        order = np.argsort(still_bands[:, k], kind="stable")
        sorted_band = still_bands[order, k]
        for move in range(code.shape[1]):
            for i, j in _meetings(bands[:, move, k], sorted_band, order):
                use = (i < j) & (group[i] != group[j])
                i, j = i[use], j[use]
                differ = np.bitwise_count(code[i, move] ^ still[j]).sum(1)
                near = differ <= MOST_BITS
                pairs.update(zip(i[near].tolist(), j[near].tolist(), strict=True))
    return np.array(sorted(pairs), np.int64).reshape(-1, 2)


def _meetings(
    query: np.ndarray, sorted_band: np.ndarray, order: np.ndarray
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield all pairs (i, j) where ``query[i]`` is the band of j, about ``_PAIRS`` at a time."""
    left = np.searchsorted(sorted_band, query, "left")
    many = np.searchsorted(sorted_band, query, "right") - left
    ends = np.cumsum(many)
    start = 0
    while start < len(query):
        before = int(ends[start - 1]) if start else 0
        stop = max(start + 1, int(np.searchsorted(ends, before + _PAIRS, "right")))
        i = np.repeat(np.arange(start, stop), many[start:stop])
        place = np.arange(len(i)) - np.repeat(ends[start:stop] - many[start:stop] - before, many[start:stop])
        yield i, order[left[i] + place]
        start = stop


def _similarity(image: Any, pairs: np.ndarray, change: Change = SAME) -> np.ndarray:
    """Return (P,) correlation of the details of (P, 2) pairs, the first one changed, after the best move."""
    rows, place = np.unique(pairs, return_inverse=True)
    whole = list(blocks(select(image, rows), _at_once(image)))
    band = _details(whole)
    changed = band if change == SAME else _details([change(part) for part in whole])
    first, second = place.reshape(-1, 2).T
    fixed = _standard(_inner(band[second], (0, 0)))
    return np.max([(_standard(_inner(changed[first], move)) * fixed).sum(1) for move in MOVES], axis=0)


def _details(whole: list[np.ndarray]) -> np.ndarray:
    """Return (M, H, W) float32, the band between two Gaussians of reduced images."""
    from scipy.ndimage import gaussian_filter

    small = np.concatenate([reduce(part) for part in whole])
    return gaussian_filter(small, (0, 0.7, 0.7)) - gaussian_filter(small, (0, 2, 2))  # pixels


def _inner(band: np.ndarray, move: tuple[int, int]) -> np.ndarray:
    """Return (M, H, W) without the margin, moved."""
    (y, x), (h, w) = move, band.shape[1:]
    return band[:, _MARGIN + y : h - _MARGIN + y, _MARGIN + x : w - _MARGIN + x]
