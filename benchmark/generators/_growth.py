"""Progressive growing (Karras et al. 2018, arXiv:1710.10196): image sizes, and the steps at each."""

import math
from bisect import bisect_right
from dataclasses import dataclass
from itertools import accumulate
from typing import NamedTuple, Self

from torch import Tensor
from torch.nn import functional as F

from benchmark.errors import GeneratorError


class Phase(NamedTuple):
    """A moment of the growth.

    Attributes:
        level: the trained level; level 0 has 4 to 7 px, each further one doubles it.
        blend: weight of the level against the enlarged previous one, 0 to 1.
        since: steps since the level began.
    """

    level: int
    blend: float
    since: int


@dataclass(frozen=True)
class Growth:
    """The levels of an image size, and the steps at which each is trained.

    Attributes:
        image_size: the full size in px.
        steps: number of steps of each trained level; the last of them has the full size.
        fades: number of the first steps of each trained level that blend it in.
    """

    image_size: int
    steps: tuple[int, ...]
    fades: tuple[float, ...]

    @classmethod
    def by_share(cls, image_size: int, start_size: int, total: int, final_share: float, fade: float) -> Self:
        """Divide a number of steps: ``final_share`` to the full size, the rest equally to the smaller ones.

        Args:
            start_size: px at which training starts.
            fade: share of the steps of each size that blend it in.
        """
        side, levels = sides(image_size)
        smaller = levels - 1 - min(levels - 1, max(0, round(math.log2(start_size / side))))
        growing = total - max(1, round(total * final_share)) if smaller else 0
        ends = [math.ceil(i * growing / smaller) for i in range(1, smaller + 1)] + [total]
        steps = [end - start for start, end in zip([0, *ends[:-1]], ends, strict=True)]
        return cls(image_size, tuple(steps), (0.0, *(fade * n for n in steps[1:])))

    @property
    def total(self) -> int:
        """Number of steps at all sizes."""
        return sum(self.steps)

    @property
    def growing_steps(self) -> int:
        """Number of steps before the full size."""
        return self.total - self.steps[-1]

    def size(self, level: int) -> int:
        """Image size at a level in px."""
        return sides(self.image_size)[0] << level

    def at(self, step: int) -> Phase:
        """Return the phase of a step."""
        ends = list(accumulate(self.steps))
        trained = min(bisect_right(ends, step), len(ends) - 1)
        level = sides(self.image_size)[1] - len(ends) + trained
        since, fade = step - (ends[trained] - self.steps[trained]), self.fades[trained]
        return Phase(level, min(1.0, (since + 1) / fade) if fade else 1.0, since)


def sides(image_size: int) -> tuple[int, int]:
    """Return the side at level 0, 4 to 7 px, and the number of levels up to an image size.

    Raises:
        GeneratorError: doubling does not reach the size.
    """
    levels = max(1, int(math.log2(max(image_size, 4) / 4)) + 1)
    side = image_size >> (levels - 1)
    if image_size < 4 or side << (levels - 1) != image_size:
        nearest = 2 ** max(2, round(math.log2(max(image_size, 1))))
        raise GeneratorError(
            "image_size",
            f"is {image_size} px, which doubling does not reach from 4, 5, 6 or 7 px",
            f"Use a power of two; the nearest is {nearest}.",
        )
    return side, levels


def channels(image_size: int, largest: int, by_side: int) -> list[int]:
    """Return the number of maps per level: ``by_side`` divided by the side, 1 to ``largest``.

    Raises:
        GeneratorError: doubling does not reach the size.
    """
    side, levels = sides(image_size)
    return [max(1, min(largest, by_side // (side << level))) for level in range(levels)]


def shrink(images: Tensor, growth: Growth, phase: Phase) -> Tensor:
    """Shrink (N, 1, S, S) real images to the size of a phase, blended like the synthetic ones."""
    small = F.avg_pool2d(images, growth.image_size // growth.size(phase.level))
    if phase.blend == 1:
        return small
    return small.lerp(F.interpolate(F.avg_pool2d(small, 2), scale_factor=2), 1 - phase.blend)
