"""``new``: files that run at once."""

from __future__ import annotations

import pytest

from benchmark.cli.parser import main, read_request
from support.printed import commands


def run_tests(path):
    """Call every test of a written file, as pytest does."""
    names: dict = {"__file__": str(path)}
    exec(compile(path.read_text(), str(path), "exec"), names)
    for name, test in list(names.items()):
        if name.startswith("test_"):
            folder = path.parent / name
            folder.mkdir()
            test(*([folder] if "tmp_path" in test.__code__.co_varnames[: test.__code__.co_argcount] else []))


@pytest.mark.parametrize("kind", ["generator", "metric", "dataset", "task"])
def test_the_written_test_passes_and_the_printed_command_parses(kind, tmp_path, capsys):
    """Of each kind; a second call does not overwrite the file."""
    words = ["new", kind, "my_own", "--out", str(tmp_path / "my files")]
    assert main(words) == 0
    (printed,) = commands(capsys.readouterr().out)
    read_request(printed)
    run_tests(tmp_path / "my files" / "test_my_own.py")
    assert main(words) == 1
    assert "is there already" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["generator", "ddpm"], "'ddpm' is taken by the suite"),
        (["task", "lus_limited"], "'lus_limited' is taken"),
        (["metric", "A b"], "A b"),
        (["model", "x"], "kind: Input should be 'generator', 'metric'"),
    ],
)
def test_a_name_that_cannot_be_is_refused(words, message, tmp_path, capsys, monkeypatch):
    """Names of the suite, names that no folder can have, and unknown kinds; nothing is written."""
    monkeypatch.chdir(tmp_path)
    assert main(["new", *words]) in (1, 2)
    assert message in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []
