"""NIH ChestX-ray14 (Wang et al. 2017, arXiv:1705.02315), read in its public layout.

``Data_Entry_2017.csv`` (or ``_v2020``), ``BBox_List_2017.csv``, ``train_val_list.txt``, ``test_list.txt``,
and the pictures in ``images/`` or ``images_001/images/`` to ``images_012/images/``.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Literal

import numpy as np
from pydantic import BaseModel, Field

from benchmark.datasets._readers.folder_tree import Tree, Use, by_name, first_of, note_missing, walk
from benchmark.datasets._readers.large_tables import (
    fingerprint_tree,
    first_places,
    refuse_shared,
    unread,
    wanted,
)
from benchmark.datasets._readers.listing import existing_folder
from benchmark.datasets._readers.tables import Table, header_of, number_of, read_columns
from benchmark.errors import DataError
from benchmark.images.decoding import Fit
from benchmark.images.image_set import ImageSet

version = "1"

NO_FINDING = "No Finding"
FINDINGS = (
    "Atelectasis", "Cardiomegaly", "Effusion", "Infiltration", "Mass", "Nodule", "Pneumonia", "Pneumothorax",
    "Consolidation", "Edema", "Emphysema", "Fibrosis", "Pleural_Thickening", "Hernia", NO_FINDING,
)  # fmt: skip
ALIASES = {
    "normal": NO_FINDING,
    "healthy": NO_FINDING,
    "Infiltrate": "Infiltration",
    "Pleural Effusion": "Effusion",
}
TABLES = ("Data_Entry_2017_v2020.csv", "Data_Entry_2017.csv")
BOXES = "BBox_List_2017.csv"
LISTS = {"train": "train_val_list.txt", "test": "test_list.txt"}
COLUMNS = ("image index", "finding labels", "patient id")
FURTHER = ("patient age", "patient gender", "patient sex", "view position")
CORNERS = (("bbox [x", "y", "w", "h]"), ("bbox x", "bbox y", "bbox w", "bbox h"), ("x", "y", "w", "h"))
SIDE = 1024  # pixels; the frame of the boxes, whatever size the pictures have been copied at
OLDEST = 120  # years; some ages are 148 to 414
LICENSE = "NIH Clinical Center: unrestricted, with citation"

SEX = {"M": 1, "F": 2, "": 0, "nan": 0}
VIEW = {"PA": 1, "AP": 2, "": 0, "nan": 0}
YEARS = {"": 1.0, "Y": 1.0, "M": 1 / 12, "W": 7 / 365.25, "D": 1 / 365.25}

_AGE = re.compile(r"(\d+)([YMWD]?)", re.IGNORECASE)


class Params(BaseModel, extra="forbid", frozen=True):
    """Where the dataset lies and how it is read.

    Attributes:
        root: folder with the tables and the pictures.
        table: name of the table in ``root``; without it, one of ``TABLES``, the corrected one first.
        split: ``official`` keeps ``test_list.txt`` as test and ``train_val_list.txt`` as train; ``drawn``
            leaves all images to the task, which divides them by patient (Segal et al. 2021, section 3.3).
        labels: ``all`` findings of an image; or ``single``: the images with just one of the task's classes.
        fit: ``stretch`` to a square, or ``pad`` with black.
        allow_missing: share of the listed pictures that may not be there, and are left out with a note.
        use: what the pictures are for; the dataset allows every use that cites it.
    """

    root: Path
    table: str | None = None
    split: Literal["official", "drawn"] = "official"
    labels: Literal["all", "single"] = "all"
    fit: Fit = "stretch"
    allow_missing: float = Field(0, ge=0, le=1)
    use: Use = "research"


def fingerprint(params: Params) -> str:
    """SHA-256 over the bytes of tables and lists, and over path and size of every picture that is listed.

    Raises:
        DataError: as ``images`` for the folder and the table.
    """
    table, tree, paths, _ = _read(params)
    extra = [params.root / name for name in (BOXES, *LISTS.values())]
    return fingerprint_tree([table.path, *(path for path in extra if path.is_file())], tree, paths)


def images(
    params: Params, *, classes: tuple[str, ...], image_size: int, reserve_per_class: int, seed: int
) -> ImageSet:
    """The frontal radiographs and their findings.

    Args:
        classes: where these are findings, the set has these alone, in this order and spelling (``normal`` is
            No Finding); otherwise all 15, and the task's label policy makes classes of them.
        image_size: side in pixels.
    Returns:
        Label (N, K), or (N,) for ``labels: single``; ``report`` (N, K), what is not labeled is negative;
        ``box`` where radiologists drew one. The pictures are read when they are looked at.
    Raises:
        DataError: the folder, a table, a list, or a picture that is missing stands against it.
    """
    columns, names = wanted(classes, FINDINGS, ALIASES, "source chestxray14")
    table, tree, paths, notes = _read(params)
    has = _findings(table)[:, columns]
    age, odd = _ages(table)
    box, boxed = _boxes(params, table, columns, image_size)
    split, unlisted = _splits(params, table)
    index = table.text("image index")
    sex = table.among("patient sex" if "patient sex" in table else "patient gender", SEX)
    listed = ImageSet(
        image=unread(tree, paths, image_size, params.fit),
        label=has,
        classes=names,
        image_id=index,
        patient_id=_patients(table),
        origin=np.full(len(table), "real:chestxray14"),
        view=np.array(["", "PA", "AP"])[table.among("view position", VIEW)],
        age=age,
        sex=np.array(["", "male", "female"])[sex],
        license=np.full(len(table), LICENSE),
        split=split,
        report=has.astype(np.int8),
        box=box,
    )
    notes += [*odd, *boxed, *unlisted]
    if split is not None:
        listed = listed.select(np.flatnonzero(split != ""))
        assert listed.split is not None
        refuse_shared(listed.patient_id, listed.split, f"source chestxray14: {params.root}")
    if params.labels == "single":
        listed, multilabel = _single(listed)
        notes += multilabel
    return replace(listed, card=_card(listed, params, table, notes))


def _read(params: Params) -> tuple[Table, Tree, list[str], list[str]]:
    """The rows whose picture is there, the pictures, the path of each row's, and notes."""
    existing_folder(params.root)
    path, notes = _table(params)
    table = _once(read_columns(path, COLUMNS, FURTHER))
    tree = walk(params.root)
    pictures = by_name(tree, lambda name: name.rpartition("/")[2], str(params.root))
    names = table.filled("image index")
    for row in np.flatnonzero(np.char.find(names, "/") >= 0)[:1].tolist():
        raise DataError(
            table.where(row, "Image Index"),
            f"'{names[row]}' points outside the folder or into a subfolder",
            "Give the file's name alone, as the public table does.",
        )
    there = np.array([name in pictures for name in names.tolist()], bool)
    gone = np.flatnonzero(~there)
    where = table.where(int(gone[0])) if len(gone) else ""
    missing = note_missing(
        names[gone].tolist(), len(table), params.allow_missing, where, params.root, tree.outside
    )
    kept = table.select(np.flatnonzero(there))
    return kept, tree, [pictures[name] for name in names[there].tolist()], [*notes, *missing]


