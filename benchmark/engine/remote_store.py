"""A second store that a team shares: one archive a result, by stage and key, wherever fsspec reaches."""

from __future__ import annotations

import random
import shutil
import tarfile
import tempfile
import time
import uuid
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

from benchmark.engine.store import Store, damage, store_errors
from benchmark.errors import StoreError

Value = TypeVar("Value")
Place = tuple[str, str]  # stage and key
ATOMIC = ("s3", "s3a", "gs", "gcs", "abfs", "az", "memory")  # an object appears when it is whole
PAUSES = (1.0, 2.0, 5.0, 10.0, 20.0, 30.0)  # before another attempt, after an error that may pass
TRANSFERS = 8


class RemoteStore:
    """A folder of archives behind a URL, such as ``s3://bucket/folder``.

    Raises:
        StoreError: the protocol is not installed, or the place cannot be read.
    """

    def __init__(self, url: str) -> None:
        self.url = url.rstrip("/")
        import fsspec

        with self._errors():
            self.fs, self.root = fsspec.core.url_to_fs(self.url, use_listings_cache=False)

    def places(self) -> set[Place]:
        """Return stage and key of every archive."""

        def listed() -> set[Place]:
            self.fs.invalidate_cache()
            try:
                names = self.fs.find(f"{self.root}/results")
            except FileNotFoundError:
                return set()
            parts = [name.rsplit("/", 2) for name in names if name.endswith(".tar")]
            return {(stage, key.removesuffix(".tar")) for _, stage, key in parts}

        return self._tried(listed)

    def push(self, store: Store, places: Iterable[Place]) -> list[Place]:
        """Upload the results of a store that are not there yet; return them.

        Raises:
            StoreError: the place refuses, or goes on failing; what was uploaded stays.
        """
        there = self.places()
        new = [place for place in places if place not in there and store.get(*place) is not None]
        return list(_together(lambda place: self._upload(store, place), new))

    def pull(self, store: Store, places: Iterable[Place]) -> list[Place]:
        """Download results that a store lacks, check every byte, and commit them; return them.

        Raises:
            StoreError: an archive is not what its manifest says, or the place goes on failing.
        """
        there = self.places()
        new = [place for place in places if place in there and store.get(*place) is None]
        return list(_together(lambda place: self._download(store, place), new))

    def _path(self, place: Place) -> str:
        return f"{self.root}/results/{place[0]}/{place[1]}.tar"

    def _upload(self, store: Store, place: Place) -> Place:
        with store_errors(store.root), tempfile.NamedTemporaryFile(dir=store.root / "work") as file:
            with tarfile.open(fileobj=file, mode="w") as archive:
                archive.add(store.folder(*place), arcname=".")
            file.flush()
            self._tried(lambda: self._put(file.name, self._path(place)))
        return place

    def _put(self, source: str, path: str) -> None:
        protocols = {self.fs.protocol} if isinstance(self.fs.protocol, str) else {*self.fs.protocol}
        if protocols & {*ATOMIC}:
            self.fs.put_file(source, path)
            return
        part = f"{path}.{uuid.uuid4().hex}.part"
        self.fs.makedirs(path.rpartition("/")[0], exist_ok=True)
        self.fs.put_file(source, part)
        self.fs.mv(part, path)

    def _download(self, store: Store, place: Place) -> Place:
        with store_errors(store.root):
            folder = Path(tempfile.mkdtemp(prefix=".pull-", dir=store.root / "work"))
        try:
            archive, part = folder / "archive.tar", folder / place[1]
            self._tried(lambda: self.fs.get_file(self._path(place), str(archive)))
            with store_errors(store.root):
                _extract(archive, part, f"{self.url}/results/{place[0]}/{place[1]}.tar")
                if fault := damage(part):
                    where, remedy = f"{self.url}/results/{place[0]}/{place[1]}.tar", "Remove it there."
                    raise StoreError(where, fault.partition(",")[0], remedy)
                store.adopt(*place, part)
        finally:
            shutil.rmtree(folder, ignore_errors=True)
        return place

    def _tried(self, call: Callable[[], Value]) -> Value:
        """Call again after an error that may pass, for about a minute."""
        with self._errors():
            for pause in PAUSES:
                try:
                    return call()
                except Exception as error:
                    if _is_final(error):
                        raise
                    time.sleep(pause * random.uniform(0.5, 1.5))
            return call()

    @contextmanager
    def _errors(self) -> Iterator[None]:
        """Report every error of the remote place as one line."""
        try:
            yield
        except StoreError:
            raise
        except Exception as error:  # fsspec's file systems and their libraries each raise their own
            first = (str(error).strip().splitlines() or [type(error).__name__])[0][:300]
            raise StoreError(f"remote store {self.url}", first, _remedy(error)) from error


def _together(call: Callable[[Place], Place], places: list[Place]) -> Iterator[Place]:
    """Yield the results of several calls at once; the first error ends them."""
    with ThreadPoolExecutor(TRANSFERS) as pool:
        try:
            yield from pool.map(call, places)
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise


def _extract(archive: Path, part: Path, where: str) -> None:
    part.mkdir()
    try:
        with tarfile.open(archive) as content:
            content.extractall(part, filter="data")
    except tarfile.TarError as error:
        raise StoreError(where, f"is not an archive: {error}", "Remove it there.") from None


def _is_final(error: Exception) -> bool:
    """Return whether another attempt would meet the same error: a missing key, a refusal, a wrong URL."""
    return isinstance(error, (PermissionError, FileNotFoundError, ImportError, ValueError)) or (
        type(error).__name__ in ("NoCredentialsError", "ParamValidationError")
    )


def _remedy(error: Exception) -> str:
    if isinstance(error, ImportError):
        return "pip install 'synththorax[s3]', or the package that the message names."
    if isinstance(error, PermissionError) or type(error).__name__ == "NoCredentialsError":
        return "Correct AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or the rights of their user."
    if isinstance(error, (FileNotFoundError, ValueError)):
        return "Correct the URL, such as s3://bucket/folder; the bucket must exist."
    return "Try again later; what was transferred stays. AWS_ENDPOINT_URL names another server."
