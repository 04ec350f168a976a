"""Bundles survive a round trip, and invalid bundles are refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from benchmark.bundles.declared import declared
from benchmark.bundles.io import read_bundle, read_bundles, write_bundle
from benchmark.comparison.reported import results
from benchmark.errors import SubmissionError
from support.make_bundles import (
    BINARY,
    FOLDS,
    MULTILABEL,
    images_of,
    make_bundles,
    manifest,
    predictions,
    update_hashes,
)

SMALL: dict[str, Any] = {"test_counts": (4,) * 5, "paper_counts": None, "seeds": (0, 1)}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Write a bundle of two brackets and two runs over 20 images."""
    return make_bundles(tmp_path, rows=("ddpm",), **SMALL) / "ddpm"


def test_a_bundle_survives_writing_and_reading(tmp_path, folder):
    """Content and bytes survive a round trip, whatever the order of the predictions."""
    bundle = read_bundle(folder)
    assert bundle.predictions is not None
    again = tmp_path / "again" / "ddpm"
    shuffled = bundle.predictions.sample(frac=1, random_state=0)
    write_bundle(again, bundle.manifest.record(), shuffled, bundle.grid, previews=bundle.previews)
    for name in ("bundle.json", "predictions.parquet", "samples/grid.png", "samples/images.parquet"):
        assert (again / name).read_bytes() == (folder / name).read_bytes()
    assert len(bundle.predictions) == 20 * 2 * 2


def test_curves_and_pictures_of_a_training_survive(tmp_path, folder):
    """A bundle with both reads as written; one without, as an older bundle, has neither field nor file."""
    bundle = read_bundle(folder)
    record = bundle.manifest.record()
    assert (bundle.training, "fit_curves" in record) == (None, False)
    curve = {"fit": 0, "step": [5, 9], "figures": {"preview_fid/viral": [3.0, None]}}
    again = tmp_path / "again" / "ddpm"
    tables = (bundle.predictions, bundle.grid, None, bundle.previews, bundle.grid)
    write_bundle(again, record | {"fit_curves": [curve]}, *tables)
    read = read_bundle(again)
    assert (read.training, read.manifest.fit_curves[0].figures) == (
        bundle.grid,
        {"preview_fid/viral": (3.0, None)},
    )
    curve["step"] = [5]
    with pytest.raises(SubmissionError, match="one value per step"):
        write_bundle(again, record | {"fit_curves": [curve]}, *tables)
    with pytest.raises(SubmissionError, match=r"training.png: is not a PNG"):
        write_bundle(again, record, *tables[:-1], b"text")


def test_a_failed_row_needs_no_predictions(tmp_path):
    """A failed row has an error in place of predictions."""
    folder = make_bundles(tmp_path, rows=("ddpm",), failed={"ddpm": "out of memory"}, **SMALL) / "ddpm"
    bundle = read_bundle(folder)
    assert (bundle.manifest.error, bundle.predictions) == ("out of memory", None)


@pytest.mark.parametrize(
    ("path", "value", "named"),
    [
        (("unknown",), 1, "unknown"),
        (("schema",), 1, "schema"),
        (("task",), None, "task"),
        (("data_kind",), "simulated", "data_kind"),
        (("row", "name"), "../ddpm", "row.name"),
        (("row", "role"), "winner", "row.role"),
        (("primary_bracket",), 7, "primary_bracket"),
        (("seeds",), [0, 0], "seeds"),
        (("classifier_cards",), [], "classifier_cards"),
        (("classifier_cards", 0, "name"), "resnet50", "classifier_cards must be those of classifiers"),
        (("classifier_cards", 0, "weights"), {"kind": "file"}, "classifier_cards.0.weights"),
        (
            ("classifier_cards", 0, "weights"),
            {"kind": "none", "sha256": "0" * 64},
            "classifier_cards.0.weights",
        ),
        (("classifier_cards", 0, "head"), "<b>", "classifier_cards.0.head"),
        (("status",), "failed", "error"),
        (("memorization", "rate"), 1.5, "memorization.rate"),
        (("measures", "ms_ssim", "value"), float("nan"), "NaN"),
        (("costs", "fit_seconds"), -1, "costs.fit_seconds"),
        (("hardware",), {"load": float("inf")}, "Infinity"),
        (("protocol_hash",), "`<script>", "protocol_hash"),
        (("labels",), "many", "labels"),
        (("folds",), 0, "folds"),
        (("positive",), "fungal", "positive"),
        (("subgroups",), ["height"], "subgroups"),
        (("primary_metric", "name"), "f1", "two classes"),
    ],
)
def test_a_wrong_field_is_named(folder, path, value, named):
    """The error for a fault in bundle.json is one line that names the field."""
    content = json.loads((folder / "bundle.json").read_text())
    at = content
    for key in path[:-1]:
        at = at[key]
    at[path[-1]] = value
    (folder / "bundle.json").write_text(json.dumps(content))
    with pytest.raises(SubmissionError, match=named):
        read_bundle(folder)


