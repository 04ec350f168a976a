"""CheXpert (Irvin et al. 2019, arXiv:1901.07031), read in its public layout, full or ``-small``.

``train.csv`` and ``valid.csv`` beside ``train/`` and ``valid/``, or the four folders of the full download;
and the published test labels: ``test_labels.csv`` of CheXlocalize, which lists images, or
``groundtruth.csv`` of https://github.com/rajpurkarlab/cheXpert-test-set-labels, which lists studies.
"""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Literal

import numpy as np
from pydantic import BaseModel, Field

from benchmark.datasets._readers import chexpert_parts, large_tables
from benchmark.datasets._readers.chexpert_parts import OBSERVATIONS, Part
from benchmark.datasets._readers.folder_tree import Tree, by_name, existing_folder, walk
from benchmark.datasets._readers.listing import Use, with_card
from benchmark.errors import DataError
from benchmark.images.decoding import Fit, inside
from benchmark.images.image_set import NEGATIVE, NOT_MENTIONED, POSITIVE, UNCERTAIN, ImageSet
from benchmark.utils.csv_table import CsvTable

version = "1"
conditions = frozenset({"age", "sex", "view"})

TEST_TABLES = ("test_labels.csv", "test.csv", "groundtruth.csv")
LICENSE = "CheXpert research use agreement"

REPORTED = {
    "1.0": POSITIVE, "1": POSITIVE, "0.0": NEGATIVE, "0": NEGATIVE, "-1.0": UNCERTAIN, "-1": UNCERTAIN,
    "": NOT_MENTIONED,
}  # fmt: skip
SPLITS = {"train": "train", "valid": "val", "test": "test"}
SEX = {"Male": "male", "Female": "female", "Unknown": "", "": ""}
SIDE = {"Frontal": "frontal", "Lateral": "lateral", "": ""}
DIRECTION = {"AP": "AP", "PA": "PA", "LL": "FRONTAL", "RL": "FRONTAL", "": "FRONTAL"}
OLDEST = 120  # years; CheXpert itself caps at 90

DOWNLOADED = re.compile(r"CheXpert-v1\.0.*")  # folders of the public download


class Params(BaseModel, extra="forbid", frozen=True):
    """Location of the dataset, and how it is read.

    Attributes:
        root: the folder with ``train.csv``, or the folder that holds it.
        test: ``published`` reads the published test set, with labels by radiologists; ``from_train`` draws
            test patients from ``train.csv``, with labels from reports (Lan et al. 2023, section 3.1).
        test_share: share of the images of ``train.csv`` that ``from_train`` draws.
        test_labels: name of the table of the test set in ``root``; by default one of ``TEST_TABLES``.
        fit: ``stretch`` to a square, or ``pad`` with black.
        allow_missing: share of the listed images whose files may be missing; they are left out with a note.
        use: intended use; the agreement allows research alone.
    """

    root: Path
    test: Literal["published", "from_train"] = "published"
    test_share: float = Field(0.2, gt=0, lt=1)
    test_labels: str | None = None
    fit: Fit = "stretch"
    allow_missing: float = Field(0, ge=0, le=1)
    use: Use = "research"


def fingerprint(params: Params) -> str:
    """Return the SHA-256 of the tables, and of path and size of every image file that they list.

    Raises:
        DataError: as ``images`` for the folder and the tables.
    """
    parts, tree, files = _read(params)
    parts, _ = chexpert_parts.present(parts, files, params.allow_missing, params.root, tree.outside)
    listed = [files[key] for part in parts for key in part.key]
    return large_tables.fingerprint_tree([part.table.path for part in parts], tree, listed)


