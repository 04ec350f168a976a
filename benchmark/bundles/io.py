"""Read and write bundles; refuse whatever is incomplete or inconsistent."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmark.bundles.schema import SCHEMA, Manifest, ManifestOfSchema5
from benchmark.bundles.tables import as_stored, check_curve, check_png, check_predictions, check_previews
from benchmark.errors import SubmissionError, TaskError
from benchmark.intake.archive import MAX_FILE_BYTES
from benchmark.intake.untrusted import read_json, validate_parquet
from benchmark.tasks.parsing import parse
from benchmark.utils.files import atomic_folder, write_bytes, write_text
from benchmark.utils.hashing import sha256_file

if TYPE_CHECKING:
    import pandas as pd

MANIFEST, PREDICTIONS, CURVE = "bundle.json", "predictions.parquet", "curve.parquet"
GRID, TRAINING, PREVIEWS = "samples/grid.png", "samples/training.png", "samples/images.parquet"
CONTENT = (PREDICTIONS, CURVE, GRID, TRAINING, PREVIEWS)  # the files whose hashes stand in bundle.json
SIGNATURE, VERIFIED = "bundle.json.sig", "verified.json"  # added beside a complete bundle
RECORD_SIGNATURE = "verified.json.sig"


@dataclass(frozen=True, eq=False)
class Bundle:
    """The results of one row.

    Attributes:
        manifest: the content of ``bundle.json``.
        predictions: one record per split, bracket, run and image; None for a failed row. A run is a
            classifier with a seed. In a cross-validation an image is present once, from the fold that
            held it out, or once per fold.
        grid: PNG of some samples, or None.
        curve: predictions on ``test`` after training on shares of the training patients, with the columns
            of ``predictions`` and ``share`` and ``images``; only for ``real_only``.
        previews: some of the row's images, with ``class``, ``fold`` and ``image`` (PNG), or None.
        training: PNG of the same few samples along the fit, or None.
    """

    manifest: Manifest
    predictions: pd.DataFrame | None
    grid: bytes | None
    curve: pd.DataFrame | None = None
    previews: pd.DataFrame | None = None
    training: bytes | None = None


def write_bundle(
    folder: Path,
    manifest: dict[str, Any],
    predictions: pd.DataFrame | None,
    grid: bytes | None,
    curve: pd.DataFrame | None = None,
    previews: pd.DataFrame | None = None,
    training: bytes | None = None,
) -> None:
    """Replace a bundle's folder atomically; ``bundle.json`` has the hashes of the other files.

    Raises:
        SubmissionError: ``read_bundle`` would refuse the bundle. Nothing is written then.
        StoreError: the folder is there, and is not a bundle's.
    """
    checked = parse_manifest(manifest, f"bundle '{folder.name}'")
    bundle = _validated(Bundle(checked, predictions, grid, curve, previews, training), folder)
    stored = {PREDICTIONS: bundle.predictions, CURVE: bundle.curve, PREVIEWS: bundle.previews}
    with atomic_folder(folder) as part:
        (part / GRID).parent.mkdir()
        for name, table in stored.items():
            if table is not None:
                as_stored(table).to_parquet(part / name, index=False, compression="zstd")
        for name, picture in ((GRID, grid), (TRAINING, training)):
            if picture is not None:
                write_bytes(part / name, picture)
        record = {**checked.record(), "files": hashes(part)}
        text = json.dumps(record, indent=1, sort_keys=True, ensure_ascii=False, allow_nan=False)
        write_text(part / MANIFEST, text + "\n")


def read_bundle(folder: Path, row: str | None = None, *, tables: bool = True) -> Bundle:
    """Read a bundle and check that it is complete and consistent.

    Args:
        row: expected name of the row; by default that of the folder.
        tables: read and check the tables, too. Without them the hashes of all files are still checked.
    Raises:
        SubmissionError: a file is missing, too large or malformed; a field is missing, unknown or of the
            wrong type; a score is NaN; a prediction is missing or duplicated.
    """
    path = folder / MANIFEST
    check_size(path)
    manifest = parse_manifest(read_json(path, MAX_FILE_BYTES[MANIFEST]), str(path))
    if manifest.row.name != (expected := row or folder.name):
        raise SubmissionError(
            f"{path}: row.name", f"is '{manifest.row.name}', expected '{expected}', the folder's name"
        )
    _check_files(folder, manifest)

    def table(name: str) -> pd.DataFrame | None:
        return _read_table(folder / name) if name in manifest.files else None

    def picture(name: str) -> bytes | None:
        return (folder / name).read_bytes() if name in manifest.files else None

    if not tables:
        return Bundle(manifest, None, picture(GRID))
    bundle = Bundle(
        manifest, table(PREDICTIONS), picture(GRID), table(CURVE), table(PREVIEWS), picture(TRAINING)
    )
    return _validated(bundle, folder)


def read_bundles(folder: Path) -> list[Bundle]:
    """Read the bundles in the subfolders of a folder, sorted by name.

    Raises:
        SubmissionError: there is no bundle, or one is refused.
    """
    folders = bundle_folders(folder)
    if not folders:
        raise SubmissionError(str(folder), "holds no bundle", "Give the folder that has one folder per row.")
    return [read_bundle(p) for p in folders]


def bundle_folders(folder: Path) -> list[Path]:
    """Return the visible subfolders of a folder, sorted by name; a killed writer may leave a hidden one."""
    paths = folder.iterdir() if folder.is_dir() else ()
    return sorted(p for p in paths if p.is_dir() and not p.name.startswith("."))


def hashes(folder: Path) -> dict[str, str]:
    """SHA-256 of every file of a bundle except ``bundle.json``, by name."""
    return {name: sha256_file(folder / name) for name in CONTENT if (folder / name).exists()}


def parse_manifest(content: Any, where: str) -> Manifest:
    """Validate the content of ``bundle.json``.

    Raises:
        SubmissionError: names the field.
    """
    schema = content.get("schema") if isinstance(content, dict) else None
    if isinstance(schema, int) and schema not in (5, SCHEMA):
        raise SubmissionError(
            f"{where}: schema",
            f"is {schema}, this release reads 5 and {SCHEMA}",
            "Run the row again, or read the bundle with the release that wrote it.",
        )
    try:
        manifest: Manifest = parse(ManifestOfSchema5 if schema == 5 else Manifest, content, where)
    except TaskError as error:
        raise SubmissionError(error.where, error.problem, error.remedy) from None
    try:  # fields of any type
        json.dumps(manifest.record(), allow_nan=False)
    except ValueError:
        raise SubmissionError(where, "holds NaN or infinity", "Leave the figure out, or give None.") from None
    return manifest


def check_size(path: Path) -> None:
    """Refuse a link, a missing file, or one above the limit for its name."""
    if path.is_symlink() or not path.is_file():
        raise SubmissionError(str(path), "is missing or not a plain file", "Add the file itself.")
    limit = next(size for name, size in MAX_FILE_BYTES.items() if Path(name).name == path.name)
    if path.stat().st_size > limit:
        raise SubmissionError(str(path), f"has {path.stat().st_size} bytes; the limit is {limit}")


def _check_files(folder: Path, manifest: Manifest) -> None:
    """Refuse a bundle whose files are not exactly those that ``bundle.json`` lists, by their hashes."""
    unknown = sorted(set(manifest.files) - set(CONTENT))
    if unknown:
        raise SubmissionError(f"{folder / MANIFEST}: files", f"'{unknown[0]}' is not a file of a bundle")
    for name in CONTENT:
        if (folder / name).exists():
            check_size(folder / name)
    present = hashes(folder)
    for name in sorted({*present, *manifest.files}):
        if present.get(name) != manifest.files.get(name):
            raise SubmissionError(
                str(folder / name),
                "does not match its SHA-256 in bundle.json"
                if name in present
                else "is missing; bundle.json names it",
                "Do not edit a bundle by hand: write it again.",
            )


def _validated(bundle: Bundle, folder: Path) -> Bundle:
    """Return the bundle with its tables in canonical order, after every check of its content."""
    manifest = bundle.manifest
    complete, card = manifest.status == "complete", manifest.samples
    rules = (
        ("predictions", PREDICTIONS, complete, "status", check_predictions),
        ("curve", CURVE, complete and bool(manifest.curve), "curve", check_curve),
        ("previews", PREVIEWS, card is not None and card.shown > 0, "samples.shown", check_previews),
    )
    for name, picture in ((GRID, bundle.grid), (TRAINING, bundle.training)):
        if picture is not None:
            check_png(picture, str(folder / name))
    tables: dict[str, Any] = {}
    for attribute, name, needed, field, check in rules:
        table = getattr(bundle, attribute)
        if (table is not None) != needed:
            problem = "is missing" if needed else "is unexpected"
            raise SubmissionError(str(folder / name), f"{problem}, according to {field} in {MANIFEST}")
        if needed:
            tables[attribute] = check(table, manifest, str(folder / name))
    return replace(bundle, **tables)


def _read_table(path: Path) -> pd.DataFrame:
    import pandas as pd

    validate_parquet(path)
    try:
        return pd.read_parquet(path)
    except Exception as error:  # a corrupt file raises many kinds
        raise SubmissionError(str(path), f"cannot be read: {error}", "Write it as Parquet again.") from None