def spoil(table: pd.DataFrame, fault: str) -> pd.DataFrame:
    """Return the predictions with one fault."""
    if fault == "NaN":
        table.loc[3, "score_1"] = np.nan
    elif fault == "infinite":
        table.loc[3, "score_1"] = np.inf
    elif fault == "sum":
        table.loc[3, "score_1"] += 0.1
    elif fault == "negative":
        table.loc[3, "score_0"] -= 1
        table.loc[3, "score_1"] += 1
    elif fault == "missing":
        return table.drop(index=5)
    elif fault == "twice":
        return pd.concat([table, table.iloc[:1]])
    elif fault == "column":
        return table.drop(columns="patient_id")
    elif fault == "label":
        table.loc[3, "label"] = 5
    elif fault == "bracket":
        return table[table["bracket"] == 100]
    elif fault == "seed":
        table["seed"] = table["seed"].astype(float)
    elif fault == "split":
        table["split"] = "train"
    return table


@pytest.mark.parametrize(
    ("fault", "named"),
    [
        ("NaN", "score_1"), ("infinite", "score_"), ("sum", "score_"), ("negative", "score_"),
        ("missing", "image_id"), ("twice", "two predictions"), ("column", "patient_id"), ("label", "label"),
        ("bracket", "bracket"), ("seed", "seed"), ("split", "split"),
    ],
)  # fmt: skip
def test_wrong_predictions_are_refused(folder, fault, named):
    """The error for NaN, missing, duplicate or foreign predictions names the column."""
    table = spoil(pd.read_parquet(folder / "predictions.parquet"), fault)
    table.to_parquet(folder / "predictions.parquet", index=False)
    update_hashes(folder)
    with pytest.raises(SubmissionError, match=named):
        read_bundle(folder)


@pytest.mark.parametrize("name", ["bundle.json", "predictions.parquet", "samples/grid.png"])
def test_a_corrupt_file_is_named(folder, name):
    """The error names the corrupt file, whichever of the three it is."""
    (folder / name).write_bytes(b"garbage")
    with pytest.raises(SubmissionError, match=Path(name).name):
        read_bundle(folder)


@pytest.mark.parametrize("name", ["bundle.json", "predictions.parquet"])
def test_a_missing_file_is_named(folder, name):
    """The error names the missing file."""
    (folder / name).unlink()
    with pytest.raises(SubmissionError, match=name):
        read_bundle(folder)


def test_a_link_out_of_the_folder_is_not_followed(tmp_path, folder):
    """A link in place of a file is refused."""
    elsewhere = tmp_path / "elsewhere.json"
    (folder / "bundle.json").rename(elsewhere)
    (folder / "bundle.json").symlink_to(elsewhere)
    with pytest.raises(SubmissionError, match="plain file"):
        read_bundle(folder)


def test_a_row_in_a_folder_of_another_name_is_refused(folder):
    """The folder must have the row's name."""
    with pytest.raises(SubmissionError, match=r"row\.name"):
        read_bundle(folder.rename(folder.with_name("stylegan")))


def test_a_folder_without_bundles_is_refused(tmp_path):
    """A folder without bundles is an error, not an empty leaderboard."""
    with pytest.raises(SubmissionError, match="holds no bundle"):
        read_bundles(tmp_path)


