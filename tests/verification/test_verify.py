"""Honest bundles pass; a bundle that was edited by hand fails, and the failed check names the field."""

from __future__ import annotations

import io
import json
import pickle
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from benchmark.bundles.io import write_bundle
from benchmark.bundles.previews import png
from benchmark.cli.parser import main
from benchmark.comparison.reported import results
from benchmark.errors import DataError
from benchmark.verification.request import VerifyRequest
from benchmark.verification.verify import VerificationResult, verify
from support.honest import edit, vouch
from support.keys import AUTHOR
from support.samples import TINY

MARKS = ("ok", "FAILED", "not checked")


def test_honest_bundles_pass(suite_row: Path, submission: Path, options: VerifyRequest):
    """No check fails; the missing signature and the unverifiable claims are reported as not checked."""
    for folder in (suite_row, submission):
        report = verify(folder, options)
        assert report.failed == []
        assert {c.name for c in report.checks if c.passed is None} == {"signature", "unverified claims"}


def test_a_bundle_from_before_sizes_and_base_checkpoints_passes(suite_row, options, tmp_path):
    """A row without these fields is the suite's own; one that states another size or unit is not."""
    folder = tmp_path / "before" / suite_row.name
    shutil.copytree(suite_row, folder)
    edit(folder, lambda content: [content["row"].pop(k) for k in ("image_size", "fit_unit", "assets")])
    assert verify(folder, options).failed == []
    edit(folder, lambda content: content["row"].update(fit_unit="per_class", image_size=64))
    fields = {check.field for check in verify(folder, options).failed}
    assert fields == {"row.fit_unit", "row.image_size"}


def failures(report: VerificationResult) -> dict[str, str]:
    """Return the failed checks by name, with field and detail of each fault."""
    outcomes: dict[str, str] = {}
    for check in report.failed:
        outcomes[check.name] = f"{outcomes.get(check.name, '')}{check.field}: {check.detail}\n"
    return outcomes


def rewrite(folder: Path, change: Callable[[pd.DataFrame], pd.DataFrame | None], *, redo: bool) -> None:
    """Change the predictions and update the hash in ``bundle.json``; ``redo`` recomputes the results as
    well."""
    path = folder / "predictions.parquet"
    table = pd.read_parquet(path)
    changed = change(table)
    table = table if changed is None else changed
    table.to_parquet(path, index=False)
    if redo:
        edit(folder, lambda content: content.update(results=results(content, table)))
    vouch(folder)


def test_an_edited_score_is_detected(suite_row: Path, options: VerifyRequest):
    """The file's hash differs; with an updated hash the metrics differ."""
    path = suite_row / "predictions.parquet"
    table = pd.read_parquet(path)
    row = table.index[(table["split"] == "test") & (table["label"] == 0)][0]
    scores = [f"score_{k}" for k in range(5)]
    table.loc[row, scores] = np.float32([0.96, 0.01, 0.01, 0.01, 0.01])
    table.to_parquet(path, index=False)
    assert "predictions.parquet: does not match its SHA-256" in failures(verify(suite_row, options))["schema"]
    vouch(suite_row)
    assert "results.test." in failures(verify(suite_row, options))["results"]


def test_labels_that_disagree_with_the_test_set_are_detected(suite_row: Path, options: VerifyRequest):
    """The check names the image, even if all runs have the label and the metrics are recomputed."""

    def relabel(table: pd.DataFrame) -> None:
        wrong = table.loc[table["label"] == 1, "image_id"].iloc[0]
        table.loc[table["image_id"] == wrong, "label"] = 2

    rewrite(suite_row, relabel, redo=True)
    problems = failures(verify(suite_row, options))
    assert re.search(r"predictions.parquet: label: of 'test.*' is 2, expected 1", problems["test images"])


def test_patients_that_disagree_are_detected(suite_row: Path, options: VerifyRequest):
    """Patients must agree with the test set, since fewer images per patient would narrow the intervals."""
    rewrite(suite_row, lambda t: t.assign(patient_id=t["image_id"]), redo=True)
    assert "predictions.parquet: patient_id" in failures(verify(suite_row, options))["test images"]


