"""Verification without repeated work: the data of a protocol are the same for all bundles of a test run."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from pathlib import Path

import pytest

from benchmark.metrics.extractor.features import PHANTOM
from benchmark.verification import data as recomputation
from benchmark.verification.data import RecomputedData
from benchmark.verification.protocol import Protocol


def remember_data(patch: pytest.MonkeyPatch, known: Mapping[Hashable, RecomputedData], store: Path) -> None:
    """Compute the data of a protocol, and all that depends on them, once.

    Args:
        known: data by the request of their protocol.
        store: folder for the results.
    """
    cache, recompute = dict(known), recomputation.recompute_data

    def recomputed(protocol: Protocol, root: Path | None, _: Path) -> RecomputedData:
        key = protocol.request(root, PHANTOM)
        if key not in cache:
            cache[key] = recompute(protocol, root, store)
        return cache[key]

    patch.setattr(recomputation, "recompute_data", recomputed)
