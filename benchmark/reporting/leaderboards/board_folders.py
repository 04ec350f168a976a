"""Read the boards under ``leaderboards/results/<board>/<row>``."""

import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from benchmark.bundles.identical_rows import refuse_identical
from benchmark.bundles.io import MANIFEST, Bundle, read_bundles
from benchmark.bundles.standing import ATTACHED, read_keyring, read_standing
from benchmark.comparison.reported import confirm
from benchmark.errors import SubmissionError
from benchmark.intake.archive import validate_bundle_folder
from benchmark.intake.authors import identity, same_author
from benchmark.reporting.leaderboards.board import Board
from benchmark.reporting.leaderboards.publish import compare_bundles
from benchmark.utils.hashing import sha256_file

RESULTS = "results"
NAME = re.compile(r"[0-9A-Za-z_][0-9A-Za-z_.=-]{0,127}")


def board_folders(root: Path) -> list[Path]:
    """List the folders of the boards under ``root/results``, sorted by name.

    Raises:
        SubmissionError: there is no board, or something else lies among them.
    """
    results = root / RESULTS
    folders = _subfolders(results) if results.is_dir() else []
    if not folders:
        remedy = f"Add rows: python -m benchmark leaderboard --root {root} --add BUNDLE."
        raise SubmissionError(str(results), "holds no board", remedy)
    return folders


def read_board(folder: Path) -> Board:
    """Read and compare the board in a folder.

    Its bundles lose their predictions, since no page needs them after the comparison.

    Raises:
        SubmissionError: a bundle, a signature or a list of keys is refused, reported results do not follow
            from the predictions, or two rows have the same samples or predictions.
    """
    bundles = read_rows(folder)
    for bundle in bundles:
        if bundle.predictions is not None:
            confirm(bundle.manifest.record(), bundle.predictions)
    refuse_identical(bundles, where=f"board {folder.name}")
    rows = [bundle.manifest.row.name for bundle in bundles]
    keys = read_keyring(folder.parent.parent)
    return Board(
        bundles=[replace(b, predictions=None, curve=None) for b in bundles],
        comparison=compare_bundles(bundles),
        name=folder.name,
        standings={row: read_standing(folder / row, keys) for row in rows},
        hashes={
            row: {p.name: sha256_file(p) for n in (MANIFEST, *ATTACHED) if (p := folder / row / n).exists()}
            for row in rows
        },
    )


def read_rows(folder: Path) -> list[Bundle]:
    """Read the bundles of a board.

    Raises:
        SubmissionError: a bundle is refused, the rows are of several protocols, tasks or profiles, or the
            folder's name does not state their task and profile.
    """
    for row in _subfolders(folder):
        validate_bundle_folder(row)
    bundles = read_bundles(folder)
    one_protocol(folder.name, bundles)
    return bundles


def siblings(board: Path, new: Sequence[Bundle]) -> list[Bundle]:
    """Return the submitted rows, on the other boards of the same task, of the authors of new rows."""
    cards = [b.manifest.submission for b in new]
    authors = [identity(card.authors[0]) for card in cards if card]
    task = new[0].manifest.task
    others = [p for p in sorted(board.parent.glob(f"{task}-*")) if p != board] if authors else []
    return [
        bundle
        for folder in others
        for bundle in read_bundles(folder)
        if (card := bundle.manifest.submission)
        and any(same_author(own, identity(card.authors[0])) for own in authors)
    ]


def one_protocol(name: str, bundles: Sequence[Bundle]) -> None:
    """Refuse rows that do not belong on one board, or not on the board of this name."""
    first = bundles[0].manifest
    for bundle in bundles[1:]:
        expected = _identity(bundles[0])
        for field, value in _identity(bundle).items():
            if value != expected[field]:
                raise SubmissionError(
                    f"board {name}: row '{bundle.manifest.row.name}': {field}",
                    f"is {value!r}, '{first.row.name}' has {expected[field]!r}",
                    "A board holds one protocol on one dataset: put the row on another board.",
                )
    stem = f"{first.task}-{first.profile}"
    if not NAME.fullmatch(name) or (name != stem and not name.startswith(f"{stem}-")):
        raise SubmissionError(
            f"board {name}",
            f"holds rows of task '{first.task}', profile '{first.profile}'",
            f"Name it '{stem}', or '{stem}-' and the choices, in letters, digits and '_.=-'.",
        )


def _identity(bundle: Bundle) -> dict[str, Any]:
    """The fields that all rows of a board share."""
    own = bundle.manifest
    shared = {"task": own.task, "profile": own.profile, "protocol_hash": own.protocol_hash}
    return {**shared, "data.fingerprint": own.data.fingerprint}


def one_board_per_protocol(boards: Sequence[Board]) -> None:
    """Refuse two boards of the same protocol and data."""
    names: dict[tuple[str, str], str] = {}
    for board in boards:
        other = names.setdefault((board.head.protocol_hash, board.head.data.fingerprint), board.name)
        if other != board.name:
            raise SubmissionError(
                f"board {board.name}", f"has the protocol and the data of board '{other}'", "Join the two."
            )


def _subfolders(folder: Path) -> list[Path]:
    paths = sorted(folder.iterdir())
    for path in paths:
        if path.is_symlink() or not path.is_dir():
            raise SubmissionError(str(path), "is not a folder", "Only folders of bundles may lie here.")
    return paths
