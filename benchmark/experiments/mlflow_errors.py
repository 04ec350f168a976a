"""Faults of MLflow: which to try again, and one line for each."""

import random
import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

from benchmark.errors import TrackingError
from benchmark.experiments.tracking_store import BUSY_SECONDS, ELSEWHERE, unusable

Value = TypeVar("Value")
# Answers that another attempt would not change. Everything else may pass: a full disk, a lock, a dead server.
REFUSED = {
    "BAD_REQUEST", "INVALID_PARAMETER_VALUE", "INVALID_STATE", "RESOURCE_DOES_NOT_EXIST",
    "RESOURCE_ALREADY_EXISTS",
}  # fmt: skip
RACES = re.compile("UNIQUE constraint|unique constraint|Duplicate entry|database is locked|RESOURCE_ALREADY")
SHORT = re.compile(
    r"\[Errno \d+\] [A-Z][\w ]+|[Tt]imed out|too many \d+ error responses|Failed to resolve '[^']+'"
)

OF_THE_DRIVER = re.compile(r"^\((?:\w+\.)+\w+\) (.+)", re.MULTILINE)  # SQLAlchemy may put lines before it


def is_race(error: BaseException) -> bool:
    """Return whether another process was in between check and insert, so that the same call may succeed."""
    return bool(RACES.search(f"{getattr(error, 'error_code', '')} {error}"))


def is_refused(error: BaseException) -> bool:
    """Return whether the tracking store refuses an entry for good; a fault of this suite counts too."""
    from mlflow.exceptions import MlflowException
    from sqlalchemy.exc import SQLAlchemyError

    if isinstance(error, MlflowException):
        return error.error_code in REFUSED and not is_race(error)
    return not isinstance(error, (SQLAlchemyError, OSError))


def reason(error: BaseException) -> str:
    """Return what went wrong in a few words."""
    text = str(error).strip()
    if driver := OF_THE_DRIVER.search(text):
        return driver[1][:300]
    short = SHORT.search(text) if "API request" in text else None
    return (short[0] if short else next(iter(text.splitlines()), "") or type(error).__name__)[:300]


def retried(call: Callable[[], Value], seconds: float = BUSY_SECONDS) -> Value:
    """Call until no other process is in between, for some seconds."""
    end = time.monotonic() + seconds
    while True:
        try:
            return call()
        except Exception as error:
            if not is_race(error) or time.monotonic() > end:
                raise
            time.sleep(random.uniform(0.05, 0.5))


@contextmanager
def tracking_errors(uri: str) -> Iterator[None]:
    """Report every error of the tracking store as one line."""
    from click import ClickException
    from mlflow.exceptions import MlflowException
    from sqlalchemy.exc import SQLAlchemyError

    try:
        yield
    except ClickException as error:  # of tracking_store.open_sqlite
        if isinstance(error.__cause__, TrackingError):
            raise error.__cause__ from error
        raise
    except (MlflowException, SQLAlchemyError, OSError) as error:
        problem, remedy = reason(error), "Make it writable, free some space"
        if uri.startswith("http"):
            remedy = "Start the server"
        elif "locked" in problem:
            remedy = "End the program that holds the database"
        raise unusable(uri, problem, f"{remedy}, or {ELSEWHERE}.") from error
