"""Predictions of trainings as Parquet tables."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmark.engine.node import Node
from benchmark.images.image_set import ImageSet

if TYPE_CHECKING:
    import pyarrow as pa


def write(
    path: Path,
    node: Node,
    subgroups: tuple[str, ...],
    tests: Mapping[str, ImageSet],
    scores: Mapping[str, np.ndarray],
    **extra: Any,
) -> None:
    """Write the scores of every test image by one training.

    Args:
        node: of the training.
        subgroups: columns of the images to copy.
        tests: test splits by name; ``scores`` (N, K) likewise.
        extra: further columns of one value.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    tables = [_table(node, subgroups, name, images, scores[name]) for name, images in tests.items()]
    whole = pa.concat_tables(tables)
    for name, value in extra.items():
        whole = whole.append_column(name, pa.array([value] * len(whole)))
    pq.write_table(whole, path)


def _table(
    node: Node, subgroups: tuple[str, ...], split: str, images: ImageSet, scores: np.ndarray
) -> pa.Table:
    import pyarrow as pa

    n = len(images)
    fitted = f"{node.row}/fit{node.fit}" if node.fit else node.row
    which = f"{node.bracket or 0}" if node.share is None else f"{node.share:g}"
    columns = {
        "image_id": pa.array(images.image_id.tolist()),
        "patient_id": pa.array(images.patient_id.tolist()),
        "label": pa.array(np.full(n, -1) if images.multilabel else images.label, pa.int64()),
        "split": pa.array([split] * n),
        "bracket": pa.array([node.bracket or 0] * n, pa.int64()),
        "classifier": pa.array([node.classifier] * n),
        "seed": pa.array([node.seed] * n, pa.int64()),
        "fold": pa.array([node.fold] * n, pa.int64()),
        "fit": pa.array([node.fit] * n, pa.int64()),
        "run": pa.array([f"{fitted}/{which}/{node.classifier}/{node.seed}"] * n),
    }
    if images.multilabel:
        columns |= {
            f"label_{k}": pa.array(images.label[:, k], pa.int64()) for k in range(images.label.shape[1])
        }
    columns |= {f"score_{k}": pa.array(scores[:, k]) for k in range(scores.shape[1])}
    for name in ("sex", "view", "site", "age"):
        if name in subgroups:
            columns[name] = _known(getattr(images, name), n, pa.float64() if name == "age" else pa.string())
    return pa.table(columns)


def _known(column: np.ndarray | None, n: int, kind: pa.DataType) -> pa.Array:
    """Return a column in which an empty text and NaN, which stand for unknown, are null."""
    import pyarrow as pa

    values = [None] * n if column is None else column.tolist()
    return pa.array([None if v is None or v == "" or v != v else v for v in values], kind)
