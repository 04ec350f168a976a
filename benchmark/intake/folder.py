"""Samples as a folder: one subfolder per class, below one subfolder per fold where there are folds."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path

from benchmark.errors import SubmissionError, unknown_name
from benchmark.intake.sample import LARGEST_PICTURE, MOST, Sample

SUFFIXES = (".png", ".jpg", ".jpeg")
LAYOUT = "docs/submit_samples.md shows the layout."


def listed(root: Path, classes: Sequence[str], folds: int) -> list[Sample]:
    """The pictures of a folder, by class and fold, in the order of their names; none is opened.

    Args:
        classes: of the task; a subfolder has the name of one of them, and need not be there for each.
        folds: of the task; with more than one, classes lie below ``fold_0``, ``fold_1`` and so on.
    Raises:
        SubmissionError: a link, a name that is neither a class nor a fold, a picture outside a class, a file
            that is no PNG or JPEG by its name, too many or too large files, or no folds where there are some.
    """
    if root.is_symlink() or not root.is_dir():
        raise SubmissionError(str(root), "is no folder", "Give the folder of the samples, or a Parquet file.")
    if folds == 1:
        return _limited(root, list(_classes(root, classes, 0)))
    names = [f"fold_{k}" for k in range(folds)]
    found = _folders(root, names, "fold")
    if not found:
        raise SubmissionError(
            str(root),
            f"has no folders {names[0]} to {names[-1]}: the test patients of one fold are training patients "
            "of the others, so a generator must be fitted once for each fold",
            "Fit on train/ of fold_<k> of the export, and put what it draws into fold_<k>/<class>/.",
        )
    return _limited(root, [s for k, folder in found for s in _classes(folder, classes, k)])


def _limited(root: Path, samples: list[Sample]) -> list[Sample]:
    if not samples:
        raise SubmissionError(str(root), "holds no picture", LAYOUT)
    if len(samples) > MOST:
        raise SubmissionError(str(root), f"holds {len(samples)} pictures, at most {MOST} are read")
    return samples


def _entries(folder: Path) -> Iterator[os.DirEntry[str]]:
    """What lies in a folder, by name, but for hidden names; a link is refused."""
    with os.scandir(folder) as entries:
        for entry in sorted(entries, key=lambda e: e.name):
            if entry.is_symlink():
                raise SubmissionError(entry.path, "is a link", "Hand in the pictures themselves.")
            if not entry.name.startswith("."):
                yield entry


def _folders(root: Path, names: Sequence[str], kind: str) -> list[tuple[int, Path]]:
    """The subfolders with these names, by their number; other files than pictures are left alone."""
    found = []
    for entry in _entries(root):
        if entry.is_dir():
            if entry.name not in names:
                if kind == "fold":
                    continue  # a flat folder: told as such when no fold is found
                raise _told(unknown_name(kind, entry.name, list(names), entry.path))
            found.append((names.index(entry.name), Path(entry.path)))
        elif entry.name.lower().endswith(SUFFIXES):
            raise SubmissionError(entry.path, f"is a picture outside any {kind}", LAYOUT)
    return sorted(found)


def _told(error: Exception) -> SubmissionError:
    return SubmissionError(*error.args)


def _classes(folder: Path, classes: Sequence[str], fold: int) -> Iterator[Sample]:
    for k, place in _folders(folder, classes, "class"):
        for entry in _entries(place):
            if not entry.is_file() or not entry.name.lower().endswith(SUFFIXES):
                raise SubmissionError(entry.path, "is no file that ends in .png, .jpg or .jpeg", "Remove it.")
            size = entry.stat().st_size
            if size > LARGEST_PICTURE:
                raise SubmissionError(entry.path, f"has {size} bytes, at most {LARGEST_PICTURE} are read")
            yield Sample(entry.path, fold, k, partial(_bytes, Path(entry.path)))


def _bytes(path: Path) -> bytes:
    """The file's content, no more of it than the limit even if it has grown since it was listed."""
    with open(path, "rb") as handle:
        return handle.read(LARGEST_PICTURE + 1)[:LARGEST_PICTURE]
