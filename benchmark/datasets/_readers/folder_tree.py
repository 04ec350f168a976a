"""The image files of a dataset's folder: their names and sizes, and links that lead out of the folder."""

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmark.errors import DataError
from benchmark.images.decoding import SUFFIXES

SHOWN = 3  # names in a note or an error


@dataclass(frozen=True, eq=False)
class Tree:
    """The image files below a folder.

    Attributes:
        root: the folder.
        size: bytes of every file, by its path relative to the folder.
        outside: links that lead out of the folder; their targets are not listed.
    """

    root: Path
    size: dict[str, int]
    outside: tuple[str, ...]


def existing_folder(root: Path) -> None:
    """Raise DataError if a root is missing, not a folder, or empty."""
    if not root.is_dir():
        raise DataError(str(root), "no such folder", "Give the dataset's folder as root.")
    if not any(root.iterdir()):
        remedy = "Download the dataset into it, or give another root."
        raise DataError(str(root), "the folder is empty", remedy)


def walk(root: Path, below: Sequence[str] = ("",)) -> Tree:
    """List the image files below a folder, or below some of its subfolders; skip hidden names.

    A link to a file inside the folder counts as a file. Links to folders are not followed: a target inside
    is listed in its own place, a target outside is not part of the dataset.
    """
    home = os.path.realpath(root)
    size: dict[str, int] = {}
    outside: list[str] = []
    waiting = [f"{name}/" if name else "" for name in reversed(below)]
    while waiting:
        folder = waiting.pop()
        with os.scandir(os.path.join(root, folder)) as entries:
            for entry in entries:
                name = folder + entry.name
                if entry.name.startswith("."):
                    continue
                if entry.is_symlink() and os.path.commonpath((home, os.path.realpath(entry.path))) != home:
                    outside.append(name)
                elif entry.is_dir(follow_symlinks=False):
                    waiting.append(name + "/")
                elif name.lower().endswith(SUFFIXES) and entry.is_file():
                    size[name] = entry.stat().st_size
    return Tree(root, size, tuple(sorted(outside)))


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
