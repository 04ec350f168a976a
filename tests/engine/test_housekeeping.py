"""Space of a store: shown by stage, and freed by age and by run, never below a run."""

import os
import time
from pathlib import Path

import pytest

from benchmark.cli import store as verbs
from benchmark.cli.parser import main
from benchmark.engine.claim import BEAT
from benchmark.engine.store import Store
from benchmark.errors import StoreError
from benchmark.experiments.run_record import RunRecord
from benchmark.utils.files import write_json

DAY = 86400


@pytest.fixture
def store(tmp_path, monkeypatch) -> Store:
    """A store with a result of 2 MiB that is 40 days old, and one of 1 MiB of today."""
    monkeypatch.setenv("SYNTHTHORAX_STORE", str(tmp_path / "store"))
    store = Store(tmp_path / "store")
    for stage, key, size, age in (("fit", "old", 2, 40), ("classify", "new", 1, 0)):
        claim = store.claim(stage, key)
        (claim.out / "a.bin").write_bytes(bytes(size * 2**20))
        folder = store.commit(stage, key, claim.out, {"result": {}}).folder
        claim.discard()
        then = time.time() - age * DAY
        os.utime(folder / "manifest.json", (then, then))
    return store


def keys(store: Store) -> set[str]:
    return {folder.name for folder in store.folders()}


def run_with(folder: Path, *results: tuple[str, str]) -> Path:
    """Write the record of a run that used some results."""
    record = RunRecord(
        verb="run", task="t", profile="demo", source="s", data_kind="phantom", protocol_hash="0", store="s",
        mlflow_run="0", rows={}, results=results,
    )  # fmt: skip
    folder.mkdir()
    write_json(folder / "run.json", record.model_dump(mode="json"))
    return folder


def test_usage_by_stage(store, capsys):
    """The largest comes first; the sum is 3 MiB and a few bytes of manifests."""
    assert main(["store", "du"]) == 0
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert [line[:3] for line in lines] == [
        ["fit", "1", "2.0"],
        ["classify", "1", "1.0"],
        ["all", "2", "3.0"],
    ]


def test_old_results_go(store, capsys):
    """A dry run names the one result that is older than 30 days; then it is removed."""
    assert main(["store", "gc", "--older-than", "30", "--dry-run"]) == 0
    assert "fit/old  2.0 MiB\n1 folder of 2.0 MiB would be removed" in capsys.readouterr().out
    assert keys(store) == {"old", "new"}
    assert main(["store", "gc", "--older-than", "30"]) == 0
    assert keys(store) == {"new"}
    assert list((store.root / "work").iterdir()) == []


def test_results_go_and_stay_by_run(store, tmp_path):
    """Of a run with both, those of another run stay."""
    both = run_with(tmp_path / "both", ("fit", "old"), ("classify", "new"))
    one = run_with(tmp_path / "one", ("fit", "old"))
    assert main(["store", "gc", "--run", str(both), "--keep", str(one)]) == 0
    assert keys(store) == {"old"}


def test_nothing_goes_by_mistake(store, tmp_path, capsys):
    """No criterion, a folder that is no run, and the record of an earlier version are refused."""
    assert main(["store", "gc"]) == 1
    assert "needs --older-than DAYS or --run OUT" in capsys.readouterr().err
    assert main(["store", "gc", "--run", str(tmp_path)]) == 1
    assert main(["store", "gc", "--run", str(run_with(tmp_path / "earlier"))]) == 1
    assert "names no results" in capsys.readouterr().err
    assert keys(store) == {"old", "new"}


def test_a_store_in_use_is_left_alone(store, capsys):
    """While a run holds the store the process is named; a dry run is free to look."""
    with store.in_use():
        assert main(["store", "gc", "--older-than", "30"]) == 1
        assert f"is in use by process {os.getpid()} on " in capsys.readouterr().err
        assert main(["store", "gc", "--older-than", "30", "--dry-run"]) == 0
    assert keys(store) == {"old", "new"}
    assert list((store.root / "work").iterdir()) == []


def test_unfinished_work_goes_when_its_writer_is_gone(store):
    """Of two claims that are 40 days old, that of a living process stays."""
    claims = [store.claim("fit", name) for name in ("left", "held")]
    for claim in claims:
        (claim.scratch / "state").touch()
    (claims[0].folder / BEAT).unlink()  # released after an error
    old = time.time() - 40 * DAY
    os.utime(claims[0].folder, (old, old))
    os.utime(claims[1].folder / BEAT, (old, old))
    assert main(["store", "gc", "--older-than", "30"]) == 0
    assert [claim.folder.exists() for claim in claims] == [False, True]


def test_without_a_store_there_is_nothing_to_clean(tmp_path, monkeypatch):
    """The remedy names the variable; no folder is made."""
    monkeypatch.setenv("SYNTHTHORAX_STORE", str(tmp_path / "none"))
    with pytest.raises(StoreError, match="Set SYNTHTHORAX_STORE"):
        verbs.usage(None)
    assert not (tmp_path / "none").exists()


def test_a_file_system_that_moves_onto_full_folders_is_refused(store, monkeypatch):
    """There the second writer would replace the first one's result."""

    def lying(source, target):
        if Path(target).exists():
            for path in Path(source).iterdir():
                path.replace(Path(target) / path.name)
            Path(source).rmdir()
        else:
            Path(source).replace(target)

    monkeypatch.setattr("benchmark.engine.store.os.rename", lying)
    with pytest.raises(StoreError, match="moves a folder onto one that is not empty"), store.in_use():
        raise AssertionError
