"""CheXpert (Irvin et al. 2019, arXiv:1901.07031), read in its public layout, full or ``-small``.

``train.csv`` and ``valid.csv`` beside ``train/`` and ``valid/``, or the four folders of the full download;
and the published test labels: ``test_labels.csv`` of CheXlocalize, which lists pictures, or
``groundtruth.csv`` of https://github.com/rajpurkarlab/cheXpert-test-set-labels, which lists studies.
"""

from __future__ import annotations

import re
from collections import defaultdict
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np
from pydantic import BaseModel, Field

from benchmark.datasets._readers.folder_tree import Tree, Use, by_name, note_missing, walk
from benchmark.datasets._readers.large_tables import (
    fingerprint_tree,
    first_places,
    refuse_shared,
    unread,
    wanted,
)
from benchmark.datasets._readers.listing import existing_folder
from benchmark.datasets._readers.tables import Table, header_of, read_columns
from benchmark.errors import DataError
from benchmark.images.decoding import Fit, inside
from benchmark.images.image_set import NEGATIVE, NOT_MENTIONED, POSITIVE, UNCERTAIN, ImageSet

version = "1"

OBSERVATIONS = (
    "No Finding", "Enlarged Cardiomediastinum", "Cardiomegaly", "Lung Opacity", "Lung Lesion", "Edema",
    "Consolidation", "Pneumonia", "Atelectasis", "Pneumothorax", "Pleural Effusion", "Pleural Other",
    "Fracture", "Support Devices",
)  # fmt: skip
TEST_TABLES = ("test_labels.csv", "test.csv", "groundtruth.csv")
LICENSE = "CheXpert research use agreement"

REPORT = {
    "1.0": POSITIVE, "1": POSITIVE, "0.0": NEGATIVE, "0": NEGATIVE, "-1.0": UNCERTAIN, "-1": UNCERTAIN,
    "": NOT_MENTIONED, "nan": NOT_MENTIONED,
}  # fmt: skip
FURTHER = ("sex", "age", "frontal/lateral", "ap/pa")
SPLITS = {"train": "train", "valid": "val", "test": "test"}
SEX = {"Male": 1, "Female": 2, "Unknown": 0, "": 0, "nan": 0}
SIDE = {"Frontal": 1, "Lateral": 2, "": 0, "nan": 0}
RAY = {"AP": 1, "PA": 2, "LL": 0, "RL": 0, "": 0, "nan": 0}
VIEWS = np.array(["FRONTAL", "AP", "PA", "LATERAL"])
OLDEST = 120  # years; CheXpert itself caps at 90

OWN = re.compile(r"CheXpert-v1\.0.*")  # folders of the public download
PICTURE = re.compile(r"(?:.*/)?(patient\d+/study\d+/view\d+_(?:frontal|lateral)\.jpg)")
LISTED = r"(?:[^/.][^/]*/)?(?:{folder})/(patient\d+/study\d+{rest})"  # after the dataset's folder or not
PICTURE_END = r"/view\d+_(?:frontal|lateral)\.jpg"
FOLDERS = {"train": "train", "valid": "valid|val", "test": "test"}


class Params(BaseModel, extra="forbid", frozen=True):
    """Where the dataset lies and how it is read.

    Attributes:
        root: the folder with ``train.csv``, or the folder that holds it.
        test: ``published`` reads the published test set, with labels by radiologists; ``from_train`` draws
            test patients from ``train.csv``, with labels from reports (Lan et al. 2023, section 3.1).
        test_share: share of the images of ``train.csv`` that ``from_train`` draws.
        test_labels: name of the table of the test set in ``root``; without it, one of ``TEST_TABLES``.
        fit: ``stretch`` to a square, or ``pad`` with black.
        allow_missing: share of the listed pictures that may not be there, and are left out with a note.
        use: what the pictures are for; the agreement allows research alone.
    """

    root: Path
    test: Literal["published", "from_train"] = "published"
    test_share: float = Field(0.2, gt=0, lt=1)
    test_labels: str | None = None
    fit: Fit = "stretch"
    allow_missing: float = Field(0, ge=0, le=1)
    use: Use = "research"


