"""The layout: 23 folders in one order, small files, short functions, plain docstrings."""

from __future__ import annotations

import ast
import re
import statistics
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.samples import ROOT

PACKAGE = ROOT / "benchmark"
ORDER = (
    "api", "cli", "verification", "submissions", "experiments", "reporting", "bundles", "planning", "stages",
    "datasets", "generators", "classifiers", "phantoms", "protocol", "metrics", "intake", "comparison",
    "plugins", "statistics", "images", "engine", "tasks", "utils",
)  # fmt: skip
MOST_LINES, MEDIAN_LINES = 400, 150
LONGEST_FUNCTION, MEDIAN_FUNCTION = 60, 12
BANNED_OPENINGS = re.compile(r"(What|Who|How|Whatever|Whether|Whoever|Which|Where|When)\b")
BANNED_NAMES = {"said", "told", "found", "kept", "asked", "wish", "recipe", "several", "taught", "mirror"}


def trees() -> Iterator[tuple[Path, ast.Module]]:
    for path in sorted(PACKAGE.rglob("*.py")):
        yield path.relative_to(ROOT), ast.parse(path.read_text(encoding="utf-8"))


def functions() -> Iterator[tuple[str, ast.FunctionDef | ast.AsyncFunctionDef]]:
    for path, tree in trees():
        for node in ast.walk(tree):
            if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
                yield f"{path}:{node.lineno} {node.name}", node


def test_folders_are_those_of_the_import_contract():
    """``ls benchmark`` shows the architecture, and import-linter holds its order."""
    folders = {p.name for p in PACKAGE.iterdir() if p.is_dir() and p.name != "__pycache__"}
    assert folders == set(ORDER)
    assert {p.name for p in PACKAGE.glob("*.py")} == {"__init__.py", "__main__.py", "errors.py"}
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    contract = settings["tool"]["importlinter"]["contracts"][0]
    layers = [name for layer in contract["layers"] for name in re.split(r"\s*[|:]\s*", layer)]
    assert layers == [*ORDER, "errors"]
    assert contract["exhaustive"]


def test_tests_mirror_the_folders():
    """Every folder of tests that is not support, contracts or task files is a folder of the package."""
    folders = {p.name for p in (ROOT / "tests").iterdir() if p.is_dir() and not p.name.startswith("_")}
    assert folders - {"support", "contracts", "golden"} <= set(ORDER)


def test_files_are_small():
    """No file over 400 lines; the median file has at most 150."""
    lines = {p: len((ROOT / p).read_text(encoding="utf-8").splitlines()) for p, _ in trees()}
    assert {p: n for p, n in lines.items() if n > MOST_LINES} == {}
    assert statistics.median(n for n in lines.values() if n > 3) <= MEDIAN_LINES


def test_functions_are_short():
    """No function over 60 lines; the median function has at most 12."""
    lines = {where: (node.end_lineno or 0) - node.lineno + 1 for where, node in functions()}
    assert {where: n for where, n in lines.items() if n > LONGEST_FUNCTION} == {}
    assert statistics.median(lines.values()) <= MEDIAN_FUNCTION


def test_docstrings_begin_with_a_verb_or_a_noun_phrase():
    """A docstring never begins with a question word."""
    openings = {}
    for path, tree in trees():
        for node in ast.walk(tree):
            if isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)):
                text = ast.get_docstring(node) or ""
                if BANNED_OPENINGS.match(text):
                    openings[f"{path}:{getattr(node, 'lineno', 1)}"] = text.splitlines()[0]
    assert openings == {}


def test_names_are_nouns_and_verbs_of_the_glossary():
    """Words that docs/glossary.md replaced are no names of the code any more."""
    used = {}
    for path, tree in trees():
        for node in ast.walk(tree):
            name = node.id if isinstance(node, ast.Name) else node.arg if isinstance(node, ast.arg) else None
            if name in BANNED_NAMES:
                used.setdefault(name, []).append(f"{path}:{node.lineno}")
    assert used == {}


@pytest.mark.parametrize("word", ["Mend ", "mended", "so many ", "of its own", "is none of"])
def test_banned_phrases_are_gone(word):
    """Phrases that the rules of CONTRIBUTING.md rule out are in no file of the package."""
    places = [str(p) for p, _ in trees() if word in (ROOT / p).read_text(encoding="utf-8")]
    assert places == []
