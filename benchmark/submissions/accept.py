"""Add external rows to a leaderboard atomically after validation."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmark.bundles.io import MANIFEST, Bundle, read_bundle
from benchmark.bundles.standing import read_standing
from benchmark.comparison.reported import confirm
from benchmark.comparison.rows import align
from benchmark.errors import SubmissionError
from benchmark.intake.archive import bundle_folder, validate_bundle_folder
from benchmark.reporting.leaderboards.boards import NAME, RESULTS, one_protocol, read_rows
from benchmark.utils.files import atomic_folder, disk_errors


@dataclass(frozen=True, eq=False)
class Candidate:
    """A validated bundle and its folder."""

    folder: Path
    bundle: Bundle

    @property
    def row(self) -> str:
        """The row's name."""
        return self.bundle.manifest.row.name


def add(sources: Sequence[Path], root: Path, board: str | None = None, replace: bool = False) -> list[Path]:
    """Copy bundles to ``root/results/<board>/<row>``: all of them, or none.

    Args:
        sources: folders or ZIPs of bundles, or folders of such folders, such as a run's output.
        root: the folder of the leaderboards.
        board: name of the board; by default the one with the bundle's protocol and data, or else
            ``<task>-<profile>``.
        replace: replace rows of the same name.
    Returns:
        The new folders.
    Raises:
        SubmissionError: a bundle is invalid, already exists, or differs from the rows of its board in
            protocol, data, test images or runs; nothing is written then.
        StoreError: the folder cannot be written.
    """
    with ExitStack() as unpacked:
        candidates = [_read(folder) for source in sources for folder in _bundle_folders(source, unpacked)]
        by_board: dict[str, list[Candidate]] = {}
        for candidate in candidates:
            by_board.setdefault(board_of(candidate.bundle, root, board), []).append(candidate)
        for name, new in by_board.items():
            if not NAME.fullmatch(name):  # the name must not lead out of the results' folder
                remedy = "Use letters, digits and '_.=-'."
                raise SubmissionError(f"board {name}", "is not a valid folder name", remedy)
            _validate_rows(root / RESULTS / name, new, replace)
        copies = [(c.folder, root / RESULTS / name / c.row) for name, new in by_board.items() for c in new]
        _copy(copies, f"--root {root}")
    return [target for _, target in copies]


def _bundle_folders(source: Path, unpacked: ExitStack) -> list[Path]:
    """Return the folders of a source's bundles; a ZIP's lasts as long as ``unpacked``."""
    if source.is_file():
        return [unpacked.enter_context(bundle_folder(source))]
    for folder in (source / "bundles", source):
        if (folder / MANIFEST).exists():
            return [folder]
        if manifests := sorted(folder.glob(f"*/{MANIFEST}")):
            return [path.parent for path in manifests]
    raise SubmissionError(str(source), "holds no bundle", "Give a bundle, a ZIP of one, or a run's folder.")


def _read(folder: Path) -> Candidate:
    validate_bundle_folder(folder)
    read_standing(folder)
    bundle = read_bundle(folder)
    if bundle.predictions is not None:
        confirm(bundle.manifest.record(), bundle.predictions)
    return Candidate(folder, bundle)


def board_of(bundle: Bundle, root: Path, requested: str | None = None) -> str:
    """Return the board with the bundle's protocol and data, else the requested one, or its task's."""
    head, existing = bundle.manifest, _matching_board(bundle, root / RESULTS)
    if existing and requested and existing != requested:
        raise SubmissionError(
            f"board {requested}",
            f"row '{head.row.name}' has the protocol and the data of board '{existing}'",
            "Leave --board out.",
        )
    return existing or requested or f"{head.task}-{head.profile}"


def _matching_board(bundle: Bundle, results: Path) -> str | None:
    """Return the existing board with the bundle's protocol and data, if any."""
    own = bundle.manifest
    for folder in sorted(results.iterdir()) if results.is_dir() else []:
        first = next((p for p in sorted(folder.iterdir()) if (p / MANIFEST).is_file()), None)
        if first is not None:
            head = read_bundle(first).manifest
            if (head.protocol_hash, head.data.fingerprint) == (own.protocol_hash, own.data.fingerprint):
                return folder.name
    return None


def _validate_rows(folder: Path, new: Sequence[Candidate], replace: bool) -> None:
    """Refuse rows that exist already, or that do not fit the existing ones."""
    rows = [c.row for c in new]
    existing = read_rows(folder) if folder.is_dir() else []
    names = {b.manifest.row.name for b in existing}
    for candidate in new:
        if rows.count(candidate.row) > 1:
            raise SubmissionError(
                str(candidate.folder), f"row '{candidate.row}' is given twice", "Give it once."
            )
        if candidate.row in names and not replace:
            raise SubmissionError(f"{folder / candidate.row}", "already exists", "Replace it with --replace.")
    bundles = [b for b in existing if b.manifest.row.name not in rows] + [c.bundle for c in new]
    one_protocol(folder.name, bundles)
    reference = next((b for b in bundles if b.predictions is not None), None)
    for candidate in new:
        if reference is not None and candidate.bundle.predictions is not None:
            _validate_images(candidate, reference)
    align((b.manifest.record(), b.predictions) for b in bundles)


def _validate_images(candidate: Candidate, reference: Bundle) -> None:
    """Refuse predictions of other test images, patients or labels than the reference row's."""
    own, other = _images(candidate.bundle), _images(reference)
    where, row = f"{candidate.folder}: predictions.parquet", reference.manifest.row.name
    for verb, odd in (("lacks", other.keys() - own.keys()), ("adds", own.keys() - other.keys())):
        if odd:
            split, image = min(odd)
            raise SubmissionError(
                f"{where}: image_id",
                f"{verb} image '{image}' of split {split}, compared with row '{row}'",
                "All rows of a board are tested on the same images.",
            )
    if changed := [key for key in sorted(own) if own[key] != other[key]]:
        split, image = changed[0]
        problem = f"of image '{image}' of split {split} differ from row '{row}'"
        raise SubmissionError(f"{where}: label, patient_id", problem)


def _images(bundle: Bundle) -> dict[tuple[str, str], tuple[Any, ...]]:
    """Return patient and label of every test image by split and image."""
    assert bundle.predictions is not None
    images = bundle.predictions.drop_duplicates(["split", "image_id"])
    columns = ["patient_id", *(c for c in images.columns if c == "label" or c.startswith("label_"))]
    keys = zip(images["split"], images["image_id"], strict=True)
    return dict(zip(keys, images[columns].itertuples(index=False, name=None), strict=True))


def _copy(copies: Sequence[tuple[Path, Path]], where: str) -> None:
    """Copy all bundles beside their targets, so that errors occur before the first one is replaced."""
    with disk_errors(where), ExitStack() as parts:
        for folder, target in copies:
            target.parent.mkdir(parents=True, exist_ok=True)
            part = parts.enter_context(atomic_folder(target))
            for name in validate_bundle_folder(folder):
                (part / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(folder / name, part / name)