def test_a_replaced_image_is_detected(suite_row: Path, options: VerifyRequest):
    """The check reports the added and the missing image and names the one that is no test image."""

    def rename(table: pd.DataFrame) -> None:
        first = table["image_id"].iloc[0]
        table.loc[table["image_id"] == first, "image_id"] = "invented"

    rewrite(suite_row, rename, redo=True)
    assert "invented' is not a test image" in failures(verify(suite_row, options))["test images"]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda t: t.iloc[1:], "image_id"),
        (lambda t: pd.concat([t, t.iloc[:1]]), "two predictions"),
        (lambda t: t.assign(score_0=np.nan), "score"),
        (lambda t: t.assign(score_0=np.inf), "score"),
        (lambda t: t.assign(bracket=4), "two predictions"),
        (lambda t: t.drop(columns="score_1"), "score_1"),
    ],
    ids=["missing", "twice", "nan", "infinite", "bracket", "column"],
)
def test_incomplete_predictions_are_refused(
    suite_row: Path, options: VerifyRequest, change: Callable[[pd.DataFrame], pd.DataFrame], words: str
):
    """A missing prediction, a repeated one, NaN, infinity and a missing column are refused on reading."""
    rewrite(suite_row, change, redo=False)
    assert words in failures(verify(suite_row, options))["schema"]


def test_repeated_scores_of_a_seed_are_detected(suite_row: Path, options: VerifyRequest):
    """Two seeds with the same scores are reported."""

    def repeat(table: pd.DataFrame) -> pd.DataFrame:
        first = table[table["seed"] == 0]
        again = first.assign(seed=1, run=first["run"].str.replace("/0$", "/1", regex=True))
        return pd.concat([first, again], ignore_index=True)

    rewrite(suite_row, repeat, redo=True)
    assert "seeds 0 and 1 are the same" in failures(verify(suite_row, options))["scores"]


def test_rounded_scores_are_detected(suite_row: Path, options: VerifyRequest):
    """One-hot scores are multiples of a ten-thousandth, unlike those of a network, and are reported."""

    def harden(table: pd.DataFrame) -> pd.DataFrame:
        scores = [f"score_{k}" for k in range(5)]
        hard = np.eye(5, dtype=np.float32)[table[scores].to_numpy().argmax(1)]
        return table.assign(**dict(zip(scores, hard.T, strict=True)))

    rewrite(suite_row, harden, redo=True)
    assert "rounded or invented" in failures(verify(suite_row, options))["scores"]


def show(folder: Path, images: np.ndarray, classes: list[str]) -> None:
    """Replace the previews of a bundle."""
    table = pd.DataFrame({"class": classes, "fold": 0, "image": [png(i) for i in images]})
    table.to_parquet(folder / "samples" / "images.parquet", index=False)
    edit(folder, lambda content: content["samples"].update(shown=len(table)))
    vouch(folder)


def test_copies_of_test_images_are_refused(suite_row: Path, options: VerifyRequest, data):  # type: ignore[no-untyped-def]
    """A preview that shows a test image is refused, and the check names the image."""
    test = data.folds[0].test
    show(suite_row, np.array(test.image[:20]), [test.classes[k] for k in test.label[:20]])
    problems = failures(verify(suite_row, options))["samples"]
    assert re.search(r"image 0: is real image 'test, ", problems)


def test_copies_of_training_images_must_be_in_the_rate(suite_row: Path, options: VerifyRequest, data):  # type: ignore[no-untyped-def]
    """All previews are training images, but the bundle reports a copy rate of 0 in 60."""
    train = data.folds[0].train
    show(suite_row, np.array(train.image[:40]), [train.classes[k] for k in train.label[:40]])
    assert "memorization.rate" in failures(verify(suite_row, options))["memorization"]


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (png(np.zeros((16, 16), np.uint8)), "expected gray of 32 by 32"),
        (png(np.zeros((32, 32), np.uint8))[:-30], "cannot be decoded"),
    ],
)
def test_an_invalid_picture_is_refused(suite_row: Path, options: VerifyRequest, content: bytes, words: str):
    """A picture of another size and a damaged one are refused."""
    table = pd.read_parquet(suite_row / "samples" / "images.parquet")
    table.at[3, "image"] = content
    table.to_parquet(suite_row / "samples" / "images.parquet", index=False)
    vouch(suite_row)
    problems = failures(verify(suite_row, options))["samples"]
    assert "image 3" in problems
    assert words in problems


def test_a_bomb_of_a_picture_is_not_decoded(suite_row: Path, options: VerifyRequest):
    """A PNG of 8000 by 8000 pixels in 70 kB is refused by its size before it is decoded."""
    buffer = io.BytesIO()
    Image.new("L", (8000, 8000)).save(buffer, "PNG")
    table = pd.read_parquet(suite_row / "samples" / "images.parquet")
    table.at[0, "image"] = buffer.getvalue()
    table.to_parquet(suite_row / "samples" / "images.parquet", index=False)
    vouch(suite_row)
    assert "image 0" in failures(verify(suite_row, options))["samples"]


