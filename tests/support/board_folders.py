"""Folders of boards with simulated bundles, and the optional files of a bundle."""

from __future__ import annotations

import hashlib
import json
import re
from pathlib import Path
from typing import Any

from support.keys import MAINTAINER, RECORD
from support.make_bundles import make_bundles

TINY: dict[str, Any] = {"test_counts": (12,) * 5, "paper_counts": None, "seeds": (0, 1)}
ROWS = ("real_only", "duplicate_real", "ddpm")
BOARD = "cxr_pneumonia-demo"  # of the bundles of make_bundles


def make_board_folder(root: Path, name: str = BOARD, rows: tuple[str, ...] = ROWS, **sizes: Any) -> Path:
    """Write a board of simulated bundles under ``root/results``."""
    return make_bundles(root / "results" / name, rows=rows, **{**TINY, **sizes})


def without_costs(page: str) -> str:
    """Remove the measured costs from a page of any kind, to compare two runs."""
    if not page.startswith("{"):
        return re.sub(r"<!-- costs -->.*?<!-- /costs -->", "", page, flags=re.DOTALL)
    return json.dumps({k: v for k, v in json.loads(page).items() if k != "costs"})


def edit(folder: Path, **fields: Any) -> None:
    """Change fields of a ``bundle.json``; dictionaries are merged."""
    path = folder / "bundle.json"
    record = json.loads(path.read_text())
    for name, value in fields.items():
        record[name] = {**record[name], **value} if isinstance(value, dict) else value
    path.write_text(json.dumps(record))


def verify(folder: Path, **fields: Any) -> None:
    """Write the record of a bundle's verification, signed by a maintainer whom the leaderboards know."""
    record = {
        "schema": 2,
        "bundle_sha256": hashlib.sha256((folder / "bundle.json").read_bytes()).hexdigest(),
        "suite_version": "0.2.0",
        "protocol_hash": "5b1f" * 16,
        "date": "2026-11-21T16:00:00Z",
        "seeds": [1],
        "checks": [
            {"name": "schema", "passed": True, "detail": ""},
            {"name": "signature", "passed": None, "detail": "unsigned"},
        ],
        "retrained": [],
        "p": 0.4,
        "plausible": True,
        "detectable": 0.0432,
    }
    (folder / "verified.json").write_text(json.dumps({**record, **fields}))
    MAINTAINER.sign(folder / "verified.json", RECORD)
    (folder.parent.parent.parent / "maintainers").write_text(MAINTAINER.line())
