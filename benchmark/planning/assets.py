"""Locate and hash the base checkpoints of generators when a run is planned, never in a worker."""

import fnmatch
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from benchmark.engine.store import store_root
from benchmark.errors import TaskError
from benchmark.plugins.description import AssetRecord
from benchmark.plugins.generator import ASSET_FILES, Asset
from benchmark.stages.plugin import AssetReference
from benchmark.utils.hashing import sha256_file, sha256_of

IGNORED = ("README.md", "LICENSE*", ".gitattributes", ".cache*", "*.png", "*.jpg")


def locate_assets(assets: Sequence[Asset], where: str) -> tuple[AssetReference, ...]:
    """Return name, content hash and local folder of each asset; downloads nothing.

    Args:
        where: names the generator in errors.
    Raises:
        TaskError: an asset is missing, lacks a revision, or holds a file that can run code when it is loaded.
    """
    located = []
    for asset in assets:
        about = f"{where}: asset '{asset.name}'"
        folder = _of_hub(asset, about) if asset.folder is None else asset.folder
        located.append(
            AssetReference(name=asset.name, hash=_hash(folder, asset, about), folder=folder.resolve())
        )
    return tuple(located)


def refuse_stored_assets(assets: Iterable[AssetRecord], where: str) -> None:
    """Refuse base checkpoints in the store of results: code from outside names their folders.

    Raises:
        TaskError: names the asset.
    """
    store = store_root().resolve()
    for asset in assets:
        folder = None if asset.folder is None else asset.folder.resolve()
        if folder and (folder.is_relative_to(store) or store.is_relative_to(folder)):
            problem = f"is in or around the store of results, {store}"
            raise TaskError(f"{where}: asset '{asset.name}'", problem, "Move the checkpoint elsewhere.")


def check_paths(paths: Mapping[str, Path], assets: Sequence[AssetReference], where: str) -> None:
    """Refuse a path among a generator's parameters whose content no hash stands for.

    Raises:
        TaskError: names the parameter.
    """
    known = {asset.folder for asset in assets}
    for name, path in paths.items():
        if path.resolve() not in known:
            problem = "is a path that assets() does not name, so a cache key would not notice its content"
            raise TaskError(f"{where}: params: {name}", problem, "Return it as the folder of an asset.")


def _of_hub(asset: Asset, about: str) -> Path:
    """Return the folder of a repository in the local cache of the Hugging Face Hub."""
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import LocalEntryNotFoundError

    if not asset.hub_id or len(asset.revision) != 40:
        raise TaskError(
            about,
            "names neither a folder nor a repository with a full commit hash",
            "Pin it: hub_id, revision.",
        )
    try:
        folder = snapshot_download(
            asset.hub_id, revision=asset.revision, allow_patterns=list(asset.files), local_files_only=True
        )
    except (LocalEntryNotFoundError, OSError):
        include = " ".join(f"--include '{pattern}'" for pattern in asset.files)
        raise TaskError(
            about,
            f"'{asset.hub_id}' at {asset.revision} is not in the local cache",
            f"Download it: hf download {asset.hub_id} --revision {asset.revision} {include}",
        ) from None
    return Path(folder)


def _hash(folder: Path, asset: Asset, about: str) -> str:
    """Return the SHA-256 of the names and contents of an asset's files."""
    if not folder.is_dir():
        raise TaskError(about, f"no such folder: {folder}", "Give the folder of the checkpoint.")
    files = {str(path.relative_to(folder)): path for path in sorted(folder.rglob("*")) if path.is_file()}
    odd = [name for name in files if not _matches(name, (*ASSET_FILES, *IGNORED))]
    known = {name: path for name, path in files.items() if _matches(name, asset.files)}
    if odd:
        raise TaskError(
            about,
            f"{folder} holds '{odd[0]}', which may run code when it is loaded",
            f"Remove it; a checkpoint consists of {', '.join(ASSET_FILES)}.",
        )
    if not known:
        raise TaskError(
            about, f"{folder} holds no {', '.join(asset.files)}", "Download the checkpoint again."
        )
    return sha256_of({name: sha256_file(path) for name, path in known.items()})


def _matches(name: str, patterns: Sequence[str]) -> bool:
    return any(fnmatch.fnmatch(part, pattern) for pattern in patterns for part in (name, Path(name).name))
