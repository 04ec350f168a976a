"""The check of this machine."""

from __future__ import annotations

import json

from benchmark.cli import doctor
from benchmark.cli.parser import main


def test_a_disk_that_cannot_be_written_is_missing_with_its_remedy(monkeypatch, tmp_path, capsys):
    """The line names the store and what to set; the status is 1."""
    monkeypatch.setenv("SYNTHTHORAX_STORE", str(tmp_path / "store"))
    monkeypatch.setattr("benchmark.cli.doctor.os.access", lambda *_: False)
    monkeypatch.setattr(doctor, "CHECKS", {"disk": doctor._disk})
    assert main(["doctor"]) == 1
    line = capsys.readouterr().out
    assert line.startswith(f"missing disk        store {tmp_path / 'store'} cannot be written  -> set SYNTH")


def test_a_full_disk_is_a_note(monkeypatch, tmp_path, capsys):
    """4 GiB of 5 are free: a note, and status 0."""
    monkeypatch.setenv("SYNTHTHORAX_STORE", str(tmp_path))
    usage = type("Usage", (), {"free": 4 * 2**30})
    monkeypatch.setattr("benchmark.cli.doctor.shutil.disk_usage", lambda _: usage)
    monkeypatch.setattr(doctor, "CHECKS", {"disk": doctor._disk})
    assert main(["doctor", "--json"]) == 0
    (check,) = json.loads(capsys.readouterr().out)
    assert (check["part"], check["outcome"]) == ("disk", "note")
    assert check["text"].endswith("4 GiB free")


def test_weights_and_their_place_are_named(monkeypatch, tmp_path, capsys):
    """Without Inception's weights the remedy names the file; with it the check is ok."""
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr(doctor, "CHECKS", {"weights": doctor._weights})
    assert main(["doctor"]) == 0
    assert "weights-inception-2015-12-05-6726825d.pth of torch-fidelity" in capsys.readouterr().out
    folder = tmp_path / "hub" / "checkpoints"
    folder.mkdir(parents=True)
    (folder / "weights-inception-2015-12-05-6726825d.pth").write_bytes(b"")
    (tmp_path / "models--timm--resnet50").mkdir()
    assert main(["doctor", "--json"]) == 0
    assert [c["outcome"] for c in json.loads(capsys.readouterr().out)] == ["ok", "ok"]


def test_the_sandbox_level_of_this_machine_is_told(monkeypatch, capsys):
    """A level that isolates nothing is a note with the remedy."""
    monkeypatch.setenv("SYNTHTHORAX_SANDBOX", "process")
    monkeypatch.setattr(doctor, "CHECKS", {"sandbox": doctor._sandbox})
    assert main(["doctor"]) == 0
    assert "NOT isolated here  -> Install bubblewrap" in capsys.readouterr().out
    monkeypatch.setenv("SYNTHTHORAX_SANDBOX", "none")
    assert main(["doctor"]) == 1
    assert "unknown level 'none'" in capsys.readouterr().out


def test_every_part_of_this_machine_has_a_line(monkeypatch, tmp_path, capsys):
    """All checks run here, whatever they find."""
    monkeypatch.setenv("SYNTHTHORAX_STORE", str(tmp_path / "store"))
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path / 'new.db'}")
    main(["doctor"])
    lines = capsys.readouterr().out.splitlines()
    assert {line.split()[1] for line in lines} == set(doctor.CHECKS)
    assert not (tmp_path / "store").exists()
    assert not (tmp_path / "new.db").exists()