def _table(params: Params) -> tuple[Path, list[str]]:
    found = [params.root / name for name in ((params.table,) if params.table else TABLES)]
    there = [path for path in found if path.is_file()]
    if not there:
        names = " or ".join(path.name for path in found)
        raise DataError(str(params.root), f"has no {names}", "Give the folder of the dataset's table.")
    second = [f"{there[1].name} not read, since {there[0].name} is there"] if len(there) > 1 else []
    return there[0], second


def _once(table: Table) -> Table:
    """Rows that repeat another one are dropped; rows that contradict another one are refused."""
    first, again = first_places(table.text("image index").tolist())
    for row in again.tolist():
        name, line = table.text("image index")[row], table.line[first[row]]
        if any(texts[row] != texts[first[row]] for texts in table.columns.values()):
            raise DataError(
                table.where(row),
                f"says something else of '{name}' than line {line}",
                "Keep one of the two rows.",
            )
    return table.select(np.setdiff1d(np.arange(len(table)), again)) if len(again) else table


def _findings(table: Table) -> np.ndarray:
    """(N, 15) uint8, 1 for every finding that the column ``Finding Labels`` names."""
    texts = table.filled("finding labels").tolist()
    place = {name: k for k, name in enumerate(FINDINGS)}
    known: dict[str, np.ndarray] = {}
    for row, text in enumerate(texts):
        if text in known:
            continue
        said = [name.strip() for name in text.split("|")]
        where = table.where(row, "Finding Labels")
        if strange := [name for name in said if name not in place]:
            raise DataError(where, f"'{strange[0]}' is none of {', '.join(FINDINGS)}", "Correct the table.")
        if NO_FINDING in said and len(said) > 1:
            raise DataError(where, f"'{text}' names {NO_FINDING} beside a finding", "Correct the table.")
        known[text] = np.isin(np.arange(len(FINDINGS)), [place[name] for name in said]).astype(np.uint8)
    return np.stack([known[text] for text in texts])


def _patients(table: Table) -> np.ndarray:
    """(N,) str, eight digits, which also begin the picture's name.

    Raises:
        DataError: an id that is no number, or not that of the picture's name.
    """
    ids = table.filled("patient id")
    padded = np.char.zfill(ids, 8)
    names = table.text("image index").astype("<U8")
    odd = ~np.char.isdigit(ids) | (padded != names)
    if odd.any():
        row = int(odd.argmax())
        raise DataError(
            table.where(row, "Patient ID"),
            f"'{ids[row]}' is not the patient of '{table.text('image index')[row]}'",
            "Take the table from the dataset's own site.",
        )
    return padded


