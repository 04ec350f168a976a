"""Add external rows to a leaderboard atomically after validation."""

import shutil
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack, suppress
from pathlib import Path

from benchmark.bundles.identical_rows import refuse_identical
from benchmark.bundles.io import MANIFEST, PREDICTIONS, RECORD_SIGNATURE, VERIFIED, Bundle, read_bundle
from benchmark.comparison.align import align
from benchmark.comparison.reported import confirm
from benchmark.errors import SubmissionError
from benchmark.intake.archive import bundle_folder, validate_bundle_folder
from benchmark.reporting.leaderboards.board_folders import NAME, RESULTS, one_protocol, read_rows, siblings
from benchmark.submissions.tested_images import IMAGE, RUN, image_faults
from benchmark.utils.files import atomic_folder, disk_errors, write_together

Pages = Callable[[Mapping[Path, Path]], Mapping[Path, bytes]]


def add(
    sources: Sequence[Path],
    root: Path,
    verify: Callable[[Path], None],
    board: str | None = None,
    replace: bool = False,
    pages: Pages = lambda staged: {},
) -> list[Path]:
    """Copy bundles to ``root/results/<board>/<row>``, and write the pages with them: all of it, or nothing.

    A record of verification is not copied: it would be the word of whoever hands the bundle in.

    Args:
        sources: folders or ZIPs of bundles, or folders of such folders, such as a run's output.
        root: the folder of the leaderboards.
        verify: raises an error if a check of the bundle in a folder fails.
        board: name of the board; by default the one with the bundle's protocol and data, or else
            ``<task>-<profile>``.
        replace: replace rows of the same name.
        pages: contents of the pages to write, by path, from the temporary folders of the rows by their new
            ones.
    Returns:
        The new folders.
    Raises:
        SubmissionError: a bundle is invalid, already exists, or differs from the rows of its board in
            protocol, data, test images or runs, or has the samples or predictions of another row; nothing is
            written then.
        StoreError: the folder cannot be written.
    """
    with ExitStack() as unpacked:
        folders = [folder for source in sources for folder in _bundle_folders(source, unpacked)]
        by_board: dict[str, list[tuple[Path, Bundle]]] = {}
        for folder in folders:
            bundle = _read(folder)
            verify(folder)
            by_board.setdefault(board_of(bundle, root, board), []).append((folder, bundle))
        for name, new in by_board.items():
            if not NAME.fullmatch(name):  # the name must not lead out of the results' folder
                remedy = "Use letters, digits and '_.=-'."
                raise SubmissionError(f"board {name}", "is not a valid folder name", remedy)
            _validate_rows(root / RESULTS / name, new, replace)
        copies = {
            root / RESULTS / name / bundle.manifest.row.name: folder
            for name, new in by_board.items()
            for folder, bundle in new
        }
        _copy(copies, f"--root {root}", pages)
    return list(copies)


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


def _read(folder: Path) -> Bundle:
    validate_bundle_folder(folder)
    bundle = read_bundle(folder)
    if bundle.predictions is not None:
        confirm(bundle.manifest.record(), bundle.predictions)
    return bundle


def board_of(bundle: Bundle, root: Path, requested: str | None = None) -> str:
    """Return the board with the bundle's protocol and data, else the requested one, or its task's."""
    head, existing = bundle.manifest, _matching_board(bundle, root / RESULTS)
    if existing and requested and existing != requested:
        problem = f"row '{head.row.name}' has the protocol and the data of board '{existing}'"
        raise SubmissionError(f"board {requested}", problem, "Leave --board out.")
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


def _validate_rows(board: Path, new: Sequence[tuple[Path, Bundle]], replace: bool) -> None:
    """Refuse rows that exist already, or that do not fit the existing ones."""
    rows = [bundle.manifest.row.name for _, bundle in new]
    existing = {b.manifest.row.name: b for b in (read_rows(board) if board.is_dir() else [])}
    for (folder, _), row in zip(new, rows, strict=True):
        if rows.count(row) > 1:
            raise SubmissionError(str(folder), f"row '{row}' is given twice", "Give it once.")
        if row in existing and not replace:
            raise SubmissionError(str(board / row), "already exists", "Replace it with --replace.")
    bundles = [b for name, b in existing.items() if name not in rows] + [b for _, b in new]
    one_protocol(board.name, bundles)
    reference = next((b for b in bundles if b.predictions is not None), None)
    for folder, bundle in new:
        if reference is not None and bundle.predictions is not None:
            _validate_images(folder, bundle, reference)
    align((b.manifest.record(), b.predictions) for b in bundles)
    refuse_identical(bundles, siblings(board, [b for _, b in new]), f"board {board.name}")


def _validate_images(folder: Path, bundle: Bundle, reference: Bundle) -> None:
    """Refuse predictions of other test images, patients or labels than the reference row's."""
    own, other = bundle.predictions, reference.predictions
    assert own is not None
    assert other is not None
    labels = [c for c in other.columns if c == "label" or c.startswith("label_")]
    expected = other.drop_duplicates(IMAGE)[[*IMAGE, "patient_id", *labels]]
    for field, problem in image_faults(own, expected, RUN, f"{folder}: {PREDICTIONS}"):
        remedy = "All rows of a board are tested on the same images."
        raise SubmissionError(field, f"{problem}, by row '{reference.manifest.row.name}'", remedy)


def _copy(copies: Mapping[Path, Path], where: str, pages: Pages) -> None:
    """Copy all bundles beside their targets, and make the pages, before the first file is replaced."""
    staged: dict[Path, Path] = {}
    new = [p for p in dict.fromkeys(target.parent for target in copies) if not p.exists()]
    try:
        with disk_errors(where), ExitStack() as parts:
            for target, folder in copies.items():
                target.parent.mkdir(parents=True, exist_ok=True)
                part = staged[target] = parts.enter_context(atomic_folder(target))
                for name in set(validate_bundle_folder(folder)) - {VERIFIED, RECORD_SIGNATURE}:
                    (part / name).parent.mkdir(parents=True, exist_ok=True)
                    shutil.copyfile(folder / name, part / name)
            write_together(pages(staged), parts)
    finally:
        for folder in new:
            with suppress(OSError):
                folder.rmdir()  # an empty one; a new board's is not
