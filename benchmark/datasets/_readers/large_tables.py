"""Helpers of the sources with many findings per image and a hundred thousand images."""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from itertools import combinations
from pathlib import Path

import numpy as np

from benchmark.datasets._readers.folder_tree import Tree, first_of
from benchmark.errors import DataError, unknown_name
from benchmark.images.decoding import Fit, read_gray
from benchmark.images.lazy import LazyImages
from benchmark.utils.csv_table import CsvTable
from benchmark.utils.hashing import sha256_file, sha256_of


def requested_findings(
    classes: Sequence[str], findings: Sequence[str], aliases: Mapping[str, str], where: str
) -> tuple[list[int], tuple[str, ...]]:
    """Return the indices of the findings that a task names, and their names in the task's spelling.

    Case, blanks and underscores do not count. A task none of whose classes is a finding (its label policy
    makes classes) gets all findings.

    >>> requested_findings(["normal", "edema"], ["Edema", "No Finding"], {"normal": "No Finding"}, "")
    ([1, 0], ('normal', 'edema'))
    >>> requested_findings(["negative", "positive"], ["Edema", "No Finding"], {}, "")
    ([0, 1], ('Edema', 'No Finding'))

    Raises:
        UnknownNameError: some classes are findings, and one is not.
    """
    place = {_plain(name): k for k, name in enumerate(findings)}
    place |= {_plain(alias): place[_plain(name)] for alias, name in aliases.items()}
    unknown = [name for name in classes if _plain(name) not in place]
    if len(unknown) == len(classes):
        return list(range(len(findings))), tuple(findings)
    if unknown:
        raise unknown_name("class", unknown[0], list(findings), where)
    return [place[_plain(name)] for name in classes], tuple(classes)


def fingerprint_tree(tables: Iterable[Path], tree: Tree, paths: Iterable[str]) -> str:
    """Return the SHA-256 of the bytes of tables, and of path and size of the image files that they list.

    ``data verify`` reads the bytes of the images, which takes hours for half a terabyte.
    """
    listed = hashlib.sha256()
    for path in paths:
        listed.update(f"{path}\t{tree.size[path]}\n".encode())
    return sha256_of([[sha256_file(table) for table in tables], listed.hexdigest()])


def lazy_files(tree: Tree, paths: Sequence[str], size: int, fit: Fit) -> LazyImages:
    """Return the images at these paths below the tree's root, each decoded when it is read."""
    return LazyImages.each(lambda k: read_gray(tree.root / paths[k], size, fit=fit), len(paths), size)


def without_repeats(table: CsvTable, records: np.ndarray, names: Sequence[str]) -> np.ndarray:
    """Return the positions of the names that do not repeat an earlier one.

    Args:
        records: (M,) the table's record of every name.
    Raises:
        DataError: two records of one name differ.
    """
    first: dict[str, int] = {}
    places = np.array([first.setdefault(name, k) for k, name in enumerate(names)], np.int64)
    unique = places == np.arange(len(names))
    for k in np.flatnonzero(~unique).tolist():
        one, other = int(records[places[k]]), int(records[k])
        if any(texts[one] != texts[other] for texts in table.columns.values()):
            problem = f"contradicts line {table.lines[one]} on '{names[k]}'"
            raise DataError(table.where(other), problem, "Keep one of the two records.")
    return np.flatnonzero(unique)


def refuse_shared(patient: np.ndarray, split: np.ndarray, where: str) -> None:
    """Refuse splits of the dataset's own lists that share a patient.

    Args:
        patient, split: (N,) str.
    Raises:
        DataError: names the first of them.
    """
    people = {name: set(patient[split == name].tolist()) for name in np.unique(split).tolist()}
    for one, other in combinations(people, 2):
        if both := sorted(people[one] & people[other]):
            problem = f"{len(both)} patients are in split '{one}' and in split '{other}': {first_of(both)}"
            remedy = "Take the tables from the dataset's own site, or let the task divide."
            raise DataError(where, problem, remedy)


def _plain(name: str) -> str:
    return " ".join(name.lower().replace("_", " ").split())
