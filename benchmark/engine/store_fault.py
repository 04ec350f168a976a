"""Faults of the store that surface as an error of a stage, or of a plug-in that the stage runs."""

import errno
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmark.engine.store import Store, store_errors
from benchmark.errors import StoreError
from benchmark.utils.files import write_fault

DISK = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EFBIG)


@contextmanager
def store_is_blamed(store: Store, work: Path, inputs: Iterable[Path] = ()) -> Iterator[None]:
    """Raise a StoreError in place of an error whose cause is the store.

    Libraries and plug-ins turn a full disk into other errors, so the folder of unfinished work is tried.

    Args:
        work: folder of unfinished work in the store.
        inputs: folders of the results that the block reads.
    """
    try:
        yield
    except StoreError:
        raise
    except Exception as error:
        fault = next(filter(_is_of_disk, _chain(error)), None)
        lost = [folder for folder in inputs if store.get(folder.parent.name, folder.name) is None]
        if fault is None and (lost or not work.is_dir()):
            problem = "was removed during the run, or a part of it"
            remedy = "The same command computes again what is missing."
            raise StoreError(f"store {store.root}", problem, remedy) from error
        if fault := fault or write_fault(work):
            with store_errors(store.root):
                raise fault from error
        raise


def _is_of_disk(error: BaseException) -> bool:
    return isinstance(error, OSError) and error.errno in DISK


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    """Yield an error and the errors that it stems from."""
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__
