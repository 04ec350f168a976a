"""The pictures of a dataset by one walk: which are there, how large, and which links lead out of it."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from benchmark.errors import DataError
from benchmark.images.decoding import SUFFIXES

SHOWN = 3  # names in a note or an error, of however many


@dataclass(frozen=True, eq=False)
class Tree:
    """The pictures below a folder.

    Attributes:
        root: the folder.
        size: bytes of every picture, by its path relative to the folder.
        outside: links that lead out of the folder; what they lead to is not listed.
    """

    root: Path
    size: dict[str, int]
    outside: tuple[str, ...]


def walk(root: Path, below: Sequence[str] = ("",)) -> Tree:
    """List the pictures below a folder, or below some of its subfolders; hidden names are passed over.

    A link to a picture inside the folder counts as one. Links to folders are not followed: what lies
    inside is found in its own place, what lies outside is not the dataset's.
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
    """The path of every picture by a part of it, which must be its own.

    Args:
        key: the part; empty for a picture that does not count.
        where: the folder, for errors.
    Raises:
        DataError: two pictures have the same.
    """
    found: dict[str, str] = {}
    for path in tree.size:
        name = key(path)
        if name and found.setdefault(name, path) != path:
            problem = f"has '{name}' twice: {found[name]} and {path}"
            raise DataError(where, problem, "Give the folder of one copy of the dataset.")
    return found


def note_missing(
    names: Sequence[str],
    total: int,
    allowed: float,
    where: str,
    path: Path | str,
    outside: Sequence[str] = (),
) -> list[str]:
    """A note on the listed pictures that are not there.

    Args:
        names: of the missing pictures.
        total: pictures listed.
        allowed: the share that may be missing.
        where: the row of the first of them.
        path: where that one was looked for.
        outside: links that were not followed.
    Raises:
        DataError: more are missing than is allowed.
    """
    if not names:
        return []
    links = f"; links that point outside the folder are not followed: {first_of(outside)}" if outside else ""
    if len(names) > allowed * total:
        more = f", and {len(names) - 1} more of {total}" if len(names) > 1 else ""
        share = f" ({len(names) / total:.1%}, allow_missing is {allowed:.1%})" if allowed else ""
        raise DataError(
            where,
            f"lists '{names[0]}', which is not at {path}{more}{share}{links}",
            "Add it, or remove the row; allow_missing sets the share that may be left out.",
        )
    return [f"{len(names)} rows left out, picture not there: {first_of(names)}{links}"]


def first_of(names: Sequence[str]) -> str:
    """The first few names, and how many more there are."""
    shown = ", ".join(names[:SHOWN])
    return f"{shown} and {len(names) - SHOWN} more" if len(names) > SHOWN else shown


Use = Literal["research", "commercial"]


def forbids(license: str, use: Use) -> bool:
    """Whether a license, as a table words it, keeps a picture from this use; one that is not stated does.

    >>> forbids("CC BY-NC-SA 4.0", "commercial"), forbids("CC BY 4.0", "commercial"), forbids("", "research")
    (True, False, False)
    """
    words = license.lower().replace("-", " ").replace("_", " ").split()
    reserved = {"nc", "noncommercial", "research", "academic", "unknown"} & set(words)
    return use == "commercial" and (not words or bool(reserved) or "non commercial" in " ".join(words))
