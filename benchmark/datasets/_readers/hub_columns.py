"""The rows of a data set of the ``datasets`` library: columns by our names, labels by their names."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmark.datasets._readers.folder_tree import walk
from benchmark.errors import DataError, unknown_name
from benchmark.images.arrow import PIXELS, columns_of
from benchmark.images.hub import Location, is_dataset, pictures
from benchmark.images.image_set import PER_IMAGE, TABLES
from benchmark.protocol.patients import PARTS
from benchmark.utils.csv_table import number_or_nan
from benchmark.utils.missing import is_missing, missing_as

if TYPE_CHECKING:
    from datasets import Dataset, Features

OURS = (*PIXELS, "label", *PER_IMAGE, *TABLES)
TEXTS = ("site", "view", "sex", "license", "laterality", "severity")
SPLITS = {"validation": "val", "valid": "val", "dev": "val"}  # usual names on the Hub


@dataclass(frozen=True, eq=False)
class Table:
    """Rows of a data set.

    Attributes:
        where: the data set, for errors.
        columns: by our names, without pictures and labels; ``image_id`` is one of them.
        labels: names of the labels of every row; one each unless ``multilabel``.
        known: names of all labels, where the data set states them.
        pixels: cells of encoded pictures by our name, of all rows before any selection.
        rows: index of every row among those.
        about: facts for the card.
    """

    location: Location
    where: str
    columns: dict[str, np.ndarray]
    labels: Sequence[tuple[str, ...]]
    multilabel: bool
    known: tuple[str, ...]
    pixels: Mapping[str, Dataset]
    rows: np.ndarray
    notes: tuple[str, ...]
    about: Mapping[str, Any]

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def names(self) -> frozenset[str]:
        """Our names of all columns."""
        return frozenset({*self.columns, *self.pixels})

    def select(self, index: np.ndarray) -> Table:
        """Return the rows at these indices."""
        columns = {name: column[index] for name, column in self.columns.items()}
        labels = [self.labels[k] for k in index.tolist()]
        return replace(self, columns=columns, labels=labels, rows=self.rows[index])

    def place(self, row: int) -> str:
        """Return the name of a row, for errors."""
        return f"image '{self.columns['image_id'][row]}'"

    def picture(self, name: str, row: int) -> bytes:
        """Return the encoded bytes of a picture."""
        (cell,) = self.pixels[name][int(self.rows[row])].values()
        return self.location.picture(cell, f"{self.where}: {self.place(row)}")

    def is_empty(self, name: str, row: int) -> bool:
        """Return whether a row has no picture in a column."""
        (cell,) = self.pixels[name][int(self.rows[row])].values()
        return cell is None or (cell["bytes"] is None and not cell["path"])


def read_table(
    location: Location, columns: Mapping[str, str | None], parts: Mapping[str, str] | None
) -> Table:
    """Read all columns but the pictures.

    Args:
        columns: the data set's names by ours, see ``huggingface.Params``.
        parts: our split per split of the data set, or None.
    Raises:
        DataError: the data set cannot be read, a column is missing or of another kind, or an id is blank.
    """
    import datasets

    every = location.parts()
    split_of = _splits(every, parts, location.where)
    chosen = {part: every[part] for part in split_of}
    first = next(iter(chosen.values()))
    if any(part.features != first.features for part in chosen.values()):
        raise DataError(
            location.where, "its splits differ in their columns", "Choose some: --set parts={...}."
        )
    names = _names(first.features, columns, location.where)
    whole = datasets.concatenate_datasets(list(chosen.values()))
    plain = {ours: theirs for ours, theirs in names.items() if ours not in (*PIXELS, "label")}
    table = whole.select_columns(list(plain.values())).with_format("arrow")[:] if plain else None
    read = {} if table is None else columns_of(table.rename_columns(list(plain)))
    counts = [len(part) for part in chosen.values()]
    ids = np.concatenate(
        [[f"{part}-{k:06d}" for k in range(n)] for part, n in zip(chosen, counts, strict=True)]
    )
    read = {name: _checked(name, column, location.where) for name, column in read.items()}
    if parts is not None:
        read.pop("split", None)
    if "split" not in read and any(split_of.values()):
        read["split"] = np.repeat(list(split_of.values()), counts)
    labels, multilabel, known = _labels(whole, names["label"], location.where)
    pixels = {n: pictures(whole, names[n], location.where) for n in PIXELS if n in names}
    left = [f"{len(every[part])} images of split '{part}' left out" for part in every if part not in chosen]
    left += _unlisted(location, sum(map(len, every.values())))
    info = first.info
    about = {
        "license": info.license or _license_of(location),
        "citation": info.citation,
        "homepage": info.homepage,
    }
    name = location.root.resolve().name if location.root else f"{location.name}@{location.revision}"
    return Table(
        location=location,
        where=location.where,
        columns={"image_id": ids, **read},
        labels=labels,
        multilabel=multilabel,
        known=known,
        pixels=pixels,
        rows=np.arange(len(whole)),
        notes=tuple(left),
        about={"name": name, **{k: str(v).strip() for k, v in about.items() if v}},
    )


def _unlisted(location: Location, rows: int) -> list[str]:
    """Return a note on images of a folder that the library drops: with a table it reads those in it alone."""
    if location.root is None or is_dataset(location.root):
        return []
    lost = len(walk(location.root).size) - rows
    return [f"{lost} images in the folder left out, in no record of its table"] if lost > 0 else []


def _license_of(location: Location) -> str:
    """Return the license that the card of a folder states, or an empty text."""
    from huggingface_hub import RepoCard

    path = location.root / "README.md" if location.root else None
    if path is None or not path.is_file():
        return ""
    try:
        return str(RepoCard(path.read_text(encoding="utf-8")).data.to_dict().get("license") or "")
    except (ValueError, TypeError, UnicodeDecodeError) as error:
        raise DataError(str(path), f"has no valid metadata: {error}", "Correct it, or remove it.") from None


def _splits(every: Mapping[str, Any], parts: Mapping[str, str] | None, where: str) -> dict[str, str]:
    """Return our split of every chosen split of the data set; empty where the task divides."""
    if parts is None:
        parts = {part: SPLITS.get(part, part) if len(every) > 1 else "" for part in every}
    for part, ours in parts.items():
        if part not in every:
            raise unknown_name("split", part, list(every), f"{where}: parts")
        if ours and ours not in PARTS and not ours.startswith("test_"):
            problem = f"'{ours}' is not one of {', '.join(PARTS)}, test_..."
            raise DataError(f"{where}: parts", problem, f"Name yours: --set parts={{{part}: train}}.")
    return {part: parts[part] for part in every if part in parts}


def _names(features: Features, columns: Mapping[str, str | None], where: str) -> dict[str, str]:
    """Return the data set's names of the columns that it has, by ours."""
    for ours, theirs in columns.items():
        if ours not in OURS:
            raise unknown_name("column", ours, list(OURS), f"{where}: columns")
        if theirs is not None and theirs not in features:
            raise unknown_name("column", theirs, list(features), f"{where}: columns.{ours}")
    names = {ours: columns.get(ours, ours) for ours in OURS}
    chosen = {ours: theirs for ours, theirs in names.items() if theirs is not None and theirs in features}
    for ours in ("image", "label"):
        if ours not in chosen:
            problem = f"has no column '{ours}'; its columns are {', '.join(features)}"
            raise DataError(where, problem, f"Name it: --set columns={{{ours}: NAME}}.")
    return chosen


