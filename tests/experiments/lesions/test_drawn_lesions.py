"""Requested lesions drawn by fitted models of every hybrid, and requests that a model cannot read."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmark.api.runs import FittedGenerator
from benchmark.cli import models
from benchmark.cli.requests import SampleRequest
from benchmark.errors import BenchmarkError, GeneratorError
from benchmark.experiments.fitted_row import FittedRow
from benchmark.experiments.lesions.drawn_lesions import draw_lesions, lesion_columns
from benchmark.experiments.lesions.lesion_masks import LesionShapes
from benchmark.experiments.lesions.lesion_request import LesionRequest, read_lesion
from benchmark.generators import lesion_diffusion as plugin
from benchmark.images.image_set import POSITIVE
from benchmark.metrics._lesions import side_in_words, side_of
from benchmark.stages.drawing import Fits, Learned
from benchmark.stages.fit import FITTED
from benchmark.stages.plugin import PluginReference
from benchmark.stages.sample import SampleConfig
from benchmark.tasks.rules import Mix
from support.chests import CLASSES, SIZE, chests
from support.fit_context import FakeContext

TRAIN = chests(12)
SPOT = LesionRequest(finding="spot", side="left", zone="upper")
CRESCENT = LesionRequest(finding="crescent", side="right", severity="severe")


def row_of(folder: Path, *kinds: str) -> FittedRow:
    """Return a row of a model of seconds with these conditions."""
    params = plugin.Params(**{**plugin.tiny(), "conditions": kinds, "steps": 2})
    generator = plugin.Generator(params)
    generator.fit(TRAIN, FakeContext(folder))
    (folder / FITTED).mkdir()
    generator.save(folder / FITTED)
    reference = PluginReference(
        name="lesion_diffusion", origin="builtin", version=plugin.version, target=plugin.__name__
    )
    shared: dict[str, Any] = {
        "plugin": reference, "assets": (), "unit": "joint", "requests": {}, "chunk": 2, "classes": CLASSES,
        "conditions": tuple(sorted(plugin.conditions_of(params))), "device": "cpu", "precision": "float32",
        "image_size": 16, "mix": Mix(), "bracket": 1,
    }  # fmt: skip
    learned = Learned.of(TRAIN)
    return FittedRow("row", {
        label: Fits("row", 0, SampleConfig(of_class=label, **shared), [folder], lambda _: learned, folder)
        for label in CLASSES
    })  # fmt: skip


@pytest.mark.parametrize(
    "kinds", [("label", "mask"), ("mask", "text"), ("label", "mask", "text")], ids="+".join
)
def test_a_model_with_masks_draws_what_is_requested(kinds: tuple[str, ...], tmp_path: Path) -> None:
    """Masks and sentences agree with the request, images have the classifier's size, a seed repeats them."""
    row = row_of(tmp_path, *kinds)
    drawn = draw_lesions(row, [SPOT], 3, seed=5)
    assert drawn.image.shape == drawn.mask.shape == (3, 16, 16)
    columns = lesion_columns(row, [SPOT], 3, 5)
    for mask in columns.masks[:, 0]:
        assert side_of(mask) == "left"
        assert LesionShapes(TRAIN).lungs.zone(mask > 0) == "upper"
    if "text" in kinds:
        assert all(text.endswith(" mm spot in the left upper zone.") for text in drawn.prompt)
    assert np.array_equal(draw_lesions(row, [SPOT], 3, seed=5).image, drawn.image)


def test_several_lesions_are_drawn_at_once(tmp_path: Path) -> None:
    """Each finding has its own plane of the mask, and one sentence names all."""
    row = row_of(tmp_path, "label", "mask", "text")
    drawn = FittedGenerator(row).sample_lesions(SPOT, CRESCENT, count=3, seed=1)
    assert drawn.image.shape == (3, 16, 16)
    assert (drawn.reported_labels == POSITIVE).tolist() == [[False, True, True, False]] * 3
    assert all(side_in_words(text) == "both" and "large right crescent" in text for text in drawn.prompt)
    columns = lesion_columns(row, [SPOT, CRESCENT], 3, 1)
    assert columns.masks.shape == (3, 2, SIZE, SIZE)
    assert [side_of(mask) for mask in columns.masks[0]] == ["left", "right"]
    two_spots = draw_lesions(row, [SPOT, read_lesion("finding=spot,side=right")], 1)
    assert side_in_words(str(two_spots.prompt[0])) == "both"


def test_a_model_of_text_reads_words_alone(tmp_path: Path) -> None:
    """Without masks the sentence has side and zone; what no sentence names is refused."""
    row = row_of(tmp_path, "text")
    drawn = draw_lesions(row, [SPOT], 1)
    assert str(drawn.prompt[0]).endswith("spot in the left upper zone.")
    assert drawn.mask is None
    with pytest.raises(GeneratorError, match="zone: is named in no training sentence"):
        draw_lesions(row, [read_lesion("finding=crescent,zone=lower")], 1)


@pytest.mark.parametrize(
    ("kinds", "text", "words"),
    [
        (("label",), "finding=spot,side=left", "side: cannot be requested of a generator that reads label\n"),
        (("label", "mask"), "finding=spot,size=small,severity=severe", "severity: cannot be requested"),
        (("label", "mask"), "finding=spott", "unknown finding 'spott'\n.*Did you mean 'spot'"),
    ],
)
def test_what_a_model_does_not_read_is_refused(
    kinds: tuple[str, ...], text: str, words: str, tmp_path: Path
) -> None:
    """An attribute that nothing tells the model names the conditions that would."""
    with pytest.raises(BenchmarkError, match=words):
        draw_lesions(row_of(tmp_path, *kinds), [read_lesion(text)], 1)


def test_a_model_of_labels_draws_several_findings(tmp_path: Path) -> None:
    """Findings without attributes need labels alone."""
    drawn = draw_lesions(row_of(tmp_path, "label"), [LesionRequest(finding=name) for name in CLASSES[1:3]], 2)
    assert drawn.image.shape == (2, 16, 16)


def test_the_command_line_reads_lesions(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """``--lesion`` names the folder by its findings; a second option that says what to draw is refused."""
    row = row_of(tmp_path, "label", "mask")
    monkeypatch.setattr(models, "open_row", lambda *args, **options: row)
    texts = ("finding=spot,side=left", "finding=crescent")
    request = SampleRequest(run=tmp_path, row="row", count=2, out=tmp_path / "out", lesion=texts)
    assert models.sample(request) == 0
    assert len([*(tmp_path / "out" / "spot+crescent").glob("*.png")]) == 2
    assert "spot,crescent" in (tmp_path / "out" / "samples.csv").read_text()
    both = SampleRequest(run=tmp_path, row="row", count=2, out=tmp_path / "b", lesion=texts, label=("spot",))
    with pytest.raises(BenchmarkError, match="--lesion and --label both say"):
        models.sample(both)
