"""Rows with the samples or the predictions of another row are refused, in any order and encoding."""

from __future__ import annotations

import io
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from benchmark.bundles.identical_rows import allowed, refuse_identical
from benchmark.bundles.io import Bundle, read_bundles
from benchmark.bundles.previews import png
from benchmark.errors import SubmissionError
from support.make_bundles import CLASSES, make_bundles

SIZE = 32


@pytest.fixture(scope="module")
def rows(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Bundle]:
    """Four rows without shown images."""
    names = ("real_only", "duplicate_real", "stylegan", "ddpm")
    folder = make_bundles(tmp_path_factory.mktemp("rows"), names, (24,) * 5, None, seeds=(0, 1))
    return {b.manifest.row.name: b for b in read_bundles(folder)}


def smooth(seed: int, count: int = 40) -> np.ndarray:
    """Return (count, SIZE, SIZE) uint8 images, as different as those of two patients."""
    coarse = np.random.default_rng(seed).uniform(0, 255, (count, 8, 8)).astype(np.uint8)
    return np.stack(
        [np.asarray(Image.fromarray(c).resize((SIZE, SIZE), Image.Resampling.BICUBIC)) for c in coarse]
    )


def showing(bundle: Bundle, images: np.ndarray, **changed: Any) -> Bundle:
    """Return the bundle with these images, of a training set of 700."""
    names = [CLASSES[k % len(CLASSES)] for k in range(len(images))]
    table = pd.DataFrame({"class": names, "fold": 0, "image": [png(i) for i in images]})
    splits = bundle.manifest.data.splits
    some = next(iter(splits.values())).model_copy(update={"images": 700})
    data = bundle.manifest.data.model_copy(update={"splits": {**splits, "train": some}})
    manifest = bundle.manifest.model_copy(update={"image_size": SIZE, "data": data, **changed})
    return replace(bundle, manifest=manifest, previews=table)


def jpeg(image: np.ndarray) -> np.ndarray:
    """Return the image after JPEG compression."""
    file = io.BytesIO()
    Image.fromarray(image).save(file, "JPEG", quality=85)
    return np.asarray(Image.open(file))


ALTERED = {
    "the same": lambda images: images,
    "in another order": lambda images: images[::-1],
    "one gray level brighter": lambda images: np.clip(images.astype(int) + 1, 0, 255).astype(np.uint8),
    "as JPEG": lambda images: np.stack([jpeg(i) for i in images]),
    "a quarter of them": lambda images: np.concatenate([images[::4], smooth(9, 30)]),
    "all of them among others": lambda images: np.concatenate([smooth(9, 60), images]),
}


@pytest.mark.parametrize("how", ALTERED)
def test_samples_of_another_row_are_refused(how: str, rows: dict[str, Bundle]):
    """The error names both rows."""
    images = smooth(1)
    own, copied = showing(rows["stylegan"], images), showing(rows["ddpm"], ALTERED[how](images))
    with pytest.raises(SubmissionError, match=r"board x: rows 'stylegan' and 'ddpm'.*share"):
        refuse_identical([rows["real_only"], own, copied], where="board x")


def test_rows_of_their_own_are_not_refused(rows: dict[str, Bundle]):
    """Different images pass; so do training images that both show, flat images, and rows that are gated."""
    training, flat = smooth(3), np.full((5, SIZE, SIZE), 7, np.uint8)
    copies = showing(rows["duplicate_real"], training)
    one = showing(rows["stylegan"], np.concatenate([smooth(1), training[:9], flat]))
    other = showing(rows["ddpm"], np.concatenate([smooth(2), training[:9], flat]))
    refuse_identical([copies, one, other])
    gate = rows["ddpm"].manifest.memorization
    assert gate is not None
    caught = gate.model_copy(update={"gated": True})
    refuse_identical([one, showing(rows["ddpm"], smooth(1), memorization=caught)])


def test_a_row_that_repeats_one_image_shares_one(rows: dict[str, Bundle]):
    """A collapsed generator does not make an honest row suspect."""
    images = smooth(1)
    refuse_identical([showing(rows["stylegan"], images), showing(rows["ddpm"], np.repeat(images[:1], 40, 0))])


def test_other_boards_count_for_rows_of_another_name(rows: dict[str, Bundle]):
    """The same row may be on two boards of a task; its images under another name may not."""
    own = showing(rows["ddpm"], smooth(1))
    refuse_identical([own], [own])
    with pytest.raises(SubmissionError, match="'ddpm' and 'stylegan'"):
        refuse_identical([own], [showing(rows["stylegan"], smooth(1))])


def with_scores(bundle: Bundle, source: Bundle, share: float) -> Bundle:
    """Return the bundle with the scores of another row for a share of its predictions."""
    assert bundle.predictions is not None
    assert source.predictions is not None
    table, columns = bundle.predictions.copy(), [c for c in bundle.predictions if c.startswith("score_")]
    taken = np.random.default_rng(0).random(len(table)) < share
    table.loc[taken, columns] = source.predictions.loc[taken, columns].to_numpy()
    return replace(bundle, predictions=table)


@pytest.mark.parametrize("share", [1.0, 0.3])
def test_predictions_of_another_row_are_refused(share: float, rows: dict[str, Bundle]):
    """All of them, or a part; of a control they are refused too."""
    copied = with_scores(rows["ddpm"], rows["duplicate_real"], share)
    with pytest.raises(SubmissionError, match=r"'duplicate_real' and 'ddpm'.*predictions"):
        refuse_identical([rows["real_only"], rows["duplicate_real"], copied])
    refuse_identical([*rows.values()])


def test_two_controls_may_have_the_same_predictions(rows: dict[str, Bundle]):
    """Class weights change nothing where classes are balanced."""
    name = rows["real_only"].manifest.row.model_copy(update={"name": "class_weights"})
    twin = replace(rows["real_only"], manifest=rows["real_only"].manifest.model_copy(update={"row": name}))
    refuse_identical([rows["real_only"], twin])


@pytest.mark.parametrize("train", [40, 200, 1000])
def test_honest_rows_rarely_share_more_than_is_allowed(train: int):
    """Of rows that copy as much as the gate passes, at most 1 of 10,000 pairs exceeds the limit."""
    rng, limit = np.random.default_rng(train), allowed(100, 100, train)
    exceeded = 0
    for _ in range(10_000):
        a, b = (set(rng.choice(train, rng.binomial(100, 0.05))) for _ in range(2))
        exceeded += len(a & b) > limit
    assert exceeded <= 1
    assert limit <= 8