def images(
    params: Params, *, classes: tuple[str, ...], image_size: int, reserve_per_class: int, seed: int
) -> ImageSet:
    """Read all radiographs, frontal and lateral, with the reported labels of the 14 observations.

    Args:
        classes: if these are observations, the set has these alone, in this order; otherwise all 14, and
            the task's label policy makes classes of them.
        image_size: side in pixels.
        seed: of the draw of test patients, for ``test: from_train``.
    Returns:
        Label (N, K) with 1 for positive, ``reported_labels`` (N, K); ``split`` is ``train``, ``val``
        (``valid.csv``) or ``test``. Each file is decoded when its image is read.
    Raises:
        DataError: the folder, a table or an image is missing or wrong, or the license forbids the use.
    """
    columns, names = large_tables.requested_findings(classes, OBSERVATIONS, {}, "source chexpert")
    parts, tree, files = _read(params)
    parts, notes = chexpert_parts.present(parts, files, params.allow_missing, params.root, tree.outside)
    key = [k for part in parts for k in part.key]
    unused = [] if params.test == "published" else [p for p in tree.size if "test" in p.split("/")]
    notes += tree.notes([*unused, *(files[k] for k in key)])
    patient = np.array([k.partition("/")[0] for k in key])
    split = np.concatenate([np.full(len(part.key), SPLITS[part.split]) for part in parts])
    large_tables.refuse_shared(patient, split, f"source chexpert: {params.root}")
    if params.test == "from_train":
        train = np.flatnonzero(split == "train")
        split[train[_draw_patients(patient[train], params.test_share, seed)]] = "test"
        notes.append("test patients drawn from train.csv: their labels are those of reports")
    reported = _joined(parts, _reported_labels)[:, columns]
    view, no_direction = _views(parts, key)
    age, no_age = _ages(parts)
    listed = ImageSet(
        image=large_tables.lazy_files(tree, [files[k] for k in key], image_size, params.fit),
        label=(reported == POSITIVE).astype(np.uint8),
        classes=names,
        image_id=np.array([f"{part.split}/{k}" for part in parts for k in part.key]),
        patient_id=patient,
        origin=np.full(len(key), "real:chexpert"),
        view=view,
        age=age,
        sex=_joined(parts, lambda table: table.among("sex", SEX)),
        license=np.full(len(key), LICENSE),
        split=split,
        reported_labels=reported,
    )
    return with_card(
        listed,
        [*notes, *no_direction, *no_age],
        name="CheXpert",
        url="https://aimi.stanford.edu/datasets/chexpert-chest-x-rays",
        citation="Irvin et al. 2019, arXiv:1901.07031",
        license=LICENSE,
        reports=_counts(reported, names),
        fit=params.fit,
    )


def _read(params: Params) -> tuple[list[Part], Tree, dict[str, str]]:
    """Return the images that the tables list, the tree of files, and their paths by patient/study/image."""
    if params.use != "research":
        problem = f"is {params.use}, the dataset's agreement allows research alone"
        remedy = "Choose another dataset, or run with --set use=research if it is."
        raise DataError("source chexpert: use", problem, remedy)
    home, tree = _home(params.root)
    files = by_name(tree, chexpert_parts.key_of, str(tree.root))
    parts = [chexpert_parts.list_images(name, home / f"{name}.csv") for name in ("train", "valid")]
    if params.test == "published":
        parts.append(chexpert_parts.list_test(_test_table(params, home), files))
    unique = [large_tables.without_repeats(part.table, part.record, part.key) for part in parts]
    return [part.take(positions) for part, positions in zip(parts, unique, strict=True)], tree, files


def _home(root: Path) -> tuple[Path, Tree]:
    """Return the folder of the tables, and the tree of files: beside them, or in the downloaded folders."""
    existing_folder(root)
    downloaded = sorted(p.name for p in root.iterdir() if p.is_dir() and DOWNLOADED.fullmatch(p.name))
    homes = [root, *(root / name for name in downloaded)]
    homes = [home for home in homes if (home / "train.csv").is_file()]
    if len(homes) != 1:
        names = ", ".join(home.name for home in homes)
        missing = "has no train.csv, nor has a CheXpert-v1.0 folder in it"
        problem = f"contains the dataset twice: {names}" if homes else missing
        raise DataError(str(root), problem, "Give the folder that contains train.csv.")
    home = homes[0]
    if (home / "train").is_dir():
        return home, walk(home, [name for name in ("train", "valid", "test") if (home / name).is_dir()])
    if not downloaded:
        remedy = "Put train/ beside train.csv, or give the folder that contains the downloaded folders."
        raise DataError(str(home / "train"), "no such folder", remedy)
    return home, walk(root, downloaded)


