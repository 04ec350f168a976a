"""The image files of a dataset's folder: their names and sizes, and links that lead out of the folder."""

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmark.errors import DataError
from benchmark.images.decoding import SUFFIXES

SHOWN = 3  # names in a note or an error
# Copies, thumbnails and indices that an operating system, a disk or a viewer writes beside the images
SYSTEM = ("__MACOSX", "@eaDir", "lost+found", "$RECYCLE.BIN", "System Volume Information", "DICOMDIR")


@dataclass(frozen=True, eq=False)
class Tree:
    """The image files below a folder.

    Attributes:
        root: the folder.
        size: bytes of every file, by its path relative to the folder.
        outside: links that lead out of the folder; their targets are not listed.
        other: files that are no image by their name, and links without a target.
        linked: links to folders inside; their targets are listed in their own place.
    """

    root: Path
    size: dict[str, int]
    outside: tuple[str, ...]
    other: tuple[str, ...] = ()
    linked: tuple[str, ...] = ()

    def refuse_outside(self) -> None:
        """Raise DataError for a link that leads out of the folder."""
        if self.outside:
            problem = f"is a link that points outside the folder, as are {len(self.outside) - 1} more"
            remedy = "Copy its target into the folder, or remove the link."
            raise DataError(str(self.root / self.outside[0]), problem, remedy)

    def notes(self, listed: Iterable[str] | None = None) -> list[str]:
        """Return notes on links that are not followed, and on images that no table lists.

        Args:
            listed: paths relative to the root in the records of a table; None without a table.
        """
        notes = []
        if self.linked:
            notes.append(f"{len(self.linked)} links to folders not followed: {first_of(self.linked)}")
        if listed is not None:
            names = self.size.keys() - {os.path.normpath(name) for name in listed}
            others = sorted(name for name in names if not os.path.islink(self.root / name))
            if others:
                notes.append(f"{len(others)} images left out, in no record of the table: {first_of(others)}")
        return notes


def existing_folder(root: Path) -> None:
    """Raise DataError if a root is missing, not a folder, or empty."""
    if not root.is_dir():
        raise DataError(str(root), "no such folder", "Give the dataset's folder as root.")
    if not any(root.iterdir()):
        remedy = "Download the dataset into it, or give another root."
        raise DataError(str(root), "the folder is empty", remedy)


def walk(root: Path, below: Sequence[str] = ("",)) -> Tree:
    """List the image files below a folder, or below some of its subfolders; skip hidden and system names.

    A link to a file inside the folder counts as a file. Links to folders are not followed: a target inside
    is listed in its own place, a target outside is not part of the dataset.
    """
    home = os.path.realpath(root)
    size: dict[str, int] = {}
    outside: list[str] = []
    other: list[str] = []
    linked: list[str] = []
    waiting = [f"{name}/" if name else "" for name in reversed(below)]
    while waiting:
        folder = waiting.pop()
        for entry in _entries(os.path.join(root, folder)):
            name = folder + entry.name
            if entry.is_symlink() and os.path.commonpath((home, os.path.realpath(entry.path))) != home:
                outside.append(name)
            elif entry.is_dir(follow_symlinks=False):
                waiting.append(name + "/")
            elif entry.is_dir():
                linked.append(name)
            elif name.lower().endswith(SUFFIXES) and entry.is_file():
                size[name] = entry.stat().st_size
            else:
                other.append(name)
    return Tree(root, size, *(tuple(sorted(names)) for names in (outside, other, linked)))


def _entries(folder: str) -> Iterator[os.DirEntry[str]]:
    """Yield what a folder holds but hidden and system names."""
    try:
        with os.scandir(folder) as entries:
            yield from (e for e in entries if not e.name.startswith(".") and e.name not in SYSTEM)
    except OSError as error:
        problem = f"cannot be read: {error.strerror or error}"
        raise DataError(folder, problem, "Allow reading it, or move it away.") from None


def in_order(names: Iterable[str]) -> list[str]:
    """Return relative paths in the order of their folders, then of their names."""
    return sorted(names, key=lambda name: name.split("/"))


def listed_name(root: Path, text: str) -> str:
    """Return a file's name in a table, with the separators of this system: Windows writes backslashes."""
    return text if "\\" not in text or (root / text).is_file() else text.replace("\\", "/")


def by_name(tree: Tree, key: Callable[[str], str], where: str) -> dict[str, str]:
    """Return the path of every file by a unique part of it.

    Args:
        key: the part; empty for a file to skip.
        where: the folder, for errors.
    Raises:
        DataError: two files have the same part.
    """
    paths: dict[str, str] = {}
    for path in tree.size:
        name = key(path)
        if name and paths.setdefault(name, path) != path:
            problem = f"has '{name}' twice: {paths[name]} and {path}"
            raise DataError(where, problem, "Give the folder of one copy of the dataset.")
    return paths


def note_missing(
    names: Sequence[str],
    total: int,
    allowed: float,
    where: str,
    path: Path | str,
    outside: Sequence[str] = (),
) -> list[str]:
    """Return a note on listed images whose files are missing.

    Args:
        names: of the missing images.
        total: images listed.
        allowed: share that may be missing.
        where: record of the first missing image.
        path: expected path of its file.
        outside: links that were not followed.
    Raises:
        DataError: more are missing than allowed.
    """
    if not names:
        return []
    links = f"; links that point outside the folder are not followed: {first_of(outside)}" if outside else ""
    if len(names) > allowed * total:
        more = f", and {len(names) - 1} more of {total}" if len(names) > 1 else ""
        share = f" ({len(names) / total:.1%}, allow_missing is {allowed:.1%})" if allowed else ""
        remedy = "Add it, or remove the record; --set allow_missing=SHARE lets a share be missing."
        raise DataError(where, f"lists '{names[0]}', which is not at {path}{more}{share}{links}", remedy)
    return [f"{len(names)} records left out, image file missing: {first_of(names)}{links}"]


def first_of(names: Sequence[str]) -> str:
    """Return the first few names, and the number of the others."""
    shown = ", ".join(names[:SHOWN])
    return f"{shown} and {len(names) - SHOWN} more" if len(names) > SHOWN else shown