def _ages(table: Table) -> tuple[np.ndarray, list[str]]:
    """(N,) years, from 58, 058Y, 013M or 004D; what no person reaches is unknown."""
    age = table.each("patient age", _years)
    odd = np.flatnonzero(age > OLDEST)
    examples = [
        f"{table.text('patient age')[row]} of {table.text('image index')[row]}" for row in odd.tolist()
    ]
    age[odd] = np.nan
    return age, [f"{len(odd)} ages over {OLDEST} years counted as unknown: {first_of(examples)}"] if len(
        odd
    ) else []


def _years(where: str, text: str) -> float:
    match = _AGE.fullmatch(text)
    return float(match[1]) * YEARS[match[2].upper()] if match else number_of(where, text)


def _splits(params: Params, table: Table) -> tuple[np.ndarray | None, list[str]]:
    """(N,) ``train``, ``test``, or empty for an image that is on no list; None where the task divides."""
    if params.split == "drawn":
        return None, []
    names = table.text("image index")
    split = np.full(len(table), "", dtype="<U5")
    for part, name in LISTS.items():
        path = params.root / name
        try:
            listed = set(path.read_text(encoding="utf-8-sig").split())
        except (OSError, UnicodeDecodeError):
            raise DataError(
                str(path), "cannot be read", "Add the official list, or set split to drawn."
            ) from None
        mine = np.array([index in listed for index in names.tolist()], bool)
        if (both := np.flatnonzero(mine & (split != ""))).size:
            raise DataError(
                str(path),
                f"lists {len(both)} images that the other list has too: {first_of(names[both].tolist())}",
                "Take the lists from the dataset's own site.",
            )
        split[mine] = part
    nowhere = names[split == ""].tolist()
    return split, [
        f"{len(nowhere)} rows left out, on no official list: {first_of(nowhere)}"
    ] if nowhere else []


def _boxes(
    params: Params, table: Table, columns: Sequence[int], size: int
) -> tuple[np.ndarray | None, list[str]]:
    """(N, 4) float32 left, top, width, height in pixels of the square, NaN without one.

    The first of the task's classes that has a box gives the image's; of several, the largest.
    """
    path = params.root / BOXES
    if not path.is_file():
        return None, []
    header = header_of(path)
    corners = next((names for names in CORNERS if set(names) <= set(header)), CORNERS[0])
    drawn = read_columns(path, ["image index", "finding label", *corners])
    place = {name: k for k, name in enumerate(FINDINGS)} | {"Infiltrate": FINDINGS.index("Infiltration")}
    finding = drawn.among("finding label", place)
    frame = _within(drawn, np.stack([drawn.number(name) for name in corners], axis=1))
    rows = {name: row for row, name in enumerate(table.text("image index").tolist())}
    found: dict[int, list[tuple[int, float, int]]] = defaultdict(list)
    for k, name in enumerate(drawn.text("image index").tolist()):
        if name in rows and finding[k] in columns:
            found[rows[name]].append((list(columns).index(finding[k]), -float(frame[k, 2] * frame[k, 3]), k))
    box = np.full((len(table), 4), np.nan, np.float32)
    for row, candidates in found.items():
        box[row] = frame[min(candidates)[2]] * (size / SIDE)
    multilabel = sum(len(candidates) > 1 for candidates in found.values())
    return box, [
        f"{multilabel} images have several boxes: that of the first class kept"
    ] if multilabel else []


def _within(drawn: Table, frame: np.ndarray) -> np.ndarray:
    """(M, 4) left, top, width, height, cut off at the picture's edge.

    Raises:
        DataError: a box without area in the picture.
    """
    first = frame[:, :2].clip(0, SIDE)
    last = (frame[:, :2] + frame[:, 2:]).clip(0, SIDE)
    empty = ~(last > first).all(axis=1)
    if empty.any():
        where = drawn.where(int(empty.argmax()))
        raise DataError(where, f"the box has no area in {SIDE} x {SIDE} pixels", "Correct the table.")
    return np.concatenate([first, last - first], axis=1)


def _single(images: ImageSet) -> tuple[ImageSet, list[str]]:
    """The images with just one of the classes, with its index as label."""
    many = images.label.sum(axis=1)
    kept = images.select(np.flatnonzero(many == 1))
    notes = [
        f"{n} images left out, labels single: {what}"
        for n, what in ((int((many == 0).sum()), "none of the classes"), (int((many > 1).sum()), "several"))
        if n
    ]
    return replace(kept, label=kept.label.argmax(axis=1).astype(np.int64)), notes


def _card(images: ImageSet, params: Params, table: Table, notes: list[str]) -> dict[str, object]:
    return {
        "name": "NIH ChestX-ray14",
        "url": "https://nihcc.app.box.com/v/ChestXray-NIHCC",
        "citation": "Wang et al. 2017, CVPR, arXiv:1705.02315",
        "license": LICENSE,
        "table": table.path.name,
        "images": images.counts(),
        "patients": len(images.patients()),
        "boxes": 0 if images.box is None else int(np.isfinite(images.box[:, 0]).sum()),
        "fit": params.fit,
        "notes": notes,
    }
