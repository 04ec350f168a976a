"""Progressive growing (Karras et al. 2018, arXiv:1710.10196): image sizes and the steps at each."""

import math
from dataclasses import dataclass
from typing import NamedTuple

from benchmark.errors import GeneratorError


class Phase(NamedTuple):
    """A moment of the growth.

    Attributes:
        level: the trained level; level 0 has the constant's size, each further one doubles it.
        blend: weight of the level against the enlarged previous one, 0 to 1.
        since: steps since the level began.
    """

    level: int
    blend: float
    since: int


@dataclass(frozen=True)
class Growth:
    """The levels of an image size, and the steps at which each is trained.

    The fields are those of ``stylegan.Params``; ``image_size`` is in px.
    """

    image_size: int
    unshuffle: int
    start_size: int
    steps: int
    final_share: float
    fade: float

    @property
    def levels(self) -> int:
        """Number of sizes, from the constant's 4 to 7 positions to the full one."""
        return max(1, int(math.log2(self.image_size / (4 * self.unshuffle))) + 1)

    @property
    def constant_side(self) -> int:
        """Positions along a side at level 0."""
        return self.image_size // (self.unshuffle << (self.levels - 1))

    @property
    def first_level(self) -> int:
        """Level at which training starts."""
        doublings = round(math.log2(self.start_size / (self.unshuffle * self.constant_side)))
        return min(self.levels - 1, max(0, doublings))

    @property
    def growing_steps(self) -> int:
        """Number of steps before the full size."""
        if self.first_level == self.levels - 1:
            return 0
        return self.steps - max(1, round(self.steps * self.final_share))

    def size(self, level: int) -> int:
        """Image size at a level in px."""
        return self.image_size >> (self.levels - 1 - level)

    def channels(self, largest: int, by_side: int) -> list[int]:
        """Number of maps per level: ``by_side`` divided by the side, 1 to ``largest``.

        Raises:
            GeneratorError: doubling does not reach the image size.
        """
        side = self.constant_side
        if side < 4 or side * self.unshuffle << (self.levels - 1) != self.image_size:
            raise GeneratorError(
                "generator 'stylegan'",
                f"cannot grow to {self.image_size} px by doubling",
                f"Use {self.unshuffle} times 4 to 7 times a power of two, such as {self.unshuffle * 32}.",
            )
        return [max(1, min(largest, by_side // (side << i))) for i in range(self.levels)]

    def at(self, step: int) -> Phase:
        """Return the phase of a step."""
        top, first, growing = self.levels - 1, self.first_level, self.growing_steps
        if step >= growing:
            level, began, length = top, growing, float(self.steps - growing)
        else:
            length = growing / (top - first)
            level = first + int(step / length)
            began = math.ceil((level - first) * length)
        if level == first or not self.fade:
            return Phase(level, 1.0, step - began)
        return Phase(level, min(1.0, (step - began + 1) / (self.fade * length)), step - began)