def test_writing_refuses_what_reading_would(tmp_path):
    """An invalid bundle is refused on writing and leaves nothing behind."""
    sets = {"test": images_of("test", (4,) * 5)}
    content = {**manifest("ddpm", sets, (100, 250), (0, 1)), "seeds": []}
    with pytest.raises(SubmissionError, match="seeds"):
        write_bundle(tmp_path / "ddpm", content, None, None)
    whole = predictions("ddpm", sets, (100, 250), (0, 1))
    with pytest.raises(SubmissionError, match="score_1"):
        write_bundle(tmp_path / "ddpm", manifest("ddpm", sets, (100, 250), (0, 1)), spoil(whole, "NaN"), None)
    assert not (tmp_path / "ddpm" / "bundle.json").exists()


def test_an_older_bundle_is_refused_in_one_clear_line(folder):
    """The error has the bundle's schema, the supported one and a remedy, not a list of missing fields."""
    content = json.loads((folder / "bundle.json").read_text())
    (folder / "bundle.json").write_text(json.dumps({**content, "schema": 1}))
    with pytest.raises(
        SubmissionError, match=r"schema: is 1, this release reads 5 and 6\n +Run the row again"
    ):
        read_bundle(folder)


@pytest.mark.parametrize("variant", [BINARY, MULTILABEL, FOLDS], ids=["binary", "multilabel", "folds"])
def test_other_kinds_of_tasks_survive_writing_and_reading(tmp_path, variant):
    """Two classes with subgroups, several labels, and folds survive a round trip byte by byte."""
    folder = make_bundles(tmp_path, rows=("ddpm",), seeds=(0, 1), variant=variant) / "ddpm"
    bundle = read_bundle(folder)
    assert bundle.predictions is not None
    again = tmp_path / "again" / "ddpm"
    shuffled = bundle.predictions.sample(frac=1, random_state=0)
    write_bundle(again, bundle.manifest.record(), shuffled, bundle.grid, previews=bundle.previews)
    for name in ("bundle.json", "predictions.parquet"):
        assert (again / name).read_bytes() == (folder / name).read_bytes()
    assert set(variant.subgroups) <= set(bundle.predictions.columns)


def spoil_other(table: pd.DataFrame, fault: str) -> pd.DataFrame:
    """Return the predictions of another kind of task with one fault."""
    if fault == "label is not -1":
        table.loc[2, "label"] = 0
    elif fault == "label_3":
        table.loc[2, "label_3"] = 2
    elif fault == "above 1":
        table.loc[2, "score_4"] = 1.2
    elif fault == "fold":
        table.loc[2, "fold"] = 5
    elif fault == "in two folds":
        first = table[(table["split"] == "test") & (table["fold"] == 0)].iloc[:1]
        return pd.concat([table, first.assign(fold=1)], ignore_index=True)
    elif fault == "age":
        table.loc[2, "age"] = 210.0
    elif fault == "sex":
        table.loc[2, "sex"] = "x" * 201
    elif fault == "split":
        table["split"] = table["split"].replace("test_site", "validation")
    return table


@pytest.mark.parametrize(
    ("variant", "fault", "named"),
    [
        (MULTILABEL, "label is not -1", "label: expected -1"),
        (MULTILABEL, "label_3", "label_3: expected 0 or 1"),
        (MULTILABEL, "above 1", "from 0 to 1"),
        (FOLDS, "fold", r"fold: has .* expected 0\.\.4"),
        (FOLDS, "in two folds", "in one of 5 folds or in each"),
        (BINARY, "age", "age: outside"),
        (BINARY, "sex", "sex: expected texts"),
        (BINARY, "split", "validation"),
    ],
)
def test_wrong_predictions_of_other_kinds_are_refused(tmp_path, variant, fault, named):
    """Labels, folds and patient columns are validated like scores."""
    folder = make_bundles(tmp_path, rows=("ddpm",), seeds=(0,), variant=variant) / "ddpm"
    table = spoil_other(pd.read_parquet(folder / "predictions.parquet"), fault)
    table.to_parquet(folder / "predictions.parquet", index=False)
    update_hashes(folder)
    with pytest.raises(SubmissionError, match=named):
        read_bundle(folder)


def test_patient_columns_are_optional(tmp_path):
    """Columns of sex, age, view and site may be absent or empty."""
    folder = make_bundles(tmp_path, rows=("ddpm",), seeds=(0,), variant=BINARY) / "ddpm"
    table = pd.read_parquet(folder / "predictions.parquet").drop(columns=["sex"])
    table["age"], table["view"] = np.nan, None
    table.to_parquet(folder / "predictions.parquet", index=False)
    update_hashes(folder)
    bundle = read_bundle(folder)
    assert bundle.predictions is not None
    assert "sex" not in bundle.predictions.columns
    assert bundle.predictions["age"].isna().all()


