"""Write a leaderboard: Markdown, JSON and HTML, each atomically."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmark.bundles.io import Bundle
from benchmark.reporting.leaderboards import markdown
from benchmark.reporting.leaderboards import run_page as site
from benchmark.reporting.leaderboards.view import View, build
from benchmark.utils.rounding import canonical

PER_ROW = (
    "submission_type",
    "submission",
    "row",
    "status",
    "error",
    "measures",
    "memorization",
    "samples",
    "files",
    "costs",
    "software",
    "hardware",
    "device",
    "precision",
)
COSTS = re.compile(r"<!-- costs -->.*?<!-- /costs -->", re.DOTALL)


def render(bundles: Sequence[Bundle], comparison: Mapping[str, Any], out_folder: Path) -> dict[str, Path]:
    """Write ``leaderboard.md``, ``leaderboard.json`` and ``leaderboard.html``.

    Args:
        bundles: one per row.
        comparison: of ``benchmark.comparison.study.compare`` over the same bundles.
        out_folder: made if it is not there.
    Returns:
        The paths written, by kind (``md``, ``json``, ``html``).
    Raises:
        SubmissionError: the comparison is not of these bundles.
    """
    view = build(bundles, comparison)
    record = json.dumps(
        canonical(as_json(view)), indent=1, sort_keys=True, ensure_ascii=False, allow_nan=False
    )
    pages = {"md": markdown.text(view), "json": record + "\n", "html": site.page(view)}
    out_folder.mkdir(parents=True, exist_ok=True)
    written = {kind: out_folder / f"leaderboard.{kind}" for kind in pages}
    for kind, path in written.items():
        part = path.with_name(f"{path.name}.part")
        part.write_text(pages[kind], encoding="utf-8", newline="\n")
        os.replace(part, path)
    return written


def as_json(view: View) -> dict[str, Any]:
    """Everything behind the pages, as JSON values; measured costs under ``costs`` alone."""
    shared = view.head.record()
    rows = {}
    for line in view.lines:
        manifest = line.manifest.record()
        rows[line.name] = {
            **{k: manifest[k] for k in PER_ROW if k != "costs"},
            "rank": line.rank,
            "unranked": line.unranked,
            "figures": line.figures,
        }
    return {
        **{k: v for k, v in shared.items() if k not in (*PER_ROW, "results")},
        "order": [line.name for line in view.lines],
        "rows": rows,
        "findings": list(view.findings),
        "comparison": dict(view.comparison),
        "costs": {line.name: line.manifest.costs.model_dump(mode="json") for line in view.lines},
    }


def without_costs(content: str) -> str:
    """A page (any of the three kinds) without the measured costs, to compare two runs."""
    if not content.startswith("{"):
        return COSTS.sub("", content)
    record = json.loads(content)
    del record["costs"]
    return json.dumps(record, indent=1, sort_keys=True, ensure_ascii=False)
