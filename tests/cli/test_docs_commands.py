"""Every command in the documentation parses."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from benchmark.cli.parser import read_request
from support.samples import ROOT

PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]
BLOCK = re.compile(r"^```(?:sh|bash)?\n(.*?)^```", re.MULTILINE | re.DOTALL)
COMMAND = re.compile(r"^\s*(?:[A-Z_]+=\S+ )*(?:synththorax|python -m benchmark) (.*)$", re.MULTILINE)


def commands(page: Path) -> list[str]:
    """Return the command lines in the blocks of a page; those of a loop over shell variables are left out."""
    text = "\n".join(BLOCK.findall(page.read_text(encoding="utf-8"))).replace("\\\n", " ")
    return [line for line in COMMAND.findall(text) if "$" not in line]


@pytest.mark.parametrize("page", [p for p in PAGES if commands(p)], ids=lambda p: p.stem)
def test_the_commands_of_a_page_parse(page):
    """Verb, options and types of the values are right."""
    for line in commands(page):
        words = shlex.split(line, comments=True)
        if "--help" not in words:
            read_request(words)


def test_the_documentation_names_one_command():
    """The pages that people write say ``synththorax``; ``python -m benchmark`` is named once, as the same."""
    old = [p.name for p in PAGES if "python -m benchmark " in p.read_text() and p.parent.name != "tasks"]
    assert old == []
