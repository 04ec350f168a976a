"""``data build``, ``data show`` and ``data verify`` from the command line."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from benchmark.cli import data as data_verbs
from benchmark.cli.parser import main
from benchmark.datasets.phantom import chest
from benchmark.images import shards
from benchmark.images.image_set import ImageSet
from support.stores import full_set, store


def counts(each: int) -> str:
    """Return YAML that requests ``each`` images of every class."""
    return "{" + ", ".join(f"{name}: {each}" for name in chest.CLASSES) + "}"


SIZES = [f"train_counts={counts(8)}", f"test_counts={counts(3)}", "patients=30", "test_per_class=2"]
SMALL = ["--set", *SIZES, "--size", "16", "--limit", "60"]


def built(folder: Path, *more: str) -> int:
    """Build a small phantom dataset."""
    options = ["--source", "phantom.chest", "--out", str(folder), "--workers", "1", "--shard-size", "25"]
    return main(["data", "build", *options, *SMALL, *more])


def phantoms(n: int = 12, size: int = 48) -> ImageSet:
    """Return phantoms of ``n`` patients in two splits."""
    ids = np.array([f"i{k}" for k in range(n)])
    return ImageSet(
        image=np.stack([chest.draw("viral", seed=1, index=k, size=size).image for k in range(n)]),
        label=np.arange(n) % 2,
        classes=("a", "b"),
        image_id=ids,
        patient_id=np.array([f"p{k}" for k in range(n)]),
        origin=np.full(n, "real:x"),
        split=np.array(["train", "test"] * (n // 2)),
        card={"name": "twelve phantoms"},
    )


def report(folder: Path, images: ImageSet) -> tuple[int, dict[str, dict[str, object]]]:
    """Return status and checks of ``data verify`` on a set."""
    out = folder / "report.json"
    (folder / "set").mkdir()
    status = main(["data", "verify", str(store(folder / "set", images)), "--out", str(out)])
    record = json.loads(out.read_text())
    assert record["ok"] == (status == 0)
    return status, {check["name"]: check for check in record["checks"]}


def test_build_show_verify(tmp_path, capsys):
    """A source is built, shown and verified; a second build does nothing."""
    folder = tmp_path / "set"
    assert built(folder) == 0
    assert "60 images in 3 shards" in capsys.readouterr().out
    before = {p.name: p.stat().st_mtime_ns for p in folder.glob("*.*")}
    assert built(folder) == 0
    assert {p.name: p.stat().st_mtime_ns for p in folder.glob("*.*")} == before
    capsys.readouterr()
    assert main(["data", "show", str(folder), "--out", str(tmp_path / "grid.png"), "--columns", "3"]) == 0
    shown = capsys.readouterr().out
    assert "images: 60 of 16 x 16 pixels" in shown
    for word in ("phantom.chest", "Apache-2.0 60", "test_paper", "healthy", "years, median"):
        assert word in shown
    assert Image.open(tmp_path / "grid.png").size[1] == 5 * 72
    assert main(["data", "verify", str(folder)]) == 0
    assert "WRONG" not in capsys.readouterr().out


def test_a_source_is_shown_and_verified_without_building(tmp_path, capsys):
    """The same verbs accept the name of a source."""
    few = "train_counts: {healthy: 4, viral: 4}, test_counts: {healthy: 2, viral: 2}"
    sizes = ["--set", f"{{test_per_class: 1, patients: 8, {few}}}", "--classes", "healthy,viral"]
    sizes += ["--size", "32"]
    assert main(["data", "show", "phantom.chest", *sizes, "--out", str(tmp_path / "g.png")]) == 0
    assert "images: 14 of 32 x 32 pixels" in capsys.readouterr().out
    assert main(["data", "verify", "phantom.chest", *sizes]) == 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["build", "--source", "phantom.chst", "--out", "x"], "Did you mean 'phantom.chest'"),
        (["build", "--out", "x"], "--source"),
        (["build", "--source", "covid_chestxray", "--out", "x"], "--root"),
        (["build", "--source", "phantom.chest", "--root", "/tmp", "--out", "x"], "reads no folder"),
        (
            ["build", "--source", "phantom.chest", "--set", "patient=3", "--out", "x"],
            "Did you mean 'patients'",
        ),
        (["build", "--source", "phantom.chest", "--set", "patients", "--out", "x"], "is not key=value"),
        (["build", "--source", "phantom.chest", "--set", "a=[", "--out", "x"], "is not YAML"),
        (["build", "--source", "image_folder", "--root", ".", "--out", "x"], "--classes"),
        (["show", "phantom.chest", "--classes", "helthy"], "helthy"),
        (["show", "."], "dataset.json"),
        (["verify", "."], "dataset.json"),
        (["verify", "no_such_source"], "unknown source"),
    ],
)
def test_wrong_request_is_one_line(arguments, message, capsys, tmp_path, monkeypatch):
    """A wrong source, parameter or folder gives status 1 and one line, and leaves no file."""
    monkeypatch.chdir(tmp_path)
    assert main(["data", *arguments]) == 1
    assert message in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_classes_and_parameters_of_a_task(tmp_path, packs, capsys):
    """With ``--task`` a real source is built as the task reads it."""
    root = packs / "covid-chestxray"
    command = ["data", "build", "--task", "cxr_pneumonia", "--source", "covid_chestxray", "--root", str(root)]
    assert main([*command, "--size", "32", "--out", str(tmp_path / "set"), "--workers", "1"]) == 0
    images = shards.open(tmp_path / "set")
    assert images.classes == ("healthy", "fungal", "covid19", "bacterial", "viral")
    assert len(images) > 150
    assert any("same" in note or "duplicates" in note for note in images.card["notes"])
    capsys.readouterr()
    assert main(["data", "verify", str(tmp_path / "set")]) == 0
    assert "171 read" in capsys.readouterr().out


def test_grid_shows_every_label_by_its_rarest_class():
    """The rarest label places an image, and the images are spread over the set."""
    images = full_set(40, multilabel=True)
    shown = data_verbs.for_grid(images, 4)
    assert not shown.multilabel
    assert (np.bincount(shown.label) <= 4).all()
    single = full_set(40)
    chosen = data_verbs.for_grid(single, 4)
    first_class = np.flatnonzero(single.label == 0)
    assert chosen.image_id[0] == single.image_id[first_class[0]]
    assert chosen.image_id[3] == single.image_id[first_class[3 * len(first_class) // 4]]


def test_card_counts_multi_label_images_and_images_without_labels():
    """Each label counts, and images without labels have a line."""
    images = full_set(10, multilabel=True)
    images = replace(images, label=np.array([[1, 1]] * 3 + [[0, 1]] * 2 + [[0, 0]] * 5, np.uint8))
    lines = {line.split("  ")[0]: line.split()[-1] for line in data_verbs.card_lines("x", images) if line}
    assert (lines["a"], lines["b"], lines["no finding"], lines["images"]) == ("3", "5", "5", "10")


def test_valid_set_passes(tmp_path):
    """Images of different patients, each in one split, pass every check."""
    status, checks = report(tmp_path, phantoms())
    assert status == 0
    assert all(check["count"] == 0 for check in checks.values())


def test_patient_in_two_splits(tmp_path):
    """A patient in train and test fails the check and is named."""
    images = phantoms()
    images.patient_id[3] = "p0"
    status, checks = report(tmp_path, images)
    assert status == 1
    assert checks["patients"]["findings"] == ["p0: test, train"]


def test_exact_copy_in_two_splits(tmp_path):
    """The same pixels in train and test fail the check, whatever their patient ids."""
    images = phantoms()
    images.image[5] = images.image[0]
    status, checks = report(tmp_path, images)
    assert status == 1
    assert checks["exact copies"]["findings"] == ["i0 (patient p0 in train) and i5 (patient p5 in test)"]


def test_near_copy_in_two_splits(tmp_path):
    """A brighter copy, shifted by one pixel, is detected too."""
    images = phantoms()
    images.image[5] = np.roll(images.image[0], 1, axis=1) * 0.9 + 9
    status, checks = report(tmp_path, images)
    assert status == 1
    assert checks["exact copies"]["ok"]
    (line,) = checks["near copies"]["findings"]
    assert line.startswith("i0 (patient p0 in train) and i5 (patient p5 in test), correlation ")


def test_mirrored_and_inverted_copy_in_two_splits(tmp_path):
    """A copy is detected if it is mirrored and inverted too, and the finding names both."""
    images = phantoms()
    images.image[5] = 255 - images.image[0][:, ::-1]
    status, checks = report(tmp_path, images)
    assert status == 1
    (line,) = checks["near copies"]["findings"]
    assert "in test), mirrored and inverted, correlation 1.000" in line


def test_doubtful_patients_are_notes(tmp_path, capsys):
    """Two sexes, an impossible age and two spellings of an id are told once per kind, and pass."""
    images = phantoms()
    patient = np.array([*images.patient_id[:9], "a", "07", "7"])
    images = replace(
        images, patient_id=patient, split=None, sex=np.array(["F", "M"] * 6), age=np.full(12, 130.0)
    )
    images.patient_id[1] = "p0"
    status, checks = report(tmp_path, images)
    assert status == 0
    assert checks["sexes"]["findings"] == ["1 patients with two sexes, the first is 'p0'"]
    assert checks["ages"]["findings"] == ["11 patients with an age over 120 years, the first is 'p0'"]
    assert checks["patient ids"]["findings"][0].endswith("the first is '07' and '7'")
    assert "ages               note" in capsys.readouterr().out


def test_color_is_a_note(tmp_path, capsys):
    """Files in color below the source's folder are counted, and the first is named."""
    rng = np.random.default_rng(0)
    (tmp_path / "a").mkdir()
    for k in range(4):
        gray = rng.integers(0, 256, (20, 20, 1), np.uint8)
        tint = np.array([1, 0.8, 0.6] if k > 1 else [1, 1, 1])
        Image.fromarray((gray * tint).astype(np.uint8)).save(tmp_path / "a" / f"{k}.png")
    assert (
        main(["data", "verify", "image_folder", "--root", str(tmp_path), "--classes", "a", "--size", "16"])
        == 0
    )
    shown = capsys.readouterr().out
    assert "2 of 4 image files measured are in color" in shown
    assert "a/2.png, a/3.png" in shown


