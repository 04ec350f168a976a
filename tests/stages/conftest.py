"""The memorization gate within the stages: left out where a test is not about it."""

from __future__ import annotations

import pytest

from benchmark.metrics.memorization import gate, real_copies

NO_COPIES = {
    "rate": 0.0, "expected": 0.01, "threshold": 1.0, "n": 1, "interval": (0.0, 0.95), "planted_recall": 1.0,
    "tolerance": 5.0, "gated": False, "blind": False, "left_out": {}, "recall": {}, "blind_to": [],
    "copies": {}, "nearness": None,
}  # fmt: skip


class _Nothing:
    """Stands in for ``RealCopies``: learns, writes and reads nothing."""

    @classmethod
    def of(cls, *_: object) -> _Nothing:
        return cls()

    def save(self, *_: object) -> None:
        pass

    def doubtful_splits(self, *_: object) -> list[str]:
        return []

    load = of


@pytest.fixture
def ungated(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave the memorization gate out of ``reference`` and ``measure``: it would take most of their time."""
    monkeypatch.setattr(real_copies, "RealCopies", _Nothing)
    monkeypatch.setattr(gate, "memorization", lambda *_: NO_COPIES)
