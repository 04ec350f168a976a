"""A table in GitHub-flavored Markdown."""

from __future__ import annotations

from collections.abc import Sequence


def tabulated(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table; its cells are Markdown already."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)