def _labels(dataset: Dataset, column: str, where: str) -> tuple[list[tuple[str, ...]], bool, tuple[str, ...]]:
    """Return the names of every row's labels, whether a row may have several, and all names."""
    feature, values = dataset.features[column], dataset[column][:]
    inner = getattr(feature, "feature", None)
    names = tuple(getattr(inner or feature, "names", None) or ())

    def name(value: Any) -> str:
        if value is None or (names and value < 0):
            return ""
        return names[value] if names else str(value)

    if inner is not None:
        return [tuple(map(name, row or ())) for row in values], True, names
    if isinstance(feature, dict) or (values and isinstance(values[0], float)):
        problem = f"is {feature}, expected class names, texts or whole numbers"
        raise DataError(f"{where}: column '{column}'", problem, "Name another: --set columns={label: NAME}.")
    return [(name(value),) for value in values], False, names


def _checked(name: str, column: np.ndarray, where: str) -> np.ndarray:
    """Return a column as an image set takes it.

    Raises:
        DataError: names the column.
    """
    place, leave = f"{where}: column '{name}'", f"Leave it out: --set columns={{{name}: null}}."
    if name in ("image_id", "patient_id"):
        for row, value in enumerate(column.tolist()):
            if value is None or value == "":
                raise DataError(place, "has a blank id", "Fill it in.")
            if is_missing(str(value)):
                raise DataError(f"{place}, row {row}", missing_as(str(value)), "Fill it in.")
        return column.astype(str)
    if name in TEXTS and column.dtype.kind in "OU":
        values = [None if v is None else "" if is_missing(str(v)) else v for v in column.tolist()]
        return np.array(values, column.dtype)
    if name == "origin" and not all(str(value).startswith("real:") for value in column.tolist()):
        raise DataError(place, "has values that do not begin with real:", leave)
    if name == "split":
        odd = {v for v in set(column.tolist()) if v and v not in PARTS and not str(v).startswith("test_")}
        if odd:
            raise DataError(
                place, f"'{min(map(str, odd))}' is not one of {', '.join(PARTS)}, test_...", leave
            )
    if name == "age" and column.dtype.kind not in "if":
        texts = ["" if value is None else str(value) for value in column.tolist()]
        return np.array([number_or_nan(place, text) for text in texts])
    if name in TABLES and (column.ndim != 2 or column.dtype.kind not in "iuf"):
        raise DataError(place, "is not a row of numbers per image", leave)
    return column
