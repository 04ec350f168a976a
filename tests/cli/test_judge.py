"""``judge``: from two folders to a page, and one line for a bad folder."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from benchmark.cli.judge import _warnings
from benchmark.cli.parser import main
from benchmark.datasets.phantom.chest import CLASSES, draw
from benchmark.metrics.judging.record import FolderCard


def radiographs(n: int, seed: int) -> np.ndarray:
    """Return phantoms of different patients, the classes in turn."""
    names = tuple(CLASSES)
    return np.stack([draw(names[k % 5], seed=seed, index=k, size=32).image for k in range(n)])


def folder(path: Path, images: np.ndarray, prefix: str = "p") -> Path:
    """Write images as PNG files, two of each patient."""
    path.mkdir(parents=True)
    for k, image in enumerate(images):
        Image.fromarray(image).save(path / f"{prefix}{k // 2:03d}_{k % 2}.png")
    return path


def judge(real: Path, synthetic: Path, out: Path, *more: str) -> int:
    words = ["judge", "--real", str(real), "--synthetic", str(synthetic), "--out", str(out), "--size", "32"]
    return main([*words, "--patient-separator", "_", *more])


def test_a_folder_of_copies_is_caught_and_the_page_stands_alone(tmp_path, capsys, few_compared):
    """12 of 24 synthetic images are mirrored real ones; the page has no link, and the JSON the figures."""
    images = radiographs(96, seed=3)
    real = folder(tmp_path / "real", images[:60])
    synthetic = folder(tmp_path / "synthetic", np.concatenate([images[:12, :, ::-1], images[84:]]), "s")
    assert judge(real, synthetic, tmp_path / "out") == 0
    record = json.loads((tmp_path / "out" / "judgement.json").read_text())
    assert record["copies"]["gated"] is True
    assert 0.4 <= record["copies"]["rate"] <= 0.6
    assert (record["real"]["images"], record["real"]["patients"]) == (60, 30)
    assert {figure["name"] for figure in record["figures"]} == {"fid", "kid", "density", "coverage"}
    assert any("30 real patients are fewer than 50" in text for text in record["warnings"])
    page = (tmp_path / "out" / "judgement.html").read_text()
    assert "Copies of real images" in page
    assert "COPY, score" in page
    assert not re.search(r'(?:src|href)="(?!data:)', page)
    assert "COPIES" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("made", "message"),
    [
        (lambda path: None, "no such folder"),
        (lambda path: path.mkdir(), "the folder is empty"),
        (lambda path: (path.mkdir(), (path / "a.txt").write_text("x")), "has 0 images"),
        (
            lambda path: (folder(path, radiographs(4, 0)), (path / "z.png").write_bytes(b"no")),
            "z.png: is not a",
        ),
    ],
)
def test_a_bad_folder_is_one_line(made, message, tmp_path, capsys):
    """No folder, an empty one, one without images, and a file that is no image; nothing is written."""
    real = folder(tmp_path / "real", radiographs(4, 1))
    made(tmp_path / "synthetic")
    assert judge(real, tmp_path / "synthetic", tmp_path / "out") == 1
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") <= 2
    assert not (tmp_path / "out").exists()


def test_unseen_images_must_be_of_others(tmp_path, capsys):
    """An image that is in both folders is named, and so is a patient; a table of patients must list all."""
    images = radiographs(8, 1)
    real, synthetic = folder(tmp_path / "real", images[:4]), folder(tmp_path / "synthetic", images[4:])
    unseen = folder(tmp_path / "unseen", images[3:7], "u")
    assert judge(real, synthetic, tmp_path / "out", "--unseen", str(unseen)) == 1
    assert "u000_0.png: is also among the real images" in capsys.readouterr().err
    same = folder(tmp_path / "same", images[4:], "p")
    assert judge(real, synthetic, tmp_path / "out", "--unseen", str(same)) == 1
    assert "p000_0.png: is of patient 'p000', who is also among" in capsys.readouterr().err
    table = tmp_path / "patients.csv"
    table.write_text("image,patient_id\np000_0.png,a\n")
    words = ["judge", "--real", str(real), "--synthetic", str(synthetic), "--patients", str(table)]
    assert main([*words, "--size", "32", "--out", str(tmp_path / "out")]) == 1
    assert "has no record of the image 'p000_1.png'" in capsys.readouterr().err


@pytest.mark.parametrize("gated", [True, False])
def test_a_blind_search_is_told_unless_it_found_copies(gated):
    """A search that misses planted copies proves nothing by finding none; found ones are told alone."""
    card = FolderCard(name="a", images=60, patients=55, left_out=0, tinted=0)
    warnings = _warnings(card, card, {"gated": gated, "blind": True, "nearness": {}})
    assert ("contain copies" in warnings[0], "misses planted" in warnings[0]) == (gated, not gated)
    assert len(warnings) == 1