@pytest.mark.parametrize("name", ["predictions.parquet", "samples/grid.png", "samples/images.parquet"])
def test_a_changed_file_is_refused_by_its_name(folder, name):
    """``bundle.json`` has the hash of every other file, so the error names the changed one."""
    with open(folder / name, "ab") as handle:
        handle.write(b"x")
    with pytest.raises(SubmissionError, match=rf"{name}: does not match its SHA-256"):
        read_bundle(folder)


def test_a_file_that_is_gone_or_new_is_refused(folder):
    """A missing file and a file that ``bundle.json`` does not list are refused."""
    grid = (folder / "samples/grid.png").read_bytes()
    (folder / "samples/grid.png").unlink()
    with pytest.raises(SubmissionError, match=r"grid.png: is missing; bundle.json names it"):
        read_bundle(folder)
    (folder / "samples/grid.png").write_bytes(grid)
    (folder / "curve.parquet").write_bytes(b"x")
    with pytest.raises(SubmissionError, match=r"curve.parquet: does not match"):
        read_bundle(folder)


def test_scores_are_stored_with_seven_digits_and_results_are_of_these(folder):
    """Scores are float32 on disk, and the reported metrics are computed from the stored scores."""
    bundle = read_bundle(folder)
    assert bundle.predictions["score_0"].dtype == np.float32
    again = results(bundle.manifest.record(), bundle.predictions)
    assert again == bundle.manifest.record()["results"]
    own = bundle.predictions.query("split == 'test' and bracket == 100 and seed == 0")
    right = own[[f"score_{k}" for k in range(5)]].to_numpy().argmax(1) == own["label"]
    assert again["test"]["100"]["accuracy"]["runs"][0] == pytest.approx(right.mean())


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("class", "elephant", "class: holds a class"),
        ("fold", 7, r"fold: outside 0\.\.0"),
        ("image", b"GIF89a", "is not a PNG"),
        ("image", "text", "image: does not hold bytes"),
    ],
)
def test_previews_are_checked(tmp_path, folder, field, value, message):
    """A preview needs a class and a fold of the task, and PNG bytes."""
    bundle = read_bundle(folder)
    bad = bundle.previews.astype({field: object})
    bad.loc[0, field] = value
    with pytest.raises(SubmissionError, match=message):
        write_bundle(tmp_path / "x", bundle.manifest.record(), bundle.predictions, None, previews=bad)


OLD_CARD = {
    "name": "ddpm", "title": "t", "authors": ["A. Author"], "license": "MIT", "training_data": "the task's",
    "pretrained_weights": "none", "compute": "1 h",
}  # fmt: skip
NEW_CARD = {
    "name": "ddpm", "title": "t", "authors": ["A. Author"], "license": "MIT", "training_data": "the task's",
    "pretraining_data": "none", "attempts": 2, "test_access": "none", "hardware": "1 h",
}  # fmt: skip


@pytest.mark.parametrize(
    ("schema", "card", "field"),
    [(5, OLD_CARD, ""), (6, NEW_CARD, ""), (6, OLD_CARD, "submission"), (5, NEW_CARD, "submission")],
)
def test_a_card_of_the_old_schema_loads_with_its_number_alone(schema, card, field, tmp_path):
    """Bundles of schema 5 load until their rows are run again; a new one needs every field of the card."""
    folder = make_bundles(tmp_path, ("ddpm",), (12,) * 5, None) / "ddpm"
    content = json.loads((folder / "bundle.json").read_text())
    content |= {"schema": schema, "submission_type": "samples", "submission": card}
    (folder / "bundle.json").write_text(json.dumps(content))
    if field:
        with pytest.raises(SubmissionError, match=f"bundle.json: {field}"):
            read_bundle(folder)
        return
    read = read_bundle(folder).manifest
    assert read.record()["submission"] == {"paper": "", "code": "", **card}
    assert declared(read).attempts == (None if schema == 5 else 2)
    assert declared(read).test_access == ("not declared" if schema == 5 else "none")
