"""The fifteen mirrored, turned and inverted forms of an image."""

from dataclasses import dataclass
from itertools import product

import numpy as np


@dataclass(frozen=True)
class Change:
    """A symmetry of the square, with or without inversion of the gray values.

    Attributes:
        turns: quarter turns, counterclockwise.
        mirrored: left and right change places before the turns.
        inverted: black becomes white.
    """

    turns: int = 0
    mirrored: bool = False
    inverted: bool = False

    def __call__(self, block: np.ndarray) -> np.ndarray:
        """Change (M, H, W) gray values from 0 to 255."""
        block = np.rot90(block[..., ::-1] if self.mirrored else block, self.turns, axes=(1, 2))
        return 255 - block if self.inverted else block

    def __str__(self) -> str:
        if self.mirrored and self.turns == 2:
            words = ["mirrored top to bottom"]
        else:
            words = ["mirrored"] * self.mirrored + [f"turned by {90 * self.turns} degrees"] * (self.turns > 0)
        return " and ".join([*words, *["inverted"] * self.inverted])


SAME = Change()
TURNS = tuple(Change(turns, mirrored) for mirrored, turns in product((False, True), range(4)))
INVERTED = tuple(Change(c.turns, c.mirrored, True) for c in TURNS)


def changes_of(height: int, width: int) -> tuple[Change, ...]:
    """Return the changes that keep the shape of an image, without ``SAME``."""
    return tuple(c for c in (*TURNS, *INVERTED) if c != SAME and (height == width or c.turns % 2 == 0))