@dataclass(frozen=True, eq=False)
class _Part:
    """What one table lists.

    Attributes:
        split: ``train``, ``valid`` or ``test``, as the dataset calls it.
        row: (N,) the table's row of every picture; a row that names a study has several.
        key: (N,) patient/study/picture.
    """

    split: str
    table: Table
    row: np.ndarray
    key: list[str]


def fingerprint(params: Params) -> str:
    """SHA-256 over the bytes of the tables, and over path and size of every picture that they list.

    Raises:
        DataError: as ``images`` for the folder and the tables.
    """
    parts, tree, pictures = _read(params)
    parts, _ = _present(parts, pictures, params, tree.outside)
    listed = [pictures[key] for part in parts for key in part.key]
    return fingerprint_tree([part.table.path for part in parts], tree, listed)


def images(
    params: Params, *, classes: tuple[str, ...], image_size: int, reserve_per_class: int, seed: int
) -> ImageSet:
    """All radiographs, frontal and lateral, with what their reports say of the 14 observations.

    Args:
        classes: where these are observations, the set has these alone, in this order; otherwise all 14, and
            the task's label policy makes classes of them.
        image_size: side in pixels.
        seed: of the draw of test patients, for ``test: from_train``.
    Returns:
        Label (N, K) with 1 for positive, report (N, K); ``split`` is ``train``, ``val`` (``valid.csv``) or
        ``test``. The pictures are read when they are looked at.
    Raises:
        DataError: the folder, a table, a picture that is missing, or the license stands against it.
    """
    columns, names = wanted(classes, OBSERVATIONS, {}, "source chexpert")
    parts, tree, pictures = _read(params)
    parts, notes = _present(parts, pictures, params, tree.outside)
    key = [k for part in parts for k in part.key]
    patient = np.array([k.partition("/")[0] for k in key])
    split = np.concatenate([np.full(len(part.key), SPLITS[part.split]) for part in parts])
    refuse_shared(patient, split, f"source chexpert: {params.root}")
    if params.test == "from_train":
        train = np.flatnonzero(split == "train")
        split[train[_draw_patients(patient[train], params.test_share, seed)]] = "test"
        notes.append("test patients drawn from train.csv: their labels are those of reports")
    said = np.concatenate([_report(part.table)[part.row] for part in parts])[:, columns]
    view, no_ray = _joined_views(parts)
    age, no_age = _joined_ages(parts)
    sex = np.concatenate([part.table.among("sex", SEX)[part.row] for part in parts])
    listed = ImageSet(
        image=unread(tree, [pictures[k] for k in key], image_size, params.fit),
        label=(said == POSITIVE).astype(np.uint8),
        classes=names,
        image_id=np.array([f"{part.split}/{k}" for part in parts for k in part.key]),
        patient_id=patient,
        origin=np.full(len(key), "real:chexpert"),
        view=view,
        age=age,
        sex=np.array(["", "male", "female"])[sex],
        license=np.full(len(key), LICENSE),
        split=split,
        report=said,
    )
    return replace(listed, card=_card(listed, params, [*notes, *no_ray, *no_age]))


def _read(params: Params) -> tuple[list[_Part], Tree, dict[str, str]]:
    """What the tables list, the pictures that are there, and the path of each by patient/study/picture."""
    if params.use != "research":
        raise DataError(
            "source chexpert: use",
            f"is {params.use}, the dataset's agreement allows research alone",
            "Choose another dataset, or set use to research where it is.",
        )
    home, tree = _home(params.root)
    pictures = by_name(tree, _key, str(tree.root))
    parts = [_pictures(name, home / f"{name}.csv") for name in ("train", "valid")]
    if params.test == "published":
        parts.append(_test(_test_table(params, home), pictures))
    return [_once(part) for part in parts], tree, pictures


