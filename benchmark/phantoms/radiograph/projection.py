"""The projected chest, from the front or from the side: what findings need to know of it."""

from __future__ import annotations

from dataclasses import dataclass

from benchmark.phantoms.canvas.fields import Array, Grid
from benchmark.phantoms.canvas.raster import HIGH, LOW
from benchmark.phantoms.radiograph.torso import APEX


@dataclass(frozen=True, eq=False)
class Chest:
    """What a finding needs to know of the projected chest; arrays are (S, S) float32 unless noted.

    Attributes:
        lateral_view: seen from the side; the lungs then lie on one another.
        solid: attenuation of everything but the air; air: what the air of the lungs takes from it.
        vessels: share of the air that blood takes.
        inside: 0..1, where lung is seen; heart: 0..1, the shadow of heart and great vessels.
        side: -1 in the patient's right lung (left in the image), +1 in the left; from the side 0.
        across: frontal 0 at the midline to 1 at the wall; lateral 0 at the sternum to 1 at the back.
        down: 0 at the apex to 1 at the dome of the diaphragm.
        rim: distance from the outer pleura, body units, positive inside.
        above: height over the diaphragm, body units.
        outer: the wall by height, a table of its own.
        base: height of the domes; ratio: cardiothoracic ratio.
        hila: body coordinates of the right and the left hilum; domes: height of the right and the left one.
        each: the right and the left lung seen from the side.
    """

    lateral_view: bool
    supine: bool
    grid: Grid
    solid: Array
    air: Array
    vessels: Array
    inside: Array
    heart: Array
    side: Array
    across: Array
    down: Array
    rim: Array
    above: Array
    outer: Array
    front: Array
    base: float
    ratio: float
    hila: tuple[tuple[float, float], tuple[float, float]]
    domes: tuple[float, float]
    each: tuple[Array, Array] | None = None

    @property
    def share(self) -> float:
        """Share of the air under a pixel that one lung has."""
        return 0.5 if self.lateral_view else 1.0

    def lung(self, side: int) -> Array:
        """Where one lung is seen, 0..1."""
        if self.each is not None:
            return self.each[side > 0]
        return self.inside * (self.side == side)

    def spot(self, side: int, across: float, depth: float, down: float) -> tuple[float, float]:
        """Body coordinates of a place in one lung.

        Args:
            across: 0 at the midline to 1 at the wall; depth: 0 at the sternum to 1 at the back.
            down: 0 at the apex to 1 at the dome.
        """
        y = APEX + down * (self.base - APEX)
        row = min(len(self.outer) - 1, max(0, int((y - LOW) / (HIGH - LOW) * len(self.outer))))
        far = float(self.outer[row])
        if not self.lateral_view:
            return side * across * far, y
        near = float(self.front[row])
        return near + depth * (far - near), y
