"""Every verb refuses to replace a user's files: one line, status 1, before anything is computed."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmark.cli.parser import main
from support.samples import ROOT, TINY

TASK = ["--task", str(TINY)]
BINARY = ["--task", str(ROOT / "tests" / "tasks" / "tiny_binary.yaml")]
CARD = ROOT / "examples" / "submissions" / "generator" / "submission.yaml"  # of the row lesion_blend
SUBMIT = ["submit", *TASK, "--generator", str(ROOT / "examples" / "lesion_blend.py"), "--card", str(CARD)]
NAME = CARD.read_text().split("name: ")[1].split()[0]


@pytest.fixture
def place(tmp_path, monkeypatch):
    """An empty working directory, in which a verb would make its store."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("SYNTHTHORAX_STORE", raising=False)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path / 'mlflow.db'}")
    return tmp_path


def files(folder: Path) -> dict[Path, bytes]:
    return {p: p.read_bytes() for p in folder.rglob("*") if p.is_file()}


@pytest.mark.parametrize(
    ("mine", "arguments"),
    [
        ("a/data/thesis.txt", ["data", *TASK, "--out", "a"]),
        ("a/measure/noise/thesis.txt", ["measure", *TASK, "--out", "a"]),
        ("a/classify", ["classify", *TASK, "--out", "a"]),
        ("a/bundles/thesis/text.txt", ["run", *TASK, "--out", "a"]),
        ("a/bundles/real_only/text.txt", ["run", *TASK, "--out", "a"]),
        ("a/leaderboard.md", ["run", *TASK, "--out", "a"]),
        ("a", ["run", *TASK, "--out", "a"]),
        ("a/view.keep=both/bundles/x/y", ["sweep", *BINARY, "--over", "view.keep", "--out", "a"]),
        ("a/tables/README.md", ["sweep", *BINARY, "--over", "view.keep", "--out", "a"]),
        ("a/best_params.yaml", ["tune", *TASK, "--generator", "ddpm", "--out", "a"]),
        (f"{NAME}/model.py", [*SUBMIT, "--out", "."]),
        (f"{NAME}.zip", [*SUBMIT, "--out", "."]),
        ("bundles/mine/model.py", [*SUBMIT, "--out", ".", "--with-controls"]),
        ("README.md", ["tables", "--bundles", "none", "--out", "."]),
        ("README.md", ["tasks", "--pages", "."]),
        ("README.md", ["leaderboard", "--root", ".", "--add", "none"]),
        ("leaderboard.html", ["leaderboard", "--bundles", "none/bundles", "--out", "."]),
        ("comparison.json", ["compare", "--bundles", "none", "--out", "."]),
        ("README.md", ["data", "build", "--source", "phantom.chest", "--out", "."]),
        ("runs.csv", ["stats", "runs", "--csv", "runs.csv", "--out", "runs.csv"]),
        ("a.json", ["data", "verify", "phantom.chest", "--out", "a.json"]),
        ("a.json", ["verify", "none", "--out", "a.json"]),
        ("phantom_cxr_v1.json", ["extractor", "--out", "."]),
    ],
)
def test_a_users_files_are_left_alone(place, capsys, mine, arguments):
    """The error names the file; it stays, and neither a store nor a tracking store is made."""
    (place / mine).parent.mkdir(parents=True, exist_ok=True)
    (place / mine).write_text("mine")
    before = files(place)
    assert main(arguments) == 1
    error = capsys.readouterr().err
    assert Path(mine).name in error
    assert error.count("error:") == 1
    assert len(error.splitlines()) == 2
    assert files(place) == before


def test_an_output_folder_among_the_stored_results_is_refused(place, capsys):
    """``--out`` must not lie where the store keeps its results."""
    assert main(["data", *TASK, "--out", ".store/results/mine"]) == 1
    assert "among the results of the store" in capsys.readouterr().err


def test_an_export_does_not_replace_the_working_directory(place, capsys):
    """An empty working directory is no folder for an export: it would be exchanged for another."""
    assert main(["data", "export", *TASK, "--out", "."]) == 1
    assert "working directory" in capsys.readouterr().err


def test_own_results_are_replaced_and_others_stay_beside_them(place):
    """A second run into a folder replaces its copies; a user's file beside them does not matter. The record
    names the new run in MLflow."""
    words = ["data", *TASK, "--out", "a", "--workers", "1"]
    assert main(words) == 0
    (place / "a" / "notes.txt").write_text("mine")
    before = files(place / "a")
    assert main(words) == 0
    after = files(place / "a")
    (record,) = (name for name in after if str(name).endswith("run.json"))
    assert after.pop(record) != before.pop(record)
    assert after == before