class Evil:
    """An object whose unpickling creates a file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> Any:
        return (Path.touch, (self.path,))


@pytest.mark.parametrize("name", ["bundle.json", "predictions.parquet", "samples/images.parquet"])
def test_a_pickle_in_place_of_a_file_is_refused_and_not_loaded(
    suite_row: Path, options: VerifyRequest, tmp_path: Path, name: str
):
    """No code of a pickle runs."""
    (suite_row / name).write_bytes(pickle.dumps(Evil(tmp_path / "ran")))
    if name != "bundle.json":
        vouch(suite_row)
    assert failures(verify(suite_row, options)).keys() <= {"schema", "safety"}
    assert not (tmp_path / "ran").exists()


def test_a_replaced_grid_is_detected(suite_row: Path, options: VerifyRequest):
    """The hash of the grid differs."""
    (suite_row / "samples" / "grid.png").write_bytes(png(np.zeros((8, 8), np.uint8)))
    assert "grid.png" in failures(verify(suite_row, options))["schema"]


@pytest.mark.parametrize("name", ["real_only", "oracle", "noise", "stylegan"])
def test_a_submission_has_an_own_name(submission: Path, options: VerifyRequest, name: str):
    """A submission with the name of a control or of one of the suite's generators is refused."""

    def rename(content: dict[str, Any]) -> None:
        content["row"]["name"] = content["submission"]["name"] = name

    edit(submission, rename)
    folder = submission.rename(submission.with_name(name))
    rewrite(folder, lambda t: t.assign(run=t["run"].str.replace("blurred_noise", name)), redo=True)
    assert "row.name" in failures(verify(folder, options))["row"]


def test_a_protocol_of_another_version_is_named(suite_row: Path, options: VerifyRequest):
    """The check reports that the hashes differ."""
    edit(suite_row, lambda content: content.update(protocol_hash="5b1f" * 16))
    assert "protocol from another version" in failures(verify(suite_row, options))["protocol"]


def test_another_schema_is_refused(suite_row: Path, options: VerifyRequest):
    """A bundle of another release is refused."""
    edit(suite_row, lambda content: content.update(schema=3))
    assert "this release reads" in failures(verify(suite_row, options))["schema"]


def test_an_unknown_task_is_a_fault(suite_row: Path):
    """An unknown task fails the check, and no file is read because a bundle names it."""
    edit(suite_row, lambda content: content.update(task="../../tests/tasks/tiny.yaml"))
    assert "unknown task" in failures(verify(suite_row, VerifyRequest()))["protocol"]


def test_a_task_file_with_a_tag_of_yaml_is_refused(suite_row: Path, tmp_path: Path):
    """A YAML tag, which could create an object, is refused."""
    path = tmp_path / "evil.yaml"
    path.write_text("name: !!python/object/apply:os.system [touch ran]\n")
    assert "protocol" in failures(verify(suite_row, VerifyRequest(task=path)))


@pytest.mark.parametrize(
    "edited",
    [
        lambda c: c["row"].update(name="<script>alert(1)</script>"),
        lambda c: c.update(classes=["<img src=x>", *c["classes"][1:]]),
        lambda c: c["row"].update(title="<script>alert(1)</script>"),
    ],
)
def test_script_in_names_is_refused(
    suite_row: Path, options: VerifyRequest, edited: Callable[[dict[str, Any]], None]
):
    """Script in a row's name, a class or the card is refused."""
    edit(suite_row, edited)
    assert verify(suite_row, options).failed


def test_escape_sequences_are_printed_as_text(suite_row: Path, options: VerifyRequest):
    """Escape sequences of a bundle cannot control the terminal."""
    edit(suite_row, lambda content: content.update(question="\x1b[2Jgone\r"))
    lines = [c.line() for c in verify(suite_row, options).checks]
    assert all(line.isprintable() for line in lines)


