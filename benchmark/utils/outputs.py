"""Outputs that may be replaced: the suite overwrites and deletes only what bears its mark.

The mark of a folder is the manifest of a stage's result or of a bundle, which lists every file in it. The
mark of a file is a phrase that the suite writes into it, or into the page beside it.
"""

import json
import os
from collections.abc import Iterable
from pathlib import Path

from benchmark.errors import StoreError

MANIFESTS = {"manifest.json": ("key", "stage"), "bundle.json": ("schema", "row")}  # and fields of each
ATTACHED = (
    "bundle.json.sig",
    "verified.json",
    "verified.json.sig",
)  # files of a bundle that its manifest does not list
OF_THE_SYSTEM = (".DS_Store", "Thumbs.db", "desktop.ini")  # a file manager leaves them anywhere
ELSEWHERE = "Move it away, or give another folder."


def require_new_folder(out: Path) -> None:
    """Refuse an output folder that holds anything, or is the working directory.

    Raises:
        StoreError: names it.
    """
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise StoreError(str(out), "already exists and is not empty", "Give an empty folder, or a new one.")
    if Path.cwd().is_relative_to(out.resolve()):
        raise StoreError(str(out), "is the working directory, which is not replaced", "Name a new folder.")


def refuse_foreign_folders(folders: Iterable[Path]) -> None:
    """Refuse folders that must not be replaced.

    Raises:
        StoreError: names a file that no manifest of the suite lists, or what is in place of a folder.
    """
    for folder in folders:
        above = next(path for path in folder.absolute().parents if path.exists())
        if (odd := _foreign(folder) if above.is_dir() else above) is not None:
            problem = f"is not the suite's own, and {folder} would be replaced"
            raise StoreError(str(odd), problem, ELSEWHERE)


def refuse_foreign_files(files: Iterable[Path], page: Path, phrase: str) -> None:
    """Refuse files that must not be overwritten.

    Args:
        page: the file of the suite that bears the mark of all of them.
        phrase: the mark.
    Raises:
        StoreError: names the first file that is present, if the page lacks the mark.
    """
    present = next((path for path in files if os.path.lexists(path)), None)
    if present is None:
        return
    try:
        own = phrase in page.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        own = False
    if not own or present.is_dir():
        raise StoreError(str(present), "is not the suite's own, and would be overwritten", ELSEWHERE)


def _foreign(folder: Path, listed: frozenset[Path] = frozenset()) -> Path | None:
    """Return the first file in a folder that neither ``listed`` nor a manifest in it names."""
    if folder.is_symlink() or not folder.is_dir():
        return folder if os.path.lexists(folder) else None
    listed |= _listed(folder)
    for path in sorted(folder.iterdir()):
        if path.is_dir() and not path.is_symlink():
            if (odd := _foreign(path, listed)) is not None:
                return odd
        elif path not in listed and path.name not in OF_THE_SYSTEM:
            return path
    return None


def _listed(folder: Path) -> frozenset[Path]:
    """Return the files that the manifests in a folder list, and the manifests themselves."""
    names: list[str] = []
    for manifest, fields in MANIFESTS.items():
        try:
            record = json.loads((folder / manifest).read_text(encoding="utf-8"))
            own = [manifest, *record["files"], *(ATTACHED if manifest == "bundle.json" else ())]
        except (OSError, ValueError, KeyError, TypeError):
            continue
        names += own if all(field in record for field in fields) else []
    return frozenset(folder / name for name in names)
