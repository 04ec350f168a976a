"""Boards: the rows of one protocol under ``leaderboards/results/<board>/<row>``."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmark.bundles.io import MANIFEST, Bundle, read_bundles
from benchmark.bundles.standing import ATTACHED, Standing, read_standing
from benchmark.errors import SubmissionError
from benchmark.intake.archive import look_over
from benchmark.utils.rounding import canonical

RESULTS = "results"
NAME = re.compile(r"[0-9A-Za-z_][0-9A-Za-z_.=-]{0,127}")
ONE_PROTOCOL = "A board holds one protocol on one set of data: put the row on a board of its own."


@dataclass(frozen=True, eq=False)
class Board:
    """One leaderboard: all rows of one protocol.

    Attributes:
        name: of its folder, ``<task>-<profile>`` and perhaps ``-<choices>``.
        bundles: one per row, by name.
        comparison: of ``benchmark.comparison`` over these bundles, numbers to eight digits.
        standings: by row.
        hashes: SHA-256 by row and file, of ``bundle.json`` and of what lies beside the bundle. Since
            ``bundle.json`` holds the hashes of the bundle's other files, every byte of a row counts.
    """

    name: str
    task: str
    profile: str
    bundles: Sequence[Bundle]
    comparison: Mapping[str, Any]
    standings: Mapping[str, Standing]
    hashes: Mapping[str, Mapping[str, str]] = field(default_factory=dict)


def board_folders(root: Path) -> list[Path]:
    """The folders of the boards under ``root/results``, sorted by name.

    Raises:
        SubmissionError: there is none, or something else lies among them.
    """
    results = root / RESULTS
    folders = _folders(results) if results.is_dir() else []
    if not folders:
        remedy = f"Add rows: python -m benchmark leaderboard --root {root} --add BUNDLE."
        raise SubmissionError(str(results), "holds no board", remedy)
    return folders


def read_rows(folder: Path) -> list[Bundle]:
    """The bundles of a board, strictly.

    Raises:
        SubmissionError: a bundle is refused, the rows are of several protocols, tasks or profiles, or the
            folder's name does not say which task and profile they are of.
    """
    for row in _folders(folder):
        look_over(row)
    bundles = read_bundles(folder)
    one_protocol(folder.name, bundles)
    return bundles


def one_protocol(name: str, bundles: Sequence[Bundle]) -> None:
    """Refuse rows that do not belong on one board, or not on the board of this name."""
    first = bundles[0].manifest
    for bundle in bundles[1:]:
        for said, own, other in _identity(bundle, bundles[0]):
            if own != other:
                raise SubmissionError(
                    f"board {name}: row '{bundle.manifest.row.name}': {said}",
                    f"is {own!r}, '{first.row.name}' has {other!r}",
                    ONE_PROTOCOL,
                )
    stem = f"{first.task}-{first.profile}"
    if not NAME.fullmatch(name) or (name != stem and not name.startswith(f"{stem}-")):
        raise SubmissionError(
            f"board {name}",
            f"holds rows of task '{first.task}', profile '{first.profile}'",
            f"Name it '{stem}', or '{stem}-' and what was chosen, in letters, digits and '_.=-'.",
        )


def _identity(one: Bundle, two: Bundle) -> list[tuple[str, Any, Any]]:
    """What two rows of a board have in common, before their predictions are looked at."""
    shared = [(f, getattr(one.manifest, f), getattr(two.manifest, f)) for f in ("task", "profile")]
    shared.append(("protocol_hash", one.manifest.protocol_hash, two.manifest.protocol_hash))
    mine, theirs = one.manifest.data, two.manifest.data
    return [*shared, ("data.fingerprint", mine.fingerprint, theirs.fingerprint)]


def make_board(folder: Path, bundles: Sequence[Bundle], comparison: Mapping[str, Any]) -> Board:
    """The board in a folder, of its bundles and their comparison.

    Numbers are rounded here, so that no page shows the last bits of a sum, which differ between processors.

    Raises:
        SubmissionError: what lies beside a bundle is not what it should be.
    """
    rows = [bundle.manifest.row.name for bundle in bundles]
    head = bundles[0].manifest
    return Board(
        name=folder.name,
        task=head.task,
        profile=head.profile,
        bundles=bundles,
        comparison=canonical(comparison),
        standings={row: read_standing(folder / row) for row in rows},
        hashes={row: _hashes(folder / row) for row in rows},
    )


def one_board_per_protocol(boards: Sequence[Board]) -> None:
    """Refuse two boards that could be one."""
    seen: dict[tuple[str, str], str] = {}
    for board in boards:
        head = board.bundles[0].manifest
        other = seen.setdefault((head.protocol_hash, head.data.fingerprint), board.name)
        if other != board.name:
            raise SubmissionError(
                f"board {board.name}", f"has the protocol and the data of board '{other}'", "Join the two."
            )


def _hashes(folder: Path) -> dict[str, str]:
    paths = [folder / name for name in (MANIFEST, *ATTACHED)]
    return {p.name: hashlib.sha256(p.read_bytes()).hexdigest() for p in paths if p.exists()}


def _folders(folder: Path) -> list[Path]:
    found = sorted(folder.iterdir())
    for path in found:
        if path.is_symlink() or not path.is_dir():
            raise SubmissionError(str(path), "is no folder", "Only folders of bundles lie here.")
    return found