def _home(root: Path) -> tuple[Path, Tree]:
    """The folder of the tables, and the pictures: beside them, or in the folders of the full download."""
    existing_folder(root)
    own = sorted(p.name for p in root.iterdir() if p.is_dir() and OWN.fullmatch(p.name))
    homes = [root, *(root / name for name in own)]
    homes = [home for home in homes if (home / "train.csv").is_file()]
    if len(homes) != 1:
        found = ", ".join(home.name for home in homes)
        raise DataError(
            str(root),
            f"holds the dataset twice: {found}"
            if homes
            else "has no train.csv, nor has a CheXpert-v1.0 folder in it",
            "Give the folder that holds train.csv.",
        )
    home = homes[0]
    if (home / "train").is_dir():
        return home, walk(home, [name for name in ("train", "valid", "test") if (home / name).is_dir()])
    if not own:
        raise DataError(
            str(home / "train"),
            "no such folder",
            "Put train/ beside train.csv, or give the folder in which the downloaded folders lie.",
        )
    return home, walk(root, own)


def _key(path: str) -> str:
    match = PICTURE.fullmatch(path)
    return match[1] if match else ""


def _pictures(split: str, path: Path) -> _Part:
    """A table with one picture per row."""
    table = read_columns(path, ["path", *(name.lower() for name in OBSERVATIONS)], FURTHER)
    return _Part(split, table, np.arange(len(table)), _keys(table, "path", split, PICTURE_END))


def _test(path: Path, pictures: dict[str, str]) -> _Part:
    """The published test labels, per picture, or per study and then for all its pictures."""
    if "path" in header_of(path):
        return _pictures("test", path)
    table = read_columns(path, ["study", *(name.lower() for name in OBSERVATIONS)], FURTHER)
    of_study: dict[str, list[str]] = defaultdict(list)
    for key in sorted(pictures):
        of_study[key.rpartition("/")[0]].append(key)
    rows, keys = [], []
    for row, study in enumerate(_keys(table, "study", "test", "")):
        for key in of_study.get(study, [study]):
            rows.append(row)
            keys.append(key)
    return _Part("test", table, np.array(rows, np.int64), keys)


def _test_table(params: Params, home: Path) -> Path:
    if params.test_labels:
        return inside(params.root, params.test_labels, "source chexpert: test_labels")
    found = [folder / name for name in TEST_TABLES for folder in (params.root, home)]
    path = next((path for path in found if path.is_file()), None)
    if path is None:
        raise DataError(
            str(home),
            f"has no table of the test set: {', '.join(TEST_TABLES)}",
            "Add the published labels and test/, see docs/data_cards/chexpert.md, or set test to from_train.",
        )
    return path


def _keys(table: Table, column: str, split: str, rest: str) -> list[str]:
    """patient/study or patient/study/picture of every row, as its path says."""
    listed = re.compile(LISTED.format(folder=FOLDERS[split], rest=rest))
    matches = [listed.fullmatch(text) for text in table.filled(column).tolist()]
    if None in matches:
        row = matches.index(None)
        where, text = table.where(row, column), str(table.text(column)[row])
        inside(table.path.parent, text, where)
        raise DataError(
            where,
            f"'{text}' is no path of CheXpert's part {split}",
            f"Expected {split}/patient00001/study1{'/view1_frontal.jpg' if rest else ''}.",
        )
    return [match[1] for match in matches if match]


def _once(part: _Part) -> _Part:
    """Rows that repeat another one word by word are dropped; rows that contradict another one are refused."""
    first, again = first_places(part.key)
    if not len(again):
        return part
    for row in again.tolist():
        one, other = part.row[first[row]], part.row[row]
        if any(texts[one] != texts[other] for texts in part.table.columns.values()):
            raise DataError(
                part.table.where(int(other)),
                f"says something else of '{part.key[row]}' than line {part.table.line[one]}",
                "Keep one of the two rows.",
            )
    kept = np.setdiff1d(np.arange(len(part.key)), again)
    return replace(part, row=part.row[kept], key=[part.key[row] for row in kept.tolist()])


