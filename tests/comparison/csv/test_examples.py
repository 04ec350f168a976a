"""The examples of docs/comparing.md and docs/readers.md run as a reader would run them."""

from __future__ import annotations

import re
import shlex

import pytest

from benchmark.cli.parser import main, read_request
from support.samples import ROOT

PAGES = ("comparing", "readers")


def blocks(page: str, language: str) -> list[str]:
    """Return the code of a page in one language."""
    text = (ROOT / "docs" / f"{page}.md").read_text()
    return re.findall(rf"```{language}\n(.*?)```", text, re.DOTALL)


@pytest.mark.parametrize("page", PAGES)
def test_commands_run_and_print_what_the_page_shows(page, tmp_path, monkeypatch, capsys):
    """Every command of the page on a table succeeds and prints the lines shown below it."""
    (tmp_path / "examples").symlink_to(ROOT / "examples")
    monkeypatch.chdir(tmp_path)
    text = (ROOT / "docs" / f"{page}.md").read_text()
    shown = re.findall(r"```sh\n(.*?)```(?:\n\n```\n(.*?)```)?", text, re.DOTALL)
    assert len(shown) == len(blocks(page, "sh"))
    for command, output in shown:
        words = shlex.split(command)
        assert words[0] == "synththorax"
        if words[1] == "readers":  # of a run, which is not there
            read_request(words[1:])
            continue
        assert main(words[1:]) == 0
        printed = capsys.readouterr().out.splitlines()
        for line in output.splitlines():
            assert line in printed


@pytest.mark.parametrize("page", PAGES)
def test_code_runs_from_top_to_bottom(page, tmp_path, monkeypatch):
    """The page's Python runs as one program."""
    (tmp_path / "examples").symlink_to(ROOT / "examples")
    monkeypatch.chdir(tmp_path)
    exec(compile("\n".join(blocks(page, "python")), page, "exec"), {})
