"""Boards as GitHub-flavored Markdown."""

import re
import shlex
from collections.abc import Sequence
from typing import Any

from markupsafe import Markup

from benchmark.planning.source import setting_words
from benchmark.reporting.formats import escape_markdown
from benchmark.reporting.leaderboards.board import Board
from benchmark.reporting.leaderboards.glossary import glossary
from benchmark.reporting.leaderboards.html import environment

CHOICE = re.compile(r"[a-z0-9_]+\.[a-z0-9_]+=[0-9A-Za-z_.]+")  # of a scenario, within a board's name
WEIGHTS = re.compile(r"weights=(none|imagenet)")


def run_page(board: Board) -> str:
    """The page of one run; costs stand between ``<!-- costs -->`` and ``<!-- /costs -->``."""
    return _fill("leaderboard.md.jinja", board=board, glossary=glossary([board]))


def task_page(boards: Sequence[Board]) -> str:
    """The page of a task: its boards one after the other, then one glossary."""
    return _fill("task.md.jinja", boards=boards, glossary=glossary(boards))


def index_page(boards: Sequence[Board]) -> str:
    """The page that lists all boards."""
    return _fill("index.md.jinja", boards=boards)


def run_command(board: Board) -> Markup:
    """Options of ``run`` that compute a board's rows again; the texts of bundles are quoted for the shell."""
    head = board.head
    generators = sorted(row.name for row in board.rows if row.role == "generator")
    options = ["--task", head.task, "--profile", head.profile, "--source", head.source]
    options += ["--root", "PATH"] if head.data_kind == "real" else []
    options += _choices(board)
    options += ["--generators", ",".join(generators)] if generators else []
    return Markup(" ".join(shlex.quote(" ".join(o.split())) for o in options).replace("`", ""))


def _choices(board: Board) -> list[str]:
    """Options that the board's name and its settings state."""
    settings = board.head.settings
    parts = board.choice.removeprefix(board.head.profile).split("-")
    scenario = [p for p in parts if CHOICE.fullmatch(p) and p.partition("=")[0] not in settings]
    weights = [p.removeprefix("weights=") for p in parts if WEIGHTS.fullmatch(p)]
    return [
        *(["--scenario", ",".join(scenario)] if scenario else []),
        *(["--weights", weights[0]] if weights else []),
        *(["--set", *setting_words(settings)] if settings else []),
    ]


def _fill(template: str, **values: Any) -> str:
    def escape(value: Any) -> Any:
        return value if hasattr(value, "__html__") else Markup(escape_markdown(value))

    page = environment(finalize=escape, trim_blocks=True, lstrip_blocks=True)
    page.globals["run_command"] = run_command
    return page.get_template(template).render(**values)
