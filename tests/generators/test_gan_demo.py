"""A demo training of StyleGAN on phantoms; ``python -m pytest -m slow -s`` prints its previews."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmark.datasets.phantom import chest
from benchmark.generators import stylegan
from benchmark.images.image_set import Splits
from benchmark.protocol import load as loading
from benchmark.stages.fit_context import Fit
from benchmark.stages.previews import PreviewFid
from benchmark.stages.requests import Conditions
from benchmark.tasks.loading import load_task
from benchmark.tasks.schema import Task

pytestmark = pytest.mark.slow
EXTRACTOR = "phantom_cxr_v1"


def splits_of(task: Task, image_size: int) -> Splits:
    """Return the training data of the task's phantoms."""
    return loading.load(
        chest,
        chest.Params(test_per_class=1),
        classes=task.classes,
        image_size=image_size,
        split=task.source("phantom.chest").split,
        reserve_per_class=1,
        seed=0,
    )


def test_fid_halves_along_the_demo_of_cxr_pneumonia(tmp_path: Path) -> None:
    """Of six previews at the full size, the last one has at most half the FID of the first."""
    task = load_task("cxr_pneumonia")
    profile = task.profile("demo")
    entry, splits = profile.generators["stylegan"], splits_of(task, profile.image_size)
    gan = stylegan.StyleGAN(stylegan.Params(**entry.params))
    images = {"images": profile.measures.preview_images}
    conditions = Conditions(frozenset(gan.conditions), task.requests, splits.train)
    preview_fid = PreviewFid(
        "stylegan", splits.train, splits.val, entry.previews.model_copy(update=images), conditions,
        entry.chunk, EXTRACTOR, "cpu",
    )  # fmt: skip
    context = Fit(
        precision="bfloat16", generator=gan, name="stylegan", previews=entry.previews.count,
        preview_fid=preview_fid, metric="fid", classes=task.classes, scratch=tmp_path,
    )  # fmt: skip
    gan.fit(splits.train, context)
    previews = {int(entry["step"]): entry["fid"] for entry in context.history if "fid" in entry}
    print({step: round(fid, 1) for step, fid in previews.items()})
    fids = list(previews.values())
    assert len(fids) == entry.previews.count
    assert fids[-1] <= fids[0] / 2
