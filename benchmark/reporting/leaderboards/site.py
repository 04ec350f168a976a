"""The pages of all boards; the same boards give the same bytes."""

from __future__ import annotations

from collections.abc import Sequence

from benchmark.errors import SubmissionError
from benchmark.reporting.leaderboards import html, markdown
from benchmark.reporting.leaderboards.board import Board
from benchmark.reporting.leaderboards.json_record import dump, task_record


def pages(boards: Sequence[Board]) -> dict[str, str]:
    """Render ``README.md``, ``index.html``, and ``<task>.md`` and ``<task>.json`` of every task.

    Args:
        boards: at least one, in any order.
    Returns:
        Texts by file name.
    Raises:
        SubmissionError: there is no board, or two have one name.
    """
    ordered = sorted(boards, key=lambda b: (b.task, b.name))
    names = [b.name for b in ordered]
    if not ordered or len(set(names)) < len(names):
        raise SubmissionError("leaderboards", f"expected boards of different names, got {names}")
    texts = {"README.md": markdown.index_page(ordered), "index.html": html.site_page(ordered)}
    for task in sorted({b.task for b in ordered}):
        own = [b for b in ordered if b.task == task]
        texts[f"{task}.md"] = markdown.task_page(own)
        texts[f"{task}.json"] = dump(task_record(own))
    return texts
