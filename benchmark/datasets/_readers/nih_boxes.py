"""The boxes that radiologists drew for ChestX-ray14, ``BBox_List_2017.csv``."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from benchmark.errors import DataError
from benchmark.utils.csv_file import header_of, read_csv
from benchmark.utils.csv_table import CsvTable

CORNERS = (("bbox [x", "y", "w", "h]"), ("bbox x", "bbox y", "bbox w", "bbox h"), ("x", "y", "w", "h"))
SIDE = 1024  # pixels; frame of the boxes, whatever the size of the image files


def read_boxes(
    path: Path, table: CsvTable, findings: Mapping[str, int], columns: Sequence[int], size: int
) -> tuple[np.ndarray | None, list[str]]:
    """Return (N, 4) float32 left, top, width, height in pixels of the square, NaN without a box.

    An image with several boxes gets that of the first of the task's classes; of one class, the largest.

    Args:
        path: of the list of boxes, which may be missing.
        table: of the images.
        findings: index of every finding that the list names.
        columns: findings of the task, in its order.
        size: side of the square.
    Raises:
        DataError: the list is wrong, or a box has no area in the image.
    """
    if not path.is_file():
        return None, []
    header = header_of(path)
    corners = next((names for names in CORNERS if set(names) <= set(header)), CORNERS[0])
    drawn = read_csv(path, ["image index", "finding label", *corners])
    finding = drawn.among("finding label", findings)
    frame = _within(drawn, np.stack([drawn.numbers_or_nan(name) for name in corners], axis=1))
    index_of = {name: k for k, name in enumerate(table.text("image index").tolist())}
    candidates: dict[int, list[tuple[int, float, int]]] = defaultdict(list)
    for k, name in enumerate(drawn.text("image index").tolist()):
        if name in index_of and finding[k] in columns:
            order = (list(columns).index(finding[k]), -float(frame[k, 2] * frame[k, 3]), k)
            candidates[index_of[name]].append(order)
    box = np.full((len(table), 4), np.nan, np.float32)
    for index, orders in candidates.items():
        box[index] = frame[min(orders)[2]] * (size / SIDE)
    ambiguous = sum(len(orders) > 1 for orders in candidates.values())
    return box, [f"{ambiguous} images have several boxes: that of the first class used"] if ambiguous else []


def _within(drawn: CsvTable, frame: np.ndarray) -> np.ndarray:
    """Clip (M, 4) left, top, width, height to the image; raise DataError for a box without area in it."""
    first = frame[:, :2].clip(0, SIDE)
    last = (frame[:, :2] + frame[:, 2:]).clip(0, SIDE)
    empty = ~(last > first).all(axis=1)
    if empty.any():
        where = drawn.where(int(empty.argmax()))
        raise DataError(where, f"the box has no area in {SIDE} x {SIDE} pixels", "Correct the table.")
    return np.concatenate([first, last - first], axis=1)
