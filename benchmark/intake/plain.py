"""JSON and Parquet from others, looked at before they are taken into memory."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from benchmark.errors import SubmissionError

DEEPEST = 30  # of JSON; a bundle's own has 8
MOST_ROWS = 20_000_000  # of a table: 5 networks, 10 seeds, 4 brackets and 100 000 images
MOST_COLUMNS = 200
MOST_CELLS = 500_000_000  # numbers or texts of a table
LONGEST = 2**20  # bytes of a text of a table


def read_json(path: Path, most: int) -> Any:
    """The value of a JSON file.

    Args:
        most: bytes that are read.
    Raises:
        SubmissionError: too large, not UTF-8, not JSON, a key twice, NaN or infinity, or nested too deeply.
    """
    where = str(path)
    if path.is_symlink() or not path.is_file() or path.stat().st_size > most:
        raise SubmissionError(where, f"expected a plain file of at most {most} bytes")
    try:
        text = path.read_bytes().decode("utf-8")
        value = json.loads(text, object_pairs_hook=_distinct, parse_constant=_no_constant)
        _check_depth(value)
    except (ValueError, RecursionError) as error:
        why = str(error) if isinstance(error, ValueError) else f"it is nested more than {DEEPEST} deep"
        raise SubmissionError(where, f"is not JSON: {why}", "Write it with the suite.") from None
    return value


def _check_depth(value: Any) -> None:
    """Refuse what is nested deeper than ``DEEPEST``, without recursion of its own."""
    layer = [value]
    for _ in range(DEEPEST):
        layer = [inner for outer in layer for inner in _inside(outer)]
        if not layer:
            return
    raise ValueError(f"it is nested more than {DEEPEST} deep")


def _inside(value: Any) -> list[Any]:
    if isinstance(value, dict):
        return list(value.values())
    return value if isinstance(value, list) else []


def _distinct(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        names = [name for name, _ in pairs]
        raise ValueError(f"key '{next(n for n in names if names.count(n) > 1)}' is there twice")
    return found


def _no_constant(name: str) -> float:
    raise ValueError(f"{name} is no number that can be compared")


def look_into(path: Path) -> None:
    """Refuse a Parquet file that would be larger in memory than any table of a bundle.

    Few bytes can say a billion equal values; how many rows there are is said in the file's end, and no
    more than that are decoded.

    Raises:
        SubmissionError: not Parquet, or too many rows, columns or long texts.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    where = str(path)
    try:
        with pq.ParquetFile(path, memory_map=True) as table:
            about, schema = table.metadata, table.schema_arrow
            _check_shape(about.num_rows, about.num_columns, len(schema), where)
            for name in schema.names:
                kind = schema.field(name).type
                if not _is_plain(kind, pa):
                    raise SubmissionError(f"{where}: {name}", f"is {kind}, expected numbers, texts or bytes")
                if pa.types.is_string(kind) or pa.types.is_large_string(kind):
                    _check_texts(path, name, f"{where}: {name}")
    except SubmissionError:
        raise
    except Exception as error:  # a corrupt file raises many kinds
        why = (str(error).splitlines() or [type(error).__name__])[0][:200]
        raise SubmissionError(where, f"is not Parquet: {why}", "Write it with the suite.") from None


def _check_shape(rows: int, leaves: int, columns: int, where: str) -> None:
    if rows > MOST_ROWS or leaves > MOST_COLUMNS or leaves != columns or rows * leaves > MOST_CELLS:
        raise SubmissionError(
            where, f"has {rows} rows and {leaves} columns, at most {MOST_ROWS} and {MOST_COLUMNS} are read"
        )


def _is_plain(kind: Any, pa: Any) -> bool:
    types = pa.types
    kinds = ("integer", "floating", "string", "large_string", "binary", "large_binary", "null")
    return any(getattr(types, f"is_{name}")(kind) for name in kinds)


def _check_texts(path: Path, name: str, where: str) -> None:
    """A text that is written once and meant a million times must be short."""
    import pyarrow.compute as pc
    import pyarrow.parquet as pq

    column = pq.read_table(path, columns=[name], read_dictionary=[name]).column(0)
    total = 0
    for chunk in column.chunks:
        sizes = pc.binary_length(chunk.dictionary)
        longest = pc.max(sizes).as_py() or 0
        total += longest * len(chunk)
        if longest > LONGEST or total > 100 * MOST_ROWS:
            raise SubmissionError(where, f"holds texts of {longest} bytes", "Ids are short.")