def _present(
    parts: list[_Part], pictures: dict[str, str], params: Params, outside: tuple[str, ...]
) -> tuple[list[_Part], list[str]]:
    """The parts without the pictures that are not there, and a note on these."""
    kept, missing, places = [], [], []
    for part in parts:
        there = np.array([key in pictures for key in part.key], bool)
        missing += [f"{part.split}/{part.key[row]}" for row in np.flatnonzero(~there).tolist()]
        places += [part.table.where(int(part.row[row])) for row in np.flatnonzero(~there)[:1].tolist()]
        key = [k for k, here in zip(part.key, there.tolist(), strict=True) if here]
        kept.append(replace(part, row=part.row[there], key=key))
    total = sum(len(part.key) for part in parts)
    where = places[0] if places else ""
    return kept, note_missing(missing, total, params.allow_missing, where, params.root, outside)


def _report(table: Table) -> np.ndarray:
    """(N, 14) int8, what the reports say of every observation."""
    columns = [table.among(name.lower(), REPORT) for name in OBSERVATIONS]
    return np.stack(columns, axis=1).astype(np.int8)


def _joined_views(parts: list[_Part]) -> tuple[np.ndarray, list[str]]:
    """(N,) view; of a frontal picture without a stated direction it is FRONTAL."""
    side = np.concatenate([part.table.among("frontal/lateral", SIDE)[part.row] for part in parts])
    lateral = np.array([key.endswith("_lateral.jpg") for part in parts for key in part.key])
    if (wrong := np.flatnonzero((side != 0) & ((side == 2) != lateral))).size:
        key = [k for part in parts for k in part.key][int(wrong[0])]
        raise DataError(
            "source chexpert: Frontal/Lateral",
            f"contradicts the file name of {len(wrong)} pictures, the first is '{key}'",
            "Take the tables from the dataset's own site.",
        )
    ray = np.concatenate([part.table.among("ap/pa", RAY)[part.row] for part in parts])
    view = VIEWS[np.where(lateral, 3, ray)]
    unknown = int((view == "FRONTAL").sum())
    note = f"{unknown} frontal images are stated neither as AP nor as PA: view FRONTAL"
    return view, [note] if unknown else []


def _joined_ages(parts: list[_Part]) -> tuple[np.ndarray, list[str]]:
    """(N,) years; 0 and what no person reaches is unknown."""
    age = np.concatenate([part.table.number("age")[part.row] for part in parts])
    odd = (age <= 0) | (age > OLDEST)
    age[odd] = np.nan
    note = f"{odd.sum()} ages of 0, below or over {OLDEST} years counted as unknown"
    return age, [note] if odd.any() else []


def _draw_patients(patient: np.ndarray, share: float, seed: int) -> np.ndarray:
    """(N,) bool, the images of patients in random order until the share of the images is reached."""
    _, who, images = np.unique(patient, return_inverse=True, return_counts=True)
    order = np.random.default_rng(seed).permutation(len(images))
    before = np.cumsum(images[order]) - images[order]
    return np.isin(who, order[before < share * len(patient)])


def _card(images: ImageSet, params: Params, notes: list[str]) -> dict[str, object]:
    assert images.report is not None
    words = {
        POSITIVE: "positive",
        NEGATIVE: "negative",
        UNCERTAIN: "uncertain",
        NOT_MENTIONED: "not mentioned",
    }
    said = {
        name: {word: int((images.report[:, k] == value).sum()) for value, word in words.items()}
        for k, name in enumerate(images.classes)
    }
    return {
        "name": "CheXpert",
        "url": "https://aimi.stanford.edu/datasets/chexpert-chest-x-rays",
        "citation": "Irvin et al. 2019, arXiv:1901.07031",
        "license": LICENSE,
        "images": images.counts(),
        "patients": len(images.patients()),
        "reports": said,
        "fit": params.fit,
        "notes": notes,
    }
