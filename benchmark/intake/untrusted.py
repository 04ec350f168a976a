"""Read JSON and Parquet from third parties within limits, before they fill the memory."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmark.errors import BenchmarkError, SubmissionError

if TYPE_CHECKING:
    import pyarrow.parquet as pq

MAX_DEPTH = 30  # of JSON; a bundle of the suite has 8
MAX_ROWS = 20_000_000  # of a table: 5 networks, 10 seeds, 4 brackets and 100 000 images
MAX_COLUMNS = 200
MAX_CELLS = 500_000_000  # numbers or texts of a table
MAX_TEXT = 2**20  # bytes of a text of a table
PLAIN_TYPES = ("integer", "floating", "string", "large_string", "binary", "large_binary", "null")


@contextmanager
def as_submission_error() -> Iterator[None]:
    """Raise every error of the suite in a block or a decorated function as a ``SubmissionError``."""
    try:
        yield
    except BenchmarkError as error:
        raise SubmissionError(error.where, error.problem, error.remedy) from None


def validate_file(path: Path, limit: int, remedy: str = "") -> None:
    """Raise a ``SubmissionError`` unless ``path`` is a plain file, no link, of at most ``limit`` bytes."""
    if path.is_symlink() or not path.is_file():
        raise SubmissionError(str(path), "is missing or not a plain file", remedy)
    validate_size(path.stat().st_size, limit, str(path))


def validate_size(size: int, limit: int, where: str) -> None:
    """Raise a ``SubmissionError`` for more than ``limit`` bytes."""
    if size > limit:
        raise SubmissionError(where, f"has {size} bytes; at most {limit} are allowed")


def read_json(path: Path, limit: int) -> Any:
    """Return the value of a JSON file of at most ``limit`` bytes.

    Raises:
        SubmissionError: too large, not UTF-8, not JSON, a repeated key, NaN, infinity, or nested too deeply.
    """
    validate_file(path, limit)
    too_deep = f"nested more than {MAX_DEPTH} deep"
    try:
        text = path.read_bytes().decode("utf-8")
        value = json.loads(text, object_pairs_hook=_unique_keys, parse_constant=_refuse_constant)
        if _deeper_than(value, MAX_DEPTH):
            raise ValueError(too_deep)
    except (ValueError, RecursionError) as error:
        why = str(error) if isinstance(error, ValueError) else too_deep
        raise SubmissionError(str(path), f"is not JSON: {why}", "Write it with the suite.") from None
    return value


def _deeper_than(value: Any, depth: int) -> bool:
    """Return whether a JSON value is nested more than ``depth`` deep; does not recurse."""
    layer = [value]
    for _ in range(depth):
        dicts = [list(v.values()) for v in layer if isinstance(v, dict)]
        layer = [inner for v in [*dicts, *(v for v in layer if isinstance(v, list))] for inner in v]
    return bool(layer)


def _unique_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    name, count = Counter(name for name, _ in pairs).most_common(1)[0] if pairs else ("", 0)
    if count > 1:
        raise ValueError(f"key '{name}' is repeated")
    return dict(pairs)


def _refuse_constant(name: str) -> float:
    raise ValueError(f"{name} is not a finite number")


@contextmanager
def open_parquet(path: Path) -> Iterator[pq.ParquetFile]:
    """Open a Parquet file for a block; its errors become a ``SubmissionError``."""
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(path, memory_map=True) as table:
            yield table
    except BenchmarkError:
        raise
    except Exception as error:  # a corrupt file raises many kinds
        why = (str(error).splitlines() or [type(error).__name__])[0][:200]
        raise SubmissionError(str(path), f"is not readable as Parquet: {why}", "Write it again.") from None


def validate_parquet(path: Path) -> None:
    """Refuse a Parquet file that would need more memory than any table of a bundle.

    A few bytes can encode a billion equal values. The footer states the number of rows, and no more than
    that are decoded.

    Raises:
        SubmissionError: not Parquet, or too many rows, columns or long texts.
    """
    import pyarrow as pa

    with open_parquet(path) as table:
        rows, columns, schema = table.metadata.num_rows, table.metadata.num_columns, table.schema_arrow
        too_large = rows > MAX_ROWS or columns > MAX_COLUMNS or rows * columns > MAX_CELLS
        if too_large or columns != len(schema):
            limits = f"at most {MAX_ROWS} and {MAX_COLUMNS} plain ones are allowed"
            raise SubmissionError(str(path), f"has {rows} rows and {columns} columns; {limits}")
        for name in schema.names:
            where, kind = f"{path}: {name}", schema.field(name).type
            if not any(getattr(pa.types, f"is_{plain}")(kind) for plain in PLAIN_TYPES):
                raise SubmissionError(where, f"is {kind}, expected numbers, texts or bytes")
            if pa.types.is_string(kind) or pa.types.is_large_string(kind):
                _validate_texts(path, name, where)


def _validate_texts(path: Path, name: str, where: str) -> None:
    """Refuse long texts: a dictionary stores a text once and may refer to it a million times."""
    import pyarrow.compute as pc
    import pyarrow.parquet as pq

    column = pq.read_table(path, columns=[name], read_dictionary=[name]).column(0)
    total = 0
    for chunk in column.chunks:
        longest = pc.max(pc.binary_length(chunk.dictionary)).as_py() or 0
        total += longest * len(chunk)
        if longest > MAX_TEXT or total > 100 * MAX_ROWS:
            raise SubmissionError(where, f"holds texts of {longest} bytes", "Use short identifiers.")
