"""One measured attack: a row of docs/trust.md."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Row:
    """An attack, what must happen, what happened, and whether that is what must happen."""

    attack: str
    must: str
    measured: str
    held: bool
