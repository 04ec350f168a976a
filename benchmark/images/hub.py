"""Data sets of the ``datasets`` library: from a folder, or from the Hub at a pinned revision."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmark.errors import BenchmarkError, DataError
from benchmark.images.decoding import inside
from benchmark.utils.hashing import sha256_file, sha256_of

if TYPE_CHECKING:
    from datasets import Dataset, DatasetBuilder

COMMIT = re.compile(r"[0-9a-f]{40}")
NAME = re.compile(r"[\w.-]+(/[\w.-]+)?")
KINDS = ("imagefolder", "parquet", "arrow", "webdataset")  # builders that read pictures, and run no code
SAVED = ("dataset_dict.json", "state.json")  # of ``save_to_disk``


@dataclass(frozen=True)
class Location:
    """Location of a data set: ``root`` on this machine, or ``name`` at a ``revision`` on the Hub.

    Attributes:
        root: folder as ``save_to_disk`` leaves it, or with images, Parquet or Arrow files.
        name: ``owner/name`` on the Hub.
        revision: commit, 40 hexadecimal digits: a branch or tag would change with time.
        config: name of the configuration, where the data set has several.
    Raises:
        DataError: neither or both are given, or the revision is not pinned.
    """

    root: Path | None = None
    name: str | None = None
    revision: str | None = None
    config: str | None = None

    def __post_init__(self) -> None:
        if (self.root is None) == (self.name is None):
            problem = "expected a folder, or the name of a data set on the Hub, and not both"
            raise DataError("data set", problem, "Give a folder, or name and revision.")
        if self.name is not None and not NAME.fullmatch(self.name):
            raise DataError(f"data set {self.name}", "is not a name on the Hub", "Such as owner/name.")
        if self.name is not None and not COMMIT.fullmatch(self.revision or ""):
            problem = f"its revision is {self.revision!r}, expected a commit of 40 hexadecimal digits"
            remedy = "Pin one: a branch or tag changes with time. The Hub lists commits under History."
            raise DataError(f"data set {self.name}", problem, remedy)
        if self.root is not None and not self.root.is_dir():
            raise DataError(str(self.root), "no such folder", "Give the data set's folder.")

    @property
    def where(self) -> str:
        """Place for errors."""
        return str(self.root) if self.root else f"{self.name}@{(self.revision or '')[:8]}"

    def parts(self) -> dict[str, Dataset]:
        """Return the splits of the data set by name, in its order.

        The library's cache would return the last copy of another revision, or of files with the same times:
        each content has a cache folder here.

        Raises:
            DataError: the library cannot read it, or it is not a data set of images.
        """
        import datasets

        with self._errors():
            datasets.disable_progress_bars()
            if self.root and self._is_saved():
                self._files()
                read = datasets.load_from_disk(str(self.root))
                return dict(read) if isinstance(read, dict) else {str(read.split or "train"): read}
            place = [self.fingerprint(), str(self.root.resolve()) if self.root else ""]
            cache = Path(datasets.config.HF_DATASETS_CACHE) / "synththorax" / sha256_of(place)[:32]
            builder = self._builder(cache)
            builder.download_and_prepare()
            return {str(name): part for name, part in builder.as_dataset().items()}

    def fingerprint(self) -> str:
        """Return the SHA-256 of the files of a folder, or of name and revision, which stand for content.

        Raises:
            DataError: as ``parts``.
        """
        if self.root is None:
            return sha256_of([self.name, self.revision, self.config])
        with self._errors():
            return sha256_of([[name, _hash(path)] for name, path in self._files()])

    def picture(self, cell: Mapping[str, Any] | None, where: str) -> bytes:
        """Return the encoded bytes of a cell of a picture column that is not decoded.

        Raises:
            DataError: it is empty, or names a file outside the data set.
        """
        if cell is None or (cell["bytes"] is None and not cell["path"]):
            raise DataError(where, "has no picture", "Fill it, or remove the row.")
        if cell["bytes"] is not None:
            return bytes(cell["bytes"])
        path = Path(cell["path"])
        if not any(path.resolve().is_relative_to(home) for home in self._homes()):
            raise DataError(where, f"'{path}' points outside the data set", "Put the picture itself into it.")
        if not path.is_file():
            raise DataError(where, f"'{path}' is missing", "Copy it again.")
        return path.read_bytes()

    def _homes(self) -> list[Path]:
        from datasets import config
        from huggingface_hub import constants

        caches = [
            Path(config.HF_DATASETS_CACHE),
            Path(constants.HF_HUB_CACHE),
        ]  # downloads, unpacked archives
        return [home.resolve() for home in (*([self.root] if self.root else []), *caches)]

    def _is_saved(self) -> bool:
        return self.root is not None and any((self.root / name).is_file() for name in SAVED)

    def _files(self) -> list[tuple[str, Path]]:
        """Return the files that the library reads of a folder, by part and name; they lie in the folder."""
        assert self.root is not None
        if self._is_saved():
            names = list(_saved_files(self.root))
        else:
            home = self.root.resolve()
            files = (self._builder(None).config.data_files or {}).items()
            names = [(str(part), _relative(str(path), home)) for part, paths in files for path in paths]
        return [(f"{part}/{name}", inside(self.root, name, f"{self.root}: {part}")) for part, name in names]

    def _builder(self, cache: Path | None) -> DatasetBuilder:
        import datasets

        place = str(self.root.resolve()) if self.root else str(self.name)
        builder = datasets.load_dataset_builder(
            place, self.config, revision=self.revision, cache_dir=str(cache) if cache else None
        )
        kind = type(builder).__module__.rpartition(".")[2]
        if kind not in KINDS and not (kind == "cache" and self.root is None):
            problem = f"is a data set of kind '{kind}', expected {', '.join(KINDS)}"
            raise DataError(self.where, problem, "Save it as Parquet, or by save_to_disk, with images.")
        return builder

    @contextmanager
    def _errors(self) -> Iterator[None]:
        """Report every error of the library as one line."""
        try:
            yield
        except BenchmarkError:
            raise
        except Exception as error:  # the library raises nearly anything
            reason = (str(error).splitlines() or [""])[0][:200]
            remedy = "Check the folder." if self.root else "Check name, revision and network, or download it."
            problem = f"the datasets library cannot read it: {type(error).__name__}: {reason}"
            raise DataError(self.where, problem, remedy) from error


def parse_name(text: str) -> Location:
    """Return the location of ``owner/name@revision``.

    Raises:
        DataError: the revision is missing or not pinned.
    """
    name, _, revision = text.partition("@")
    return Location(name=name, revision=revision or None)


def is_dataset(folder: Path) -> bool:
    """Return whether a folder is a data set of the library, rather than folders of pictures."""
    patterns = (*SAVED, "*.parquet", "*.arrow", "data/*.parquet", "data/*.arrow", "*/*.parquet")
    return any(True for pattern in patterns for _ in folder.glob(pattern))


def pictures(dataset: Dataset, column: str, where: str) -> Dataset:
    """Return a column of encoded pictures, as cells with ``bytes`` or ``path``.

    Raises:
        DataError: the column does not hold pictures.
    """
    from datasets import Image

    kind = dataset.features[column]
    try:
        if getattr(kind, "dtype", "") in ("string", "large_string"):
            raise TypeError("texts are names of files, which may lie anywhere")
        return dataset.select_columns([column]).cast_column(column, Image(decode=False))
    except Exception as error:
        problem, remedy = f"is {kind}, expected pictures", "Cast it to Image, or name another column."
        raise DataError(f"{where}: column '{column}'", problem, remedy) from error


def _saved_files(root: Path) -> Iterator[tuple[str, str]]:
    """Yield part and relative name of the Arrow files that ``save_to_disk`` wrote."""
    listed = root / SAVED[0]
    parts = json.loads(listed.read_text(encoding="utf-8"))["splits"] if listed.is_file() else [""]
    for part in parts:
        state = json.loads((root / part / SAVED[1]).read_text(encoding="utf-8"))
        files = [*state["_data_files"], *(state.get("_indices_data_files") or [])]
        yield from ((part or "train", f"{part}/{file['filename']}".lstrip("/")) for file in files)


def _relative(path: str, home: Path) -> str:
    """Return a path below a folder relative to it; another one as it is, for ``inside`` to refuse."""
    return Path(path).relative_to(home).as_posix() if Path(path).is_relative_to(home) else path


def _hash(path: Path) -> str:
    state = path.stat()
    return _sha256(path, state.st_size, state.st_mtime_ns)


@lru_cache(maxsize=100_000)
def _sha256(path: Path, size: int, changed: int) -> str:
    return sha256_file(path)
