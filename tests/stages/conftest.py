"""The memorization gate within the stages: left out, or of few images, where a test is not about it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from benchmark.metrics.memorization import gate, real_copies

NO_COPIES = {
    "rate": 0.0, "expected": 0.01, "threshold": 1.0, "n": 1, "interval": (0.0, 0.95), "planted_recall": 1.0,
    "tolerance": 5.0, "gated": False, "blind": False, "left_out": {}, "recall": {}, "blind_to": [],
    "copies": {},
}  # fmt: skip


class _Nothing:
    """Stands in for ``RealCopies``: learns, writes and reads nothing."""

    @classmethod
    def of(cls, *_: object) -> _Nothing:
        return cls()

    def save(self, *_: object) -> None:
        pass

    load = of


@pytest.fixture
def ungated(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave the memorization gate out of ``reference`` and ``measure``: it would take most of their time."""
    monkeypatch.setattr(real_copies, "RealCopies", _Nothing)
    monkeypatch.setattr(gate, "memorization", lambda *_: NO_COPIES)


@pytest.fixture(scope="module")
def few_compared() -> Iterator[None]:
    """Calibrate the memorization gate on few images, and search for few planted copies."""
    with pytest.MonkeyPatch.context() as patch:
        for name, count in {"HELDOUT": 20, "OTHERS": 20, "PLANTED": 2, "ITSELF": 10}.items():
            patch.setattr(real_copies, name, count)
        patch.setattr(gate, "ITSELF", 10)
        patch.setattr(gate, "HIDDEN", 10)
        yield
