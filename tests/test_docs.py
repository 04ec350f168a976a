"""Pages, links and commands of the documentation."""

from __future__ import annotations

import re
import shlex
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import yaml

from benchmark.api.reference.pages import PAGES as REFERENCE
from benchmark.cli.parser import VERBS, read_request
from support.samples import ROOT

DOCS = ROOT / "docs"
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted(DOCS.rglob("*.md"))]
GENERATED = {*(DOCS / file for file in REFERENCE), *(DOCS / "tasks").glob("*.md")}
MOST_WORDS = 25_000  # of all hand-written pages
BLOCK = re.compile(r"```(\w*)\n(.*?)```", re.DOTALL)
LINK = re.compile(r"\]\(([^)\s]+)\)")
FILE = re.compile(r"\b((?:perf|tests|examples|benchmark)/[\w/.]+\.(?:py|yaml|ipynb|json))\b")
PROGRAM = re.compile(r"(?:python -m benchmark|synththorax) ")


def name(page: Path) -> str:
    """Return the path of a page in the repository."""
    return page.relative_to(ROOT).as_posix()


def anchors(page: Path) -> set[str]:
    """Return the anchors of a page's headings, as GitHub and the site make them."""
    text = BLOCK.sub("", page.read_text(encoding="utf-8"))
    headings = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-") for heading in headings}


def commands(page: Path) -> list[str]:
    """Return the lines of a page's shell blocks, and its inline commands."""
    text = page.read_text(encoding="utf-8")
    lines = []
    for language, block in BLOCK.findall(text):
        if language in ("sh", "bash"):
            lines += block.replace("\\\n", " ").splitlines()
    inline = re.findall(r"`((?:python|synththorax|mlflow) [^`]+)`", BLOCK.sub("", text))
    lines += [" ".join(line.split()) for line in inline]
    return [re.sub(r"\$\([^)]*\)", "", line).strip() for line in lines]


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_links_resolve(page):
    """Every relative link leads to a file, and its anchor to a heading there."""
    broken = []
    for link in LINK.findall(BLOCK.sub("", page.read_text(encoding="utf-8"))):
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        if "://" in link:
            continue
        if not target.exists() or (anchor and target.suffix == ".md" and anchor not in anchors(target)):
            broken.append(link)
    assert broken == []


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_commands_parse(page, monkeypatch):
    """Every command of the suite on a page is accepted by the parser, and every parameter by `MLproject`.

    Executors count as installed.
    """
    monkeypatch.setattr("benchmark.engine.resources.find_spec", lambda name: name)
    points: dict[str, Any] = yaml.safe_load((ROOT / "MLproject").read_text())["entry_points"]
    for line in commands(page):
        if PROGRAM.match(line):
            words = shlex.split(PROGRAM.sub("", line, count=1), comments=True)
            if " ".join(words) in VERBS or words[0] in ("VERB", "--help") or "KIND" in words:  # names a verb
                continue
            read_request(words)
        elif line.startswith("mlflow run "):
            words = shlex.split(line, comments=True)
            point = words[words.index("-e") + 1] if "-e" in words else "main"
            given = [word.partition("=")[0] for flag, word in pairwise(words) if flag == "-P"]
            assert point == "VERB" or set(given) <= set(points[point]["parameters"]), line


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_named_files_exist(page):
    """Every script, test and example that a page names is there."""
    missing = {path for path in FILE.findall(page.read_text(encoding="utf-8")) if not (ROOT / path).exists()}
    assert missing == set()


def test_every_page_is_in_the_navigation():
    """mkdocs.yml lists every page of docs/ once, and no other."""

    def pages(entry: Any) -> list[str]:
        if isinstance(entry, str):
            return [entry]
        return [
            page for part in (entry.values() if isinstance(entry, dict) else entry) for page in pages(part)
        ]

    listed = pages(yaml.safe_load((ROOT / "mkdocs.yml").read_text())["nav"])
    assert sorted(listed) == sorted(page.relative_to(DOCS).as_posix() for page in DOCS.rglob("*.md"))


@pytest.mark.parametrize("file", REFERENCE)
def test_reference_is_up_to_date(file):
    """A page of the reference equals what the code says."""
    remedy = "Run: python -m benchmark.api.reference"
    assert (DOCS / file).read_text(encoding="utf-8") == REFERENCE[file](), remedy


def test_documentation_stays_short():
    """Hand-written pages have at most 25,000 words together: cut before you add."""
    words = [
        word
        for page in PAGES
        if page not in GENERATED
        for word in page.read_text(encoding="utf-8").split()
        if re.search(r"\w", word)
    ]
    assert len(words) <= MOST_WORDS
