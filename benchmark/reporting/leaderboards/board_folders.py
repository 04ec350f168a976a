"""Read the boards under ``leaderboards/results/<board>/<row>``."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any, Self

from benchmark.bundles.identical_rows import refuse_identical
from benchmark.bundles.io import MANIFEST, Bundle, check_size, read_bundle, read_bundles
from benchmark.bundles.standing import ATTACHED, read_keyring, read_standing
from benchmark.comparison.reported import confirm
from benchmark.errors import SubmissionError
from benchmark.intake.archive import validate_bundle_folder
from benchmark.intake.authors import identity, same_author
from benchmark.reporting.leaderboards.board import Board
from benchmark.reporting.leaderboards.cache import board_key, cached, keep
from benchmark.reporting.leaderboards.publish import compare_bundles
from benchmark.utils.commands import command
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
        remedy = f"Add rows: {command('leaderboard', '--root', root, '--add', 'BUNDLE')}."
        raise SubmissionError(str(results), "holds no board", remedy)
    return folders


@dataclass(frozen=True)
class BoardFolder:
    """The folders of one board; a row that is being added lies in a temporary one."""

    root: Path  # of the leaderboards
    name: str
    rows: Mapping[str, Path]  # by name of the row

    @classmethod
    def at(cls, path: Path, added: Mapping[str, Path] = MappingProxyType({})) -> Self:
        """Return the board in ``root/results/<board>``, with further rows from elsewhere."""
        return cls(path.parent.parent, path.name, {p.name: p for p in _subfolders(path)} | {**added})

    @property
    def key(self) -> str:
        """The key of its comparison in the cache."""
        for folder in self.rows.values():
            check_size(folder / MANIFEST)
        return board_key(self.name, {row: sha256_file(path / MANIFEST) for row, path in self.rows.items()})


def boards_under(root: Path, staged: Mapping[Path, Path]) -> list[BoardFolder]:
    """List the boards under ``root/results``.

    Args:
        staged: temporary folders of rows that are being added, by the folder that each will become.
    """
    added: dict[str, dict[str, Path]] = {}
    for target, folder in staged.items():
        added.setdefault(target.parent.name, {})[target.name] = folder
    return [BoardFolder.at(path, added.get(path.name, {})) for path in board_folders(root)]


def read_board(folder: BoardFolder) -> Board:
    """Read a board and compare its rows, or take the comparison of the same bundles from the cache.

    Its bundles lose their predictions, since no page needs them after the comparison.

    Raises:
        SubmissionError: a bundle, a signature or a list of keys is refused, reported results do not follow
            from the predictions, or two rows have the same samples or predictions.
    """
    key = folder.key
    comparison = cached(key)
    bundles = _read(folder.name, folder.rows, tables=comparison is None)
    if comparison is None:
        for bundle in bundles:
            if bundle.predictions is not None:
                confirm(bundle.manifest.record(), bundle.predictions)
        refuse_identical(bundles, where=f"board {folder.name}")
        comparison = compare_bundles(bundles)
        keep(key, comparison)
    keys = read_keyring(folder.root)
    return Board(
        bundles=[replace(b, predictions=None, curve=None, previews=None, training=None) for b in bundles],
        comparison=comparison,
        name=folder.name,
        standings={row: read_standing(path, keys) for row, path in folder.rows.items()},
        hashes={
            row: {n: sha256_file(path / n) for n in (MANIFEST, *ATTACHED) if (path / n).exists()}
            for row, path in folder.rows.items()
        },
    )


def read_rows(folder: Path) -> list[Bundle]:
    """Read the bundles of a board.

    Raises:
        SubmissionError: a bundle is refused, the rows are of several protocols, tasks or profiles, or the
            folder's name does not state their task and profile.
    """
    return _read(folder.name, {p.name: p for p in _subfolders(folder)}, tables=True)


def _read(name: str, rows: Mapping[str, Path], *, tables: bool) -> list[Bundle]:
    if not rows:
        raise SubmissionError(f"board {name}", "holds no bundle", "Remove its folder, or add a row.")
    for path in rows.values():
        validate_bundle_folder(path)
    bundles = [read_bundle(path, row, tables=tables) for row, path in sorted(rows.items())]
    one_protocol(name, bundles)
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
    """List the subfolders by name; a killed writer may leave a hidden one."""
    paths = sorted(path for path in folder.iterdir() if not path.name.startswith("."))
    for path in paths:
        if path.is_symlink() or not path.is_dir():
            raise SubmissionError(str(path), "is not a folder", "Only folders of bundles may lie here.")
    return paths
