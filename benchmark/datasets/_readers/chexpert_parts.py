"""The images that CheXpert's tables list, by patient, study and file name."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from benchmark.datasets._readers.folder_tree import note_missing
from benchmark.errors import DataError
from benchmark.images.decoding import inside
from benchmark.utils.csv_file import header_of, read_csv
from benchmark.utils.csv_table import CsvTable

OBSERVATIONS = (
    "No Finding", "Enlarged Cardiomediastinum", "Cardiomegaly", "Lung Opacity", "Lung Lesion", "Edema",
    "Consolidation", "Pneumonia", "Atelectasis", "Pneumothorax", "Pleural Effusion", "Pleural Other",
    "Fracture", "Support Devices",
)  # fmt: skip
FURTHER = ("sex", "age", "frontal/lateral", "ap/pa")
IMAGE = re.compile(r"(?:.*/)?(patient\d+/study\d+/view\d+_(?:frontal|lateral)\.jpg)")
LISTED = r"(?:[^/.][^/]*/)?(?:{folder})/(patient\d+/study\d+{rest})"  # after the dataset's folder or not
IMAGE_END = r"/view\d+_(?:frontal|lateral)\.jpg"
FOLDERS = {"train": "train", "valid": "valid|val", "test": "test"}


@dataclass(frozen=True, eq=False)
class Part:
    """The images that one table lists.

    Attributes:
        split: ``train``, ``valid`` or ``test``, as the dataset calls it.
        record: (N,) the table's record of every image; the record of a study has several images.
        key: (N,) patient/study/image.
    """

    split: str
    table: CsvTable
    record: np.ndarray
    key: list[str]

    def take(self, positions: np.ndarray) -> Part:
        """Return the images at these positions."""
        return replace(self, record=self.record[positions], key=[self.key[k] for k in positions.tolist()])


def key_of(path: str) -> str:
    """Return patient/study/image of a file's path, empty for another file."""
    match = IMAGE.fullmatch(path)
    return match[1] if match else ""


def list_images(split: str, path: Path) -> Part:
    """Read a table with one image per record."""
    table = read_csv(path, ["path", *(name.lower() for name in OBSERVATIONS)], FURTHER)
    return Part(split, table, np.arange(len(table)), _keys(table, "path", split, IMAGE_END))


def list_test(path: Path, files: dict[str, str]) -> Part:
    """Read the published test labels, of each image, or of each study for all its images."""
    if "path" in header_of(path):
        return list_images("test", path)
    table = read_csv(path, ["study", *(name.lower() for name in OBSERVATIONS)], FURTHER)
    of_study: dict[str, list[str]] = defaultdict(list)
    for key in sorted(files):
        of_study[key.rpartition("/")[0]].append(key)
    studies = _keys(table, "study", "test", "")
    pairs = [(k, key) for k, study in enumerate(studies) for key in of_study.get(study, [study])]
    return Part("test", table, np.array([k for k, _ in pairs], np.int64), [key for _, key in pairs])


def _keys(table: CsvTable, column: str, split: str, rest: str) -> list[str]:
    """Return patient/study or patient/study/image of every record, from its path."""
    listed = re.compile(LISTED.format(folder=FOLDERS[split], rest=rest))
    matches = [listed.fullmatch(text) for text in table.identifiers(column).tolist()]
    if None in matches:
        k = matches.index(None)
        where, text = table.where(k, column), str(table.text(column)[k])
        inside(table.path.parent, text, where)
        expected = f"Expected {split}/patient00001/study1{'/view1_frontal.jpg' if rest else ''}."
        raise DataError(where, f"'{text}' is not a path of CheXpert's part {split}", expected)
    return [match[1] for match in matches if match]


def present(
    parts: Sequence[Part], files: dict[str, str], allow_missing: float, root: Path, outside: Sequence[str]
) -> tuple[list[Part], list[str]]:
    """Return the parts without the images whose files are missing, and a note on these.

    Raises:
        DataError: more are missing than ``allow_missing`` permits.
    """
    missing, places = [], []
    exists = [np.array([key in files for key in part.key], bool) for part in parts]
    for part, here in zip(parts, exists, strict=True):
        gone = np.flatnonzero(~here).tolist()
        missing += [f"{part.split}/{part.key[k]}" for k in gone]
        places += [part.table.where(int(part.record[k])) for k in gone[:1]]
    total = sum(len(part.key) for part in parts)
    where = places[0] if places else ""
    notes = note_missing(missing, total, allow_missing, where, root, outside)
    return [part.take(np.flatnonzero(h)) for part, h in zip(parts, exists, strict=True)], notes
