"""Samples as a folder: one subfolder per class, below one subfolder per fold in a cross-validation."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path

from benchmark.errors import SubmissionError, unknown_name
from benchmark.intake.sample import MAX_IMAGES, MAX_PICTURE_BYTES, Sample
from benchmark.intake.untrusted import as_submission_error

SUFFIXES = (".png", ".jpg", ".jpeg")
LAYOUT = "docs/submit_samples.md shows the layout."


@as_submission_error()
def list_folder(root: Path, classes: Sequence[str], folds: int) -> list[Sample]:
    """List the pictures of a folder by fold, class and file name; opens none.

    Args:
        classes: of the task, each the name of an optional subfolder.
        folds: of the task; with more than one, the class folders lie in ``fold_0``, ``fold_1`` and so on.
    Raises:
        SubmissionError: a link, an unknown class, a picture outside a class, a file that is not a PNG or JPEG
            by its name, too many or too large files, or missing fold folders.
    """
    if root.is_symlink() or not root.is_dir():
        raise SubmissionError(str(root), "is not a folder", "Give the samples' folder, or a Parquet file.")
    places = [(0, root)] if folds == 1 else _fold_folders(root, [f"fold_{k}" for k in range(folds)])
    samples = [s for fold, place in places for s in _list_fold(place, classes, fold)]
    if not samples:
        raise SubmissionError(str(root), "holds no picture", LAYOUT)
    if len(samples) > MAX_IMAGES:
        raise SubmissionError(str(root), f"holds {len(samples)} pictures; at most {MAX_IMAGES} are allowed")
    return samples


def _entries(folder: Path) -> Iterator[os.DirEntry[str]]:
    """Yield the entries of a folder by name, without hidden ones; refuse links."""
    with os.scandir(folder) as entries:
        for entry in sorted(entries, key=lambda e: e.name):
            if entry.is_symlink():
                raise SubmissionError(entry.path, "is a link", "Submit the pictures themselves.")
            if not entry.name.startswith("."):
                yield entry


def _subfolders(root: Path, inside: str) -> list[os.DirEntry[str]]:
    """Return the subfolders; refuse pictures beside them and ignore other files."""
    entries = list(_entries(root))
    for entry in entries:
        if not entry.is_dir() and entry.name.lower().endswith(SUFFIXES):
            raise SubmissionError(entry.path, f"is a picture outside any {inside} folder", LAYOUT)
    return [entry for entry in entries if entry.is_dir()]


def _fold_folders(root: Path, names: list[str]) -> list[tuple[int, Path]]:
    folders = [e for e in _subfolders(root, "fold") if e.name in names]
    if not folders:
        raise SubmissionError(
            str(root),
            f"has no folders {names[0]} to {names[-1]}: the test patients of one fold are training patients "
            "of the others, so a generator must be fitted once for each fold",
            "Fit on train/ of fold_<k> of the export, and write the samples to fold_<k>/<class>/.",
        )
    return sorted((names.index(e.name), Path(e.path)) for e in folders)


def _list_fold(root: Path, classes: Sequence[str], fold: int) -> Iterator[Sample]:
    folders = {entry.name: entry for entry in _subfolders(root, "class")}
    for name in sorted(folders.keys() - set(classes)):
        raise unknown_name("class", name, list(classes), folders[name].path)
    for label, name in enumerate(classes):
        for entry in _entries(Path(folders[name].path)) if name in folders else ():
            if not entry.is_file() or not entry.name.lower().endswith(SUFFIXES):
                raise SubmissionError(entry.path, "is not a .png, .jpg or .jpeg file", "Remove it.")
            if (size := entry.stat().st_size) > MAX_PICTURE_BYTES:
                raise SubmissionError(
                    entry.path, f"has {size} bytes; at most {MAX_PICTURE_BYTES} are allowed"
                )
            yield Sample(entry.path, fold, label, partial(_read, Path(entry.path)))


def _read(path: Path) -> bytes:
    """Return a file's bytes up to the limit, even if it has grown since it was listed."""
    try:
        with open(path, "rb") as handle:
            return handle.read(MAX_PICTURE_BYTES)
    except OSError as error:
        raise SubmissionError(str(path), f"cannot be read: {error.strerror}") from None
