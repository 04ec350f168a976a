"""What the sources with several findings per picture and very many pictures share."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np

from benchmark.datasets._readers.folder_tree import Tree, first_of
from benchmark.errors import DataError, unknown_name
from benchmark.images.decoding import Fit, read_gray
from benchmark.images.lazy import Pixels
from benchmark.utils.hashing import sha256_file, sha256_of


def wanted(
    classes: Sequence[str], findings: Sequence[str], aliases: Mapping[str, str], where: str
) -> tuple[list[int], tuple[str, ...]]:
    """Which findings a task asks for, spelled as the task spells them.

    Case, blanks and underscores do not count. A task none of whose classes is a finding (its label policy
    makes classes) gets all of them.

    >>> wanted(["normal", "edema"], ["Edema", "No Finding"], {"normal": "No Finding"}, "")
    ([1, 0], ('normal', 'edema'))
    >>> wanted(["negative", "positive"], ["Edema", "No Finding"], {}, "")
    ([0, 1], ('Edema', 'No Finding'))

    Raises:
        UnknownNameError: some of the classes are findings, and one is not.
    """
    place = {_plain(name): k for k, name in enumerate(findings)}
    place |= {_plain(alias): place[_plain(name)] for alias, name in aliases.items()}
    strange = [name for name in classes if _plain(name) not in place]
    if len(strange) == len(classes):
        return list(range(len(findings))), tuple(findings)
    if strange:
        raise unknown_name("class", strange[0], list(findings), where)
    return [place[_plain(name)] for name in classes], tuple(classes)


def fingerprint_tree(tables: Iterable[Path], tree: Tree, paths: Iterable[str]) -> str:
    """SHA-256 over the bytes of tables, and over path and size of the pictures that they list.

    ``data verify`` reads the bytes of the pictures, which takes hours for half a terabyte.
    """
    listed = hashlib.sha256()
    for path in paths:
        listed.update(f"{path}\t{tree.size[path]}\n".encode())
    return sha256_of([[sha256_file(table) for table in tables], listed.hexdigest()])


def unread(tree: Tree, paths: Sequence[str], size: int, fit: Fit) -> Pixels:
    """The pictures at these paths below the tree's root, each decoded when it is looked at."""
    return Pixels.each(lambda row: read_gray(tree.root / paths[row], size, fit=fit), len(paths), size)


def first_places(names: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
    """For every row the first row of that name, and the rows that repeat an earlier one."""
    first: dict[str, int] = {}
    places = np.array([first.setdefault(name, k) for k, name in enumerate(names)], np.int64)
    return places, np.flatnonzero(places != np.arange(len(names)))


def refuse_shared(patient: np.ndarray, split: np.ndarray, where: str) -> None:
    """Refuse splits, given by the dataset's own lists, that share a patient.

    Args:
        patient, split: (N,) str.
    Raises:
        DataError: names the first of them.
    """
    people = {name: set(patient[split == name].tolist()) for name in np.unique(split).tolist()}
    names = list(people)
    for i, one in enumerate(names):
        for other in names[i + 1 :]:
            if both := sorted(people[one] & people[other]):
                raise DataError(
                    where,
                    f"{len(both)} patients are in split '{one}' and in split '{other}': {first_of(both)}",
                    "Take the tables from the dataset's own site, or let the task divide.",
                )


def _plain(name: str) -> str:
    return " ".join(name.lower().replace("_", " ").split())
