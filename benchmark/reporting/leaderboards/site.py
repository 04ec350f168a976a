"""The pages of all boards as Markdown and JSON; the same boards give the same bytes."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from benchmark.bundles.io import MANIFEST
from benchmark.bundles.standing import Standing
from benchmark.intake.card import SubmissionCard
from benchmark.reporting.leaderboards import site_page as site
from benchmark.reporting.leaderboards.boards import Board
from benchmark.reporting.leaderboards.markdown import sections, terms
from benchmark.reporting.leaderboards.markdown_table import tabulated
from benchmark.reporting.leaderboards.render import as_json
from benchmark.reporting.leaderboards.view import View, build
from benchmark.reporting.leaderboards.words import NONE, settings
from benchmark.reporting.leaderboards.words import markdown as md
from benchmark.utils.formatting import listed, plural
from benchmark.utils.rounding import canonical

INDEX, SITE = "README.md", "index.html"
MADE = "<!-- Made from results/ by `python -m benchmark leaderboard`. Do not edit: `--check` would fail. -->"
HELP = "What the columns mean, and how a row gets here: [docs/leaderboards.md](../docs/leaderboards.md)."
CHOICE = re.compile(r"[a-z0-9_]+\.[a-z0-9_]+=[0-9A-Za-z_.]+")  # of a task, as it stands in a board's name
WEIGHTS = re.compile(r"weights=(none|imagenet)")
STANDING = (
    "*Verified*: the project trained a random share of the row's seeds again, and the reported runs are "
    "plausible. *Self-reported*: nobody did. *Changed*: it was verified, and edited since. Every figure "
    "comes from the stored predictions, whatever the standing. A signature is read here, not checked: "
    "`python -m benchmark verify` checks it."
)
WAYS = {
    "suite": "run of the suite",
    "generator": "generator, trained by the suite",
    "samples": "samples, judged by the suite",
    "bundle": "bundle made elsewhere",
}


def pages(boards: Sequence[Board]) -> dict[str, str]:
    """``<task>.md`` and ``<task>.json`` of every task, ``README.md`` and ``index.html``: texts by name."""
    ordered = sorted(boards, key=lambda b: (b.task, b.name))
    views = {board.name: build(board.bundles, board.comparison) for board in ordered}
    made = {INDEX: index(ordered, views), SITE: site.page(ordered)}
    for task in sorted({b.task for b in ordered}):
        own = [b for b in ordered if b.task == task]
        made[f"{task}.md"] = text(own, views)
        made[f"{task}.json"] = record(own, views)
    return made


def index(boards: Sequence[Board], views: Mapping[str, View]) -> str:
    """The page that lists all boards."""
    rows = []
    for board in boards:
        view, task = views[board.name], board.task
        first = [line.name for line in view.lines if line.rank == 1]
        verified = sum(s.status == "verified" for s in board.standings.values())
        links = f"[table]({task}.md#{board.name}), [JSON]({task}.json), [site](index.html#{board.name})"
        measures = {True: "yes", False: "**no**", None: "unknown"}[board.comparison["can_measure"]]
        rows.append(
            [md(board.name), view.head.data_kind, str(len(board.bundles)), str(verified), measures,
             md(listed(first)) or NONE, links]
        )  # fmt: skip
    head = ["Board", "Images", "Rows", "Verified", "Can it measure?", "Rank 1, not told apart", "Pages"]
    intro = (
        "A board is one task in one size (profile): one protocol, one set of data, the same controls. "
        "Phantom images are drawn by a program that knows the truth: they say how well the benchmark "
        "measures, and nothing about patients."
    )
    parts = ["# Leaderboards", MADE, intro, tabulated(head, rows), HELP]
    return "\n\n".join(parts) + "\n"


def text(boards: Sequence[Board], views: Mapping[str, View]) -> str:
    """The Markdown page of a task: its boards one after the other, then one glossary."""
    task = boards[0].task
    contents = "\n".join(
        f"- [{md(b.name)}](#{b.name}): {md(views[b.name].head.source)}, {plural(len(b.bundles), 'row')}"
        for b in boards
    )
    parts = [f"# {md(task)}", MADE, HELP, contents]
    for board in boards:
        parts += _board(board, views[board.name])
    found = dict.fromkeys(line for b in boards for line in terms(views[b.name]).splitlines())
    return "\n\n".join([*parts, "## Glossary", "\n".join(found)]) + "\n"


def record(boards: Sequence[Board], views: Mapping[str, View]) -> str:
    """The JSON page of a task: everything behind its boards, numbers to eight digits."""
    each = {board.name: {**as_json(views[board.name]), "standings": _standings(board)} for board in boards}
    content = canonical({"schema": 1, "task": boards[0].task, "boards": each})
    return json.dumps(content, indent=1, sort_keys=True, ensure_ascii=False, allow_nan=False) + "\n"


def _standings(board: Board) -> dict[str, Any]:
    return {
        row: {**asdict(standing), "sha256": dict(board.hashes.get(row, {}))}
        for row, standing in board.standings.items()
    }


def _board(board: Board, view: View) -> list[str]:
    """One board, its headings one level below those of a page of its own."""
    standings = {row: _label(standing) for row, standing in board.standings.items()}
    own = sections(view, standings, f"{board.task}.json")
    own[1:1] = [*_head(board, view)]
    own += ["## Standing of the rows", STANDING, _table(board), *_cards(board)]
    own += ["## To get the same", _commands(board, view)]
    return [f'<a id="{board.name}"></a>\n\n## {md(board.name)}', *map(_deeper, own)]


def _deeper(part: str) -> str:
    return re.sub("^#", "##", part, flags=re.MULTILINE)


def _head(board: Board, view: View) -> list[str]:
    """Profile, source, size and hardware, and where else to look."""
    machines = [
        f"{md(settings(e['hardware']))}, {md(e['device'])}, {md(e['precision'])} "
        f"({plural(len(e['rows']), 'row')})"
        for e in view.environments()
    ]
    said = [
        f"Profile **{md(board.profile)}**, source {md(view.head.source)}, {view.head.image_size} pixels, "
        f"{view.trainings} a row",
        f"Run on {'; '.join(dict.fromkeys(machines))}",
        f"[Sort and filter](index.html#{board.name}), [JSON]({board.task}.json)",
    ]
    return ["\n".join(f"- {line}" for line in said)]


def _label(standing: Standing) -> str:
    return f"{standing.status}, signed" if standing.signature == "signed" else standing.status


def _table(board: Board) -> str:
    rows = []
    for bundle in board.bundles:
        name = bundle.manifest.row.name
        standing = board.standings[name]
        signature = f"signed, key {standing.signer}" if standing.signer else standing.signature
        content = board.hashes.get(name, {}).get(MANIFEST, "")
        rows.append(
            [f"**{md(name)}**", standing.status, md(signature), WAYS[bundle.manifest.submission_type],
             md(standing.detail), f"`{content[:16]}`"]
        )  # fmt: skip
    return tabulated(["Row", "Standing", "Signature", "Way in", "Detail", "SHA-256 of bundle.json"], rows)


def _cards(board: Board) -> list[str]:
    """Who handed the rows in, and what they say of them."""
    cards = [(b.manifest.row.name, b.manifest.submission) for b in board.bundles]
    rows = [[f"**{md(name)}**", *map(md, _said(card))] for name, card in cards if card is not None]
    if not rows:
        return []
    head = ["Row", "Title", "Authors", "Paper", "Code", "License", "Training data", "Pre-trained", "Compute"]
    return ["## What was handed in", "As the authors say; nobody has checked it.", tabulated(head, rows)]


def _said(card: SubmissionCard) -> list[str]:
    own = [card.paper, card.code, card.license, card.training_data, card.pretrained_weights, card.compute]
    return [card.title, ", ".join(card.authors), *(text or NONE for text in own)]


def _commands(board: Board, view: View) -> str:
    """How to make the page and the rows again; the texts of bundles are quoted for the shell."""
    head = view.head
    wanted = [line.name for line in view.lines if line.manifest.row.role == "generator"]
    options = ["--task", board.task, "--profile", board.profile, "--source", head.source]
    options += ["--root", "PATH"] if head.data_kind == "real" else []
    options += _chosen(board)
    options += ["--generators", ",".join(sorted(wanted))] if wanted else []
    run = " ".join(shlex.quote(" ".join(o.split())) for o in options)
    return (
        "```sh\npython -m benchmark leaderboard --check    # this page, from the stored predictions\n"
        f"python -m benchmark run {run.replace('`', '')}    # the rows, from nothing\n```"
    )


def _chosen(board: Board) -> list[str]:
    """What the board's name says was chosen."""
    parts = board.name.removeprefix(f"{board.task}-{board.profile}").split("-")
    choices = [p for p in parts if CHOICE.fullmatch(p)]
    weights = [p.removeprefix("weights=") for p in parts if WEIGHTS.fullmatch(p)]
    return [
        *(["--scenario", ",".join(choices)] if choices else []),
        *(["--weights", weights[0]] if weights else []),
    ]