def test_copies_that_cannot_leak_are_counted_only(tmp_path, capsys):
    """Copies within one split, or of one patient, are reported and pass."""
    images = phantoms()
    images.image[2] = images.image[0]
    images.patient_id[7] = "p5"
    images.image[7] = images.image[5]
    status, _ = report(tmp_path, images)
    assert status == 0
    assert "0 in two splits, 1 of one patient, 1 of two patients in one split" in capsys.readouterr().out


def test_without_splits_a_copy_of_another_patient_fails(tmp_path):
    """A later division by patient could separate two copies under two patient ids."""
    images = phantoms()
    images.image[2] = images.image[0]
    status, checks = report(tmp_path, replace(images, split=None))
    assert status == 1
    assert checks["exact copies"]["findings"] == ["i0 (patient p0) and i2 (patient p2)"]


def test_blank_images_fail(tmp_path):
    """One gray value throughout, or a frame that is black but for a few pixels, as at the start of videos."""
    images = phantoms()
    images.image[4] = 17
    images.image[7] = 0
    images.image[7, :2, :9] = 4
    status, checks = report(tmp_path, images)
    assert status == 1
    assert checks["contrast"]["findings"] == ["i4", "i7"]


def test_few_gray_levels_are_a_warning(tmp_path, capsys):
    """An image of 16 gray levels passes with its name; ``data show`` has a note on those of its grid."""
    images = phantoms()
    images.image[4] //= 16
    status, checks = report(tmp_path, images)
    assert status == 0
    assert checks["gray levels"]["findings"] == ["i4"]
    assert main(["data", "show", str(tmp_path / "set"), "--out", str(tmp_path / "grid.png")]) == 0
    expected = "note: FEW GRAY LEVELS: 1 of 12 images in the grid have fewer than 32, the first is i4"
    assert expected in capsys.readouterr().out