def _test_table(params: Params, home: Path) -> Path:
    if params.test_labels:
        return inside(params.root, params.test_labels, "source chexpert: test_labels")
    candidates = [folder / name for name in TEST_TABLES for folder in (params.root, home)]
    path = next((path for path in candidates if path.is_file()), None)
    if path is None:
        raise DataError(
            str(home),
            f"has no table of the test set: {', '.join(TEST_TABLES)}",
            "Add the published labels and test/, see docs/data_cards/chexpert.md, or --set test=from_train.",
        )
    return path


def _reported_labels(table: CsvTable) -> np.ndarray:
    """Return (N, 14) int8, one column per observation."""
    columns = [table.among(name.lower(), REPORTED) for name in OBSERVATIONS]
    return np.stack(columns, axis=1).astype(np.int8)


def _joined(parts: list[Part], read: Callable[[CsvTable], np.ndarray]) -> np.ndarray:
    """Return (N,) values of a column for the images of all parts."""
    return np.concatenate([read(part.table)[part.record] for part in parts])


def _views(parts: list[Part], key: list[str]) -> tuple[np.ndarray, list[str]]:
    """Return (N,) view; FRONTAL for a frontal image without a stated direction."""
    side = _joined(parts, lambda table: table.among("frontal/lateral", SIDE))
    lateral = np.array([name.endswith("_lateral.jpg") for name in key])
    if (wrong := np.flatnonzero((side != "") & ((side == "lateral") != lateral))).size:
        problem = f"contradicts the file name of {len(wrong)} images, the first is '{key[int(wrong[0])]}'"
        remedy = "Take the tables from the dataset's own site."
        raise DataError("source chexpert: Frontal/Lateral", problem, remedy)
    view = np.where(lateral, "LATERAL", _joined(parts, lambda table: table.among("ap/pa", DIRECTION)))
    unknown = int((view == "FRONTAL").sum())
    note = f"{unknown} frontal images are stated neither as AP nor as PA: view FRONTAL"
    return view, [note] if unknown else []


def _ages(parts: list[Part]) -> tuple[np.ndarray, list[str]]:
    """Return (N,) years; 0 and impossible ages count as unknown, with a note."""
    age = _joined(parts, lambda table: table.numbers_or_nan("age"))
    odd = (age <= 0) | (age > OLDEST)
    age[odd] = np.nan
    note = f"{odd.sum()} ages of 0, below or over {OLDEST} years counted as unknown"
    return age, [note] if odd.any() else []


def _draw_patients(patient: np.ndarray, share: float, seed: int) -> np.ndarray:
    """Return (N,) bool, the images of random patients, up to a share of the images."""
    _, person, images = np.unique(patient, return_inverse=True, return_counts=True)
    order = np.random.default_rng(seed).permutation(len(images))
    before = np.cumsum(images[order]) - images[order]
    return np.isin(person, order[before < share * len(patient)])


def _counts(reported: np.ndarray, names: tuple[str, ...]) -> dict[str, dict[str, int]]:
    """Return the number of images per observation and reported label."""
    words = {
        "positive": POSITIVE,
        "negative": NEGATIVE,
        "uncertain": UNCERTAIN,
        "not mentioned": NOT_MENTIONED,
    }
    return {
        name: {word: int((reported[:, k] == value).sum()) for word, value in words.items()}
        for k, name in enumerate(names)
    }
