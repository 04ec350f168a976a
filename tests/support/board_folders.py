"""Folders of boards with simulated bundles, and the optional files of a bundle."""

from __future__ import annotations

import hashlib
import json
import re
from pathlib import Path
from typing import Any

from support.make_bundles import make_bundles

TINY: dict[str, Any] = {"test_counts": (12,) * 5, "paper_counts": None, "seeds": (0, 1)}
ROWS = ("real_only", "duplicate_real", "ddpm")
BOARD = "cxr_pneumonia-demo"  # of the bundles of make_bundles
# Signed with a key made for this file: ssh-keygen -Y sign -n synththorax-bundle -f key bundle.json
SIGNED = """-----BEGIN SSH SIGNATURE-----
U1NIU0lHAAAAAQAAADMAAAALc3NoLWVkMjU1MTkAAAAgnR7yNz72HpnILqZlC1C/ujNwlp
K8EG+E7eDsjenDwskAAAASc3ludGh0aG9yYXgtYnVuZGxlAAAAAAAAAAZzaGE1MTIAAABT
AAAAC3NzaC1lZDI1NTE5AAAAQOhdEDZNIpOow912ixC2ZDtk/PoaUkJtdXz/Jz34f1o/R1
d5Rm8sGzZeSYwUcqh3wvtpKM8FMWByb0ccrJVZKQQ=
-----END SSH SIGNATURE-----
"""
KEY = "SHA256:MkznjIdB6ArBysRk5lOEiRDnVpw743cIzCJGJJ3lcdw"  # as ssh-keygen -l prints it
# The same key, for the namespace "file"
SIGNED_FOR_FILES = """-----BEGIN SSH SIGNATURE-----
U1NIU0lHAAAAAQAAADMAAAALc3NoLWVkMjU1MTkAAAAgnR7yNz72HpnILqZlC1C/ujNwlp
K8EG+E7eDsjenDwskAAAAEZmlsZQAAAAAAAAAGc2hhNTEyAAAAUwAAAAtzc2gtZWQyNTUx
OQAAAED+vMUFKfpKU6qEGas1y2DLL+ZX/S1iXrhaBFl61kbOREgxQ6NVmEFSCNx42yGxH9
RKCTqZDkQrzkKw2CdquuII
-----END SSH SIGNATURE-----
"""


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
    """Write the verification record of a bundle."""
    record = {
        "schema": 1,
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
    }
    (folder / "verified.json").write_text(json.dumps({**record, **fields}))
