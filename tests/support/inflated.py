"""A bundle with four points more in every run, on hardware that it names, against an honest retraining."""

from __future__ import annotations

import io
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image

from benchmark.bundles.io import read_bundle
from benchmark.bundles.previews import png
from benchmark.bundles.tables import as_stored
from benchmark.comparison.reported import results
from benchmark.planning.request import RunRequest
from benchmark.planning.resolve import make_plan
from benchmark.verification.check import Check
from benchmark.verification.deep import RetrainingRecord, check_retraining
from benchmark.verification.retrain import RegeneratedImages, Retraining
from support.honest import edit, vouch
from support.samples import TINY

SCORES = [f"score_{k}" for k in range(5)]
DISGUISES = ("nothing hidden", "another hash of the images", "one gray level on every shown image")


def again(folder: Path, change: float = 0.0) -> Retraining:
    """Return a retraining of the first seed whose scores are mixed with a share ``change`` of noise."""
    table = read_bundle(folder).predictions
    assert table is not None
    first = table[table["seed"] == 0].copy()
    noise = np.random.default_rng(1).dirichlet(np.ones(5), len(first))
    first[SCORES] = (1 - change) * first[SCORES] + change * noise
    return Retraining((0,), as_stored(first), {})


def inflate(folder: Path, share: float) -> None:
    """Turn a share of each run's errors into hits, name another processor, and make all figures agree."""
    table = pd.read_parquet(folder / "predictions.parquet")
    values, label = table[SCORES].to_numpy(copy=True), table["label"].to_numpy()
    wrong = np.flatnonzero(values.argmax(1) != label)
    chosen = wrong[np.random.default_rng(0).random(len(wrong)) < share]
    top, true = values.argmax(1)[chosen], label[chosen]
    values[chosen, top], values[chosen, true] = values[chosen, true].copy(), values[chosen, top].copy()
    table[SCORES] = values
    table.to_parquet(folder / "predictions.parquet", index=False)
    edit(folder, lambda content: content.update(results=results(content, table)))
    edit(folder, lambda content: content["hardware"].update(processor="another one"))
    vouch(folder)


def disguise(folder: Path, levels: int) -> None:
    """State another hash of the images, and shift every shown image by some gray levels."""
    path = folder / "samples" / "images.parquet"
    table = pd.read_parquet(path)
    table["image"] = [png(_brighter(content, levels)) for content in table["image"]]
    table.to_parquet(path, index=False)
    vouch(folder)
    edit(folder, lambda content: content["samples"].update(hash="0" * 64))


def _brighter(content: bytes, levels: int) -> np.ndarray:
    with Image.open(io.BytesIO(content)) as picture:
        return np.minimum(np.asarray(picture).astype(int) + levels, 255).astype(np.uint8)


def judged(honest: Path, claimed: Path) -> tuple[list[Check], RetrainingRecord]:
    """Compare a bundle with the honest retraining of one seed and the honest images."""
    before = read_bundle(honest)
    assert before.manifest.samples is not None
    images = RegeneratedImages(
        before.manifest.samples.hash,
        before.manifest.samples.images,
        {},
        before.manifest.record()["memorization"],
        before.previews,
    )
    plan = make_plan(RunRequest(task=str(TINY), device="cpu", precision="float32"))
    return check_retraining(read_bundle(claimed), replace(again(honest), regenerated=images), plan, None)


def outcomes(honest: Path, scratch: Path) -> Iterator[tuple[str, bool, bool]]:
    """Yield each disguise of the fraud, whether it would be recorded, and whether it is doubted."""
    for number, name in enumerate(DISGUISES):
        row = Path(shutil.copytree(honest, scratch / str(number) / honest.name))
        inflate(row, 0.05)
        if number:
            disguise(row, number - 1)
        checks, record = judged(honest, row)
        yield name, bool(record.plausible), any("doubted" in check.detail for check in checks)
