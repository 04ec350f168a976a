"""Tables and figures from bundles."""

from __future__ import annotations

import csv
import shutil
from pathlib import Path

import pytest

from benchmark.bundles.io import read_bundle, write_bundle
from benchmark.cli.parser import main
from benchmark.errors import SubmissionError
from benchmark.reporting.write_tables import folder_names, write_tables
from support.by_hand import bundle, predictions
from support.make_bundles import FOLDS, make_bundles

ROWS = ("real_only", "ddpm", "noise")


def run_folder(folder: Path, keep: float, right: int) -> Path:
    """Write the output of a run: ``real_only`` and a generator at one bracket."""
    scenario = {"few": {"rule": "fraction", "of": "left", "keep": keep}}
    same = {
        "scenario": scenario,
        "brackets": [1],
        "primary_bracket": 1,
        "seeds": [0, 1],
        "classifiers": ["a"],
    }
    real = predictions({(0, "a", s): (right, right + s) for s in (0, 1)})
    better = predictions({(1, "a", s): (right + 2, right + 2) for s in (0, 1)})
    for row, table, role in (("real_only", real, "control"), ("one", better, "generator")):
        own = bundle(row, table, role, **same)
        write_bundle(folder / "bundles" / row, own.manifest.record(), own.predictions, None)
    return folder


@pytest.fixture(scope="module")
def runs(tmp_path_factory) -> list[Path]:
    """Two runs that differ in a share."""
    root = tmp_path_factory.mktemp("runs")
    return [run_folder(root / "half", 0.5, 5), run_folder(root / "all", 1.0, 7)]


def contents(out: Path) -> dict[str, bytes]:
    """Return the bytes of every file by path."""
    return {str(p.relative_to(out)): p.read_bytes() for p in sorted(out.rglob("*")) if p.is_file()}


def test_a_run_alone_writes_every_table_into_one_folder(runs, tmp_path):
    """The folder has tables in three formats, and a page that lists what was left out."""
    written = write_tables(runs[:1], tmp_path)
    names = {p.name for p in written}
    for table in ("balanced_accuracy_by_bracket", "accuracy_change", "per_class", "strategies"):
        assert {f"{table}.{kind}" for kind in ("csv", "md", "tex")} <= names
    assert written[0] == tmp_path / "README.md"
    assert all(p.parent == tmp_path and p.is_file() for p in written)
    page = written[0].read_text()
    assert "- folds: the task has no folds" in page
    assert "- metric\\_by\\_choice: it needs runs that differ in one field" in page


def test_variants_have_own_folders_and_common_tables(runs, tmp_path):
    """The strategies table has the figures of both runs: 10.5 and 14.5 of 20 correct."""
    write_tables(runs, tmp_path)
    with (tmp_path / "strategies.csv").open() as file:
        lines = [li for li in csv.DictReader(file) if li["figure"] == "Accuracy"]
    values = {(li["few.keep"], li["row"]): float(li["value"]) for li in lines}
    assert values == pytest.approx(
        {("0.5", "real_only"): 0.525, ("0.5", "one"): 0.7, ("1.0", "real_only"): 0.725, ("1.0", "one"): 0.9}
    )
    assert (tmp_path / "metric_by_choice.png").is_file()
    assert (tmp_path / "few.keep=0.5" / "per_class.tex").is_file()
    assert (tmp_path / "few.keep=1.0" / "per_class.tex").is_file()


def test_same_bundles_same_bytes(runs, tmp_path):
    """Files do not depend on the time, or on whether the bundles' folder or its parent is given."""
    write_tables(runs, tmp_path / "a")
    write_tables([run / "bundles" for run in runs], tmp_path / "b")
    assert contents(tmp_path / "a") == contents(tmp_path / "b")


def test_a_failed_row_is_left_out(runs, tmp_path):
    """A failed row is left out, and the other rows have their figures."""
    folder = tmp_path / "bundles"
    shutil.copytree(runs[0] / "bundles", folder)
    own = read_bundle(folder / "one")
    failed = own.manifest.record() | {"status": "failed", "error": "NaN loss"}
    write_bundle(folder / "one", failed, None, None)
    write_tables([folder], tmp_path / "out")
    text = (tmp_path / "out" / "strategies.csv").read_text()
    assert "real_only" in text
    assert "one," not in text


def test_a_cross_validation_has_its_table_of_folds(tmp_path):
    """There is a table for the test split and one for each further split."""
    write_tables([make_bundles(tmp_path / "b", rows=ROWS, variant=FOLDS)], tmp_path / "out")
    names = set(contents(tmp_path / "out"))
    assert {"folds.csv", "folds_test_site.csv", "change_by_bracket.svg", "subgroups.md"} <= names


def test_the_command_prints_the_written_files(runs, tmp_path, capsys):
    """The command prints the files and exits with 0."""
    assert main(["tables", "--bundles", str(runs[0]), "--out", str(tmp_path)]) == 0
    assert capsys.readouterr().out.splitlines()[0] == str(tmp_path / "README.md")


def test_the_command_takes_folders_with_commas(runs, tmp_path):
    """Folders may be separated by commas, as MLflow passes them."""
    assert main(["tables", "--bundles", ",".join(map(str, runs)), "--out", str(tmp_path)]) == 0
    assert (tmp_path / "few.keep=1.0").is_dir()


def test_folders_of_variants_are_plain_and_never_shared():
    """Folder names have no separator or space; two equal names are numbered."""
    labels = ['mix.factor={"a": 1}', "x=../../etc", "a=b, c=d", "a=b c=d"]
    names = folder_names(labels)
    assert names == ["mix.factor=_a_1", "x=.._.._etc", "a=b_c=d-3", "a=b_c=d-4"]
    long = folder_names(["a" * 300 + "1", "a" * 300 + "2"])
    assert long == ["a" * 100 + "-1", "a" * 100 + "-2"]


def test_the_same_run_twice_is_refused(runs, tmp_path):
    """A repeated run is refused, since a table would have two rows of one key."""
    with pytest.raises(SubmissionError, match="same variant"):
        write_tables([runs[0], runs[0]], tmp_path)


def test_a_folder_without_bundles_is_named(tmp_path, capsys):
    """The error names the folder, on the command line too."""
    assert main(["tables", "--bundles", str(tmp_path / "nothing"), "--out", str(tmp_path / "out")]) == 1
    assert "holds no bundle" in capsys.readouterr().err
