"""Rows from elsewhere are put on a board: checked first, then all of them or none."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmark.bundles.io import MANIFEST, Bundle, read_bundle
from benchmark.bundles.standing import read_standing
from benchmark.comparison.align import align
from benchmark.comparison.reported import confirm
from benchmark.errors import StoreError, SubmissionError
from benchmark.intake.archive import extract, look_over, row_name
from benchmark.reporting.leaderboards.board_folders import NAME, RESULTS, one_protocol, read_rows


@dataclass(frozen=True, eq=False)
class Candidate:
    """A bundle, and the folder that it is copied from."""

    folder: Path
    bundle: Bundle

    @property
    def row(self) -> str:
        """The row's name."""
        return self.bundle.manifest.row.name


def add(sources: Sequence[Path], root: Path, board: str | None = None, replace: bool = False) -> list[Path]:
    """Copy bundles to ``root/results/<board>/<row>``: all of them, or none.

    Args:
        sources: folders or ZIPs of bundles, or folders of such folders, such as a run leaves.
        root: the folder of the leaderboards.
        board: name of the board; by default the one that has the bundle's protocol and data, or else
            ``<task>-<profile>``.
        replace: whether a row of the same name is replaced.
    Returns:
        The new folders.
    Raises:
        SubmissionError: a bundle is refused, is there already, or differs from the rows of its board in
            protocol, data, test images or runs; nothing is written then.
        StoreError: the folder cannot be written.
    """
    with tempfile.TemporaryDirectory() as scratch:
        given = [_read(folder) for source in sources for folder in _folders(source, Path(scratch))]
        targets: dict[str, list[Candidate]] = {}
        for candidate in given:
            targets.setdefault(board_of(candidate.bundle, root, board), []).append(candidate)
        for name, new in targets.items():
            _safe(name)
            _check(root / RESULTS / name, new, replace)
        copies = [(c, root / RESULTS / name / c.row) for name, new in targets.items() for c in new]
        try:
            _copy(copies)
        except OSError as error:
            raise StoreError(
                f"--root {root}", str(error.strerror), "Give a folder that can be written."
            ) from None
    return [target for _, target in copies]


def _folders(source: Path, scratch: Path) -> Iterable[Path]:
    """The bundles that a source holds."""
    if source.is_file():
        parent = Path(tempfile.mkdtemp(dir=scratch))
        return [extract(source, parent / row_name(source))]
    for holder in (source / "bundles", source):
        if (holder / MANIFEST).exists():
            return [holder]
        found = sorted(p.parent for p in holder.glob(f"*/{MANIFEST}"))
        if found:
            return found
    raise SubmissionError(str(source), "holds no bundle", "Give a bundle, a ZIP of one, or a run's folder.")


def _read(folder: Path) -> Candidate:
    look_over(folder)
    read_standing(folder)
    bundle = read_bundle(folder)
    if bundle.predictions is not None:
        confirm(bundle.manifest.record(), bundle.predictions)
    return Candidate(folder, bundle)


def board_of(bundle: Bundle, root: Path, wanted: str | None = None) -> str:
    """The board with the bundle's protocol and data, else the one that is wanted, or that of its task."""
    own, home = bundle.manifest, _home(bundle, root / RESULTS)
    if home and wanted and home != wanted:
        raise SubmissionError(
            f"board {wanted}", f"row '{own.row.name}' has the protocol and the data of board '{home}'",
            "Leave --board out.",
        )  # fmt: skip
    return home or wanted or f"{own.task}-{own.profile}"


def _home(bundle: Bundle, results: Path) -> str | None:
    """The board that is of the bundle's protocol and data, if there is one."""
    own = bundle.manifest
    for folder in sorted(results.iterdir()) if results.is_dir() else []:
        first = next((p for p in sorted(folder.iterdir()) if (p / MANIFEST).is_file()), None)
        if first is not None:
            head = read_bundle(first).manifest
            if (head.protocol_hash, head.data.fingerprint) == (own.protocol_hash, own.data.fingerprint):
                return folder.name
    return None


def _safe(name: str) -> None:
    """A board lies in the folder of the results, wherever its name would lead."""
    if not NAME.fullmatch(name):
        raise SubmissionError(f"board {name}", "is no name of a folder", "Use letters, digits and '_.=-'.")


def _check(folder: Path, new: Sequence[Candidate], replace: bool) -> None:
    """Refuse rows that are there, or that do not fit those that are there."""
    rows = [c.row for c in new]
    twice = next((c for c in new if rows.count(c.row) > 1), None)
    if twice is not None:
        raise SubmissionError(str(twice.folder), f"row '{twice.row}' is given twice", "Give it once.")
    there = read_rows(folder) if folder.is_dir() else []
    names = {b.manifest.row.name for b in there}
    for candidate in new:
        if candidate.row in names and not replace:
            where = f"{folder / candidate.row}"
            raise SubmissionError(where, "is there already", "Replace it with --replace.")
    kept = [b for b in there if b.manifest.row.name not in rows]
    whole = [*kept, *(c.bundle for c in new)]
    one_protocol(folder.name, whole)
    known = next((b for b in whole if b.predictions is not None), None)
    for candidate in new:
        if known is not None and candidate.bundle.predictions is not None:
            _same_images(candidate, known)
    align((b.manifest.record(), b.predictions) for b in whole)


def _same_images(candidate: Candidate, known: Bundle) -> None:
    own, other = _images(candidate.bundle), _images(known)
    where, of = f"{candidate.folder}: predictions.parquet", known.manifest.row.name
    for what, odd in (("lacks", other.keys() - own.keys()), ("adds", own.keys() - other.keys())):
        if odd:
            split, image = min(odd)
            raise SubmissionError(
                f"{where}: image_id", f"{what} image '{image}' of split {split}, compared with row '{of}'",
                "The rows of a board are tested on the same images.",
            )  # fmt: skip
    for (split, image), said in sorted(own.items()):
        if said != other[split, image]:
            raise SubmissionError(
                f"{where}: label, patient_id", f"of image '{image}' of split {split} differ from row '{of}'"
            )


def _images(bundle: Bundle) -> dict[tuple[str, str], tuple[Any, ...]]:
    """Patient and label of every test image, by split and image."""
    assert bundle.predictions is not None
    once = bundle.predictions.drop_duplicates(["split", "image_id"])
    columns = ["patient_id", *(c for c in once.columns if c == "label" or c.startswith("label_"))]
    keys = zip(once["split"], once["image_id"], strict=True)
    return dict(zip(keys, once[columns].itertuples(index=False, name=None), strict=True))


def _copy(copies: Sequence[tuple[Candidate, Path]]) -> None:
    """All are copied beside their places first, so that what can fail fails before anything is seen."""
    parts = [target.with_name(f"{target.name}.part") for _, target in copies]
    try:
        for (candidate, target), part in zip(copies, parts, strict=True):
            shutil.rmtree(part, ignore_errors=True)
            target.parent.mkdir(parents=True, exist_ok=True)
            for name in look_over(candidate.folder):
                (part / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(candidate.folder / name, part / name)
        for (_, target), part in zip(copies, parts, strict=True):
            _put(part, target)
    finally:
        for part in parts:
            shutil.rmtree(part, ignore_errors=True)


def _put(part: Path, target: Path) -> None:
    """Rename a folder to its place; what was there goes once the new one is there."""
    old = target.with_name(f"{target.name}.old.part")
    if target.exists():
        os.rename(target, old)
    os.rename(part, target)
    shutil.rmtree(old, ignore_errors=True)