def test_changed_bytes_are_detected(tmp_path, capsys):
    """A shard or memory map with changed bytes no longer matches its hash."""
    folder = store(tmp_path, phantoms())
    shards.open(folder)
    mapped = folder / shards.MAPPED
    flip(mapped)
    assert main(["data", "verify", str(folder)]) == 1
    assert "hash differs" in capsys.readouterr().out
    mapped.unlink()
    flip(folder / shards.part_name(0, 2))
    assert main(["data", "verify", str(folder)]) == 1
    assert "part-00000-of-00002.parquet: SHA-256 differs" in capsys.readouterr().out


def flip(path: Path) -> None:
    """Change one byte in the middle of a file."""
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 0xFF
    path.write_bytes(content)


def test_undecodable_files_are_named(tmp_path, capsys):
    """For a folder with a broken file the source's error is printed, with status 1."""
    rng = np.random.default_rng(0)
    for k in range(4):
        (tmp_path / "a").mkdir(exist_ok=True)
        Image.fromarray(rng.integers(0, 256, (20, 20), np.uint8)).save(tmp_path / "a" / f"{k}.png")
    (tmp_path / "a" / "2.png").write_bytes(b"no picture")
    assert main(["data", "verify", "image_folder", "--root", str(tmp_path), "--classes", "a"]) == 1
    assert "2.png" in capsys.readouterr().out