def test_a_zip_is_checked_as_its_folder_and_nothing_is_left(
    suite_row: Path, options: VerifyRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """A ZIP has the same outcomes as its folder; its own folder and the temporary one are unchanged."""
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(scratch))
    path = Path(shutil.make_archive(str(tmp_path / "given"), "zip", tmp_path, "ddpm"))
    before = sorted(p.relative_to(tmp_path) for p in tmp_path.rglob("*"))
    assert [c.line() for c in verify(path, options).checks] == [
        c.line() for c in verify(suite_row, options).checks
    ]
    assert sorted(p.relative_to(tmp_path) for p in tmp_path.rglob("*")) == before


def test_a_submitted_record_is_ignored(suite_row: Path, options: VerifyRequest):
    """A verification record beside a bundle is reported as not read."""
    (suite_row / "verified.json").write_text("{}")
    outcomes = {c.name: c.passed for c in verify(suite_row, options).checks}
    assert outcomes["record"] is None


def test_a_signature_is_checked(suite_row: Path, tmp_path: Path):
    """A signature is valid from a known author, unknown from anyone else, and invalid after an edit that no
    other check detects."""
    known = tmp_path / "allowed_signers"
    AUTHOR.sign(suite_row / "bundle.json")
    known.write_text("")
    assert signature_of(suite_row, VerifyRequest(task=TINY)) is True
    assert signature_of(suite_row, VerifyRequest(task=TINY, allowed_signers=known)) is None
    known.write_text(AUTHOR.line())
    assert signature_of(suite_row, VerifyRequest(task=TINY, allowed_signers=known)) is True
    edit(suite_row, lambda content: content["costs"].update(fit_seconds=0.1))
    assert signature_of(suite_row, VerifyRequest(task=TINY, allowed_signers=known)) is False


def signature_of(folder: Path, options: VerifyRequest) -> bool | None:
    """Return the outcome of the signature check."""
    return next(c.passed for c in verify(folder, options).checks if c.name == "signature")


def test_unavailable_data_are_not_a_fault(suite_row: Path, options: VerifyRequest, monkeypatch):  # type: ignore[no-untyped-def]
    """Without the source's folder the data check is not done and does not fail."""

    def unavailable(*_: object) -> None:
        raise DataError("source x", "needs a folder")

    monkeypatch.setattr("benchmark.verification.data.recompute_data", unavailable)
    report = verify(suite_row, options)
    outcomes = {c.name: c.passed for c in report.checks}
    assert report.failed == []
    assert outcomes["data"] is None
    assert outcomes["samples"] is None


def test_the_command_prints_every_check_and_fails_if_one_fails(
    suite_row: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    """The exit status is 0 or 1, and the JSON has the same checks."""
    out = tmp_path / "report.json"
    given = ["verify", str(suite_row), "--task", str(TINY), "--out", str(out)]
    assert main(given) == 0
    printed = capsys.readouterr().out
    assert len(json.loads(out.read_text())["checks"]) == len(
        [s for s in printed.splitlines() if s[:12].strip() in MARKS]
    )
    edit(suite_row, lambda content: content.update(question="Another one?"))
    assert main(given) == 1
    assert "FAILED      protocol: question: is 'Another one?'" in capsys.readouterr().out


def test_a_row_that_failed_has_less_to_check(suite_row: Path, options: VerifyRequest, tmp_path: Path):
    """Protocol, data and name of a failed row are checked; its missing parts are reported as not checked."""
    content = json.loads((suite_row / "bundle.json").read_text())
    content.update(status="failed", error="ddpm: NaN loss", results={}, samples=None, memorization=None)
    content.update(measures={}, files={})
    folder = tmp_path / "failed" / "ddpm"
    write_bundle(folder, content, None, None)
    outcomes = {c.name: c.passed for c in verify(folder, VerifyRequest(task=TINY, deep=True)).checks}
    assert False not in outcomes.values()
    assert outcomes["data"] is True
    assert outcomes["results"] is outcomes["scores"] is outcomes["retrained"] is None


@pytest.mark.parametrize(
    "changed",
    [{"tolerance": "<script>"}, {"n": 10**30}, {"n": 61}, {"remark": "no copies"}, {"left_out": {"viral": 3}},
     {"gated": True}, {"threshold": 0.5}, {"planted_recall": 0.5}],
    ids=lambda changed: next(iter(changed)),
)  # fmt: skip
def test_the_gate_is_recomputed(suite_row: Path, options: VerifyRequest, changed: dict[str, Any]):
    """Invalid or too large numbers, unknown fields, and figures that differ after recomputation are
    reported."""
    edit(suite_row, lambda content: content["memorization"].update(changed))
    assert f"memorization.{next(iter(changed))}" in failures(verify(suite_row, options))["memorization"]
