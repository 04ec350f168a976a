"""The torso of a patient as a frontal radiograph sees it: lungs, mediastinum, bones and soft tissue, projected."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from benchmark.data.phantom import fields
from benchmark.data.phantom.fields import Array, Grid, edge, ellipse, unit
from benchmark.data.phantom.raster import LOW, Steps, profile, steps, table, texture, window
from benchmark.data.phantom.torso import APEX, Change, Patient, Pose

_REACH = 3.2  # of the tables


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
        row = min(len(self.outer) - 1, max(0, int((y - LOW) / _REACH * len(self.outer))))
        far = float(self.outer[row])
        if not self.lateral_view:
            return side * across * far, y
        near = float(self.front[row])
        return near + depth * (far - near), y


def project(patient: Patient, pose: Pose, change: Change, grid: Grid) -> Chest:
    """The chest of a patient, as the findings of one study bend it, in one frontal exposure."""
    size = len(grid.row)
    at = steps(grid.y, size)
    base = patient.base + 0.09 * change.flat - pose.breath
    width = patient.width * (1 + 0.03 * change.flat)
    outer_line = profile(_OUTER_AT, np.array(_OUTER) * (width / 0.66), at.length, 0.012)
    outer = outer_line.take(at.index)
    inner = table((-0.78, -0.74, -0.70, -0.60, -0.40), (0.23, 0.15, 0.10, 0.06, 0.03), at, 0.015)
    slope = np.gradient(outer_line, _REACH / at.length).astype(np.float32)
    lateral = np.abs(grid.x)
    side = np.where(grid.x < 0, np.float32(-1), np.float32(1))
    across = lateral / outer
    rim = np.minimum((outer - lateral) * (1 / np.hypot(1, slope)).take(at.index), grid.y - (APEX - 0.012))
    domes = (base - patient.dome_gap / 2 - change.dome_right, base + patient.dome_gap / 2 - change.dome_left)
    above = _floor(domes, change, across, side, size) - grid.y
    walls = edge(rim, 0.010, grid) * edge(lateral - inner, 0.015, grid)
    inside = walls * edge(above, 0.010, grid)
    heart, ratio, limits = _middle(patient, pose, change, grid, at, base, width)
    down = (grid.y - APEX) * np.float32(1 / (base - APEX))
    density = 0.56 * (1 + 0.10 * change.flat) * (1 - 0.12 * pose.breath)
    depth = (1 - 0.25 * across**4) * (0.72 + 0.28 * unit(down * 2.2))
    recess = unit(1 + above * np.float32(1 / 0.17))  # lung behind the dome
    air = density * depth * (1 - heart) * walls * (np.maximum(inside, 0.16 * recess * (above < 0)))
    hila = ((-0.155 + limits, -0.10 - change.hilum_right), (0.165 + limits, -0.145 - change.hilum_left))
    chest = Chest(
        lateral_view=False, supine=pose.supine, grid=grid, solid=air, air=air, vessels=air, inside=inside, heart=heart,
        side=side, across=across, down=down, rim=rim, above=above, outer=outer_line, front=outer_line, base=base,
        ratio=ratio, hila=hila, domes=domes,
    )  # fmt: skip
    vessels = _vessels(patient, chest, change) * walls
    return replace(chest, solid=_solid(patient, pose, change, chest, at, width), vessels=vessels)


_OUTER_AT = (-0.78, -0.765, -0.745, -0.72, -0.66, -0.55, -0.40, -0.20, 0.05, 0.30, 0.60)
_OUTER = (0.22, 0.27, 0.315, 0.355, 0.42, 0.49, 0.56, 0.62, 0.655, 0.665, 0.65)


def _floor(domes: tuple[float, float], change: Change, across: Array, side: Array, size: int) -> Array:
    """Height of the diaphragm at every pixel."""
    round_dome = np.array([0.05, 0.02, 0.0, 0.02, 0.075, 0.135, 0.20, 0.26])
    flat_dome = np.array([0.02, 0.01, 0.0, 0.0, 0.02, 0.045, 0.075, 0.10])
    flat = min(change.flat, 1.0)
    place = steps(across, size)
    at = (0.0, 0.2, 0.42, 0.62, 0.78, 0.89, 0.97, 1.05)
    bowl = table(at, (1 - flat) * round_dome + flat * flat_dome, place, 0.03)
    right, left = domes
    floor = bowl + ((left + right) / 2 + side * np.float32((left - right) / 2))
    if change.sulcus_right or change.sulcus_left:
        deep = np.where(side < 0, np.float32(change.sulcus_right), np.float32(change.sulcus_left))
        floor = floor + deep * unit((across - 0.72) * 4) ** 2
    return floor


def _middle(
    patient: Patient, pose: Pose, change: Change, grid: Grid, at: Steps, base: float, width: float
) -> tuple[Array, float, float]:
    """Shadow of heart and great vessels, 0..1; the cardiothoracic ratio; how far the middle is shifted."""
    magnified = 1.11 if pose.view == "AP" else 1.0
    ratio = (patient.ratio + change.heart) * magnified * (
        1 - 0.20 * min(change.flat, 1.0)
    ) + 0.25 * pose.breath
    wide = ratio * 2 * width
    right, left = 0.33 * wide, 0.67 * wide
    vein = 0.012 * (pose.view == "AP") + 0.06 * max(0.0, change.heart)
    knob, bulge = 0.078 + patient.knob, 0.05 * patient.unfolded
    low = np.array([0.0, 0.3, 0.55, 0.8, 0.95, 1.1, 1.35]) * (base + 0.07) - 0.07
    upper = (-1.2, -0.85, -0.62, -0.47, -0.36, -0.265, -0.17)
    to_left = 0.135 + (left - 0.135) * np.array([0.0, 0.30, 0.68, 0.95, 1.0, 0.92, 0.6])
    to_right = 0.10 + (right - 0.10) * np.array([0.0, 0.50, 0.88, 1.0, 0.9, 0.7, 0.4])
    left_line = [
        0.16,
        0.10,
        0.075 + vein,
        0.085 + vein,
        knob + vein,
        0.090 + vein,
        0.118 + bulge * 0.6,
        *to_left,
    ]
    right_line = [0.16, 0.11, 0.078 + vein, 0.074 + vein, 0.080 + vein, 0.088 + vein, 0.094 + vein, *to_right]
    left_line[7] += bulge * 0.4
    heights = (*upper, *low)
    shift = 0.07 * pose.turn + change.shift
    middle = grid.x - np.float32(shift)
    border = np.where(middle > 0, table(heights, left_line, at, 0.022), table(heights, right_line, at, 0.022))
    away = border - np.abs(middle)
    shadow = edge(away, 0.012, grid) * (0.80 + 0.13 * unit(away * 9))
    return shadow, ratio, shift


def _solid(patient: Patient, pose: Pose, change: Change, chest: Chest, at: Steps, width: float) -> Array:
    """Attenuation of the body as if the lungs had no air."""
    grid = chest.grid
    lateral = np.abs(grid.x)
    inside, depth = _outline(patient, pose, grid, at, lateral, width)
    belly = edge(-chest.above, 0.08, grid)
    soft = (0.40 + 0.9 * (patient.wall - 0.13)) + 0.38 * depth + 0.13 * belly + 0.10 * chest.heart
    soft -= 0.09 * unit((grid.y + 0.45) * -2) * depth  # the neck and shoulders' middle is thinner
    if patient.breast:
        soft += 0.9 * patient.breast * _breasts(patient, grid, width)
    soft -= 0.13 * _airway(pose, change, grid)
    bone = 0.125 * _ribs(patient, chest, grid, lateral)
    bone += 0.12 * _girdle(patient, pose, grid, width, lateral) + 0.10 * _spine(patient, grid)
    total = inside * (soft + patient.bone * bone)
    _gas(patient, chest, total)
    _chalk(patient, pose, change, grid, total)
    return total


def _outline(
    patient: Patient, pose: Pose, grid: Grid, at: Steps, lateral: Array, width: float
) -> tuple[Array, Array]:
    """The body, 0..1, and its depth relative to the deepest."""
    trunk, lift = width + patient.wall, patient.shoulder
    heights = [
        -1.3,
        -0.98,
        -0.90 + lift,
        -0.82 + lift,
        -0.74 + lift,
        -0.62,
        -0.45,
        -0.28,
        -0.10,
        0.2,
        0.5,
        1.0,
    ]
    widths = [
        0.19,
        0.21,
        0.30,
        0.52,
        0.80,
        1.0,
        1.06,
        trunk + 0.16,
        trunk + 0.03,
        trunk,
        trunk - 0.02,
        trunk - 0.05,
    ]
    half = table(heights, widths, at, 0.04)
    inside = edge(half - lateral, 0.012, grid)
    if pose.view == "AP":  # the arms hang beside the trunk
        center = trunk + 0.22 + 0.1 * (0.4 - grid.y)
        arm = edge(0.15 - np.abs(lateral - center), 0.02, grid) * edge(grid.y + 0.5, 0.1, grid)
        inside = np.maximum(inside, 0.75 * arm)
    depth = np.sqrt(unit(1 - (lateral * np.float32(1 / (trunk + 0.04))) ** 2) + np.float32(0.02))
    return inside, depth


def _breasts(patient: Patient, grid: Grid, width: float) -> Array:
    """Added soft tissue, 0..1, with its sharp lower border."""
    half = replace(grid, x=np.abs(grid.x))
    center = (0.66 * width, 0.16 + patient.breast_drop)
    shape = ellipse(half, center, (0.31, 0.27 + 0.3 * patient.breast), 0.25)
    lower = unit((grid.y - patient.breast_drop + 0.12) * 2.4)
    breasts: Array = np.sqrt(unit(shape * 4.5)) * lower
    return breasts


def _airway(pose: Pose, change: Change, grid: Grid) -> Array:
    """Trachea and main bronchi, which are dark."""
    middle = grid.x + np.float32(0.012 - 0.06 * pose.turn - 0.8 * change.shift)
    away = np.abs(middle)
    tube = edge(0.036 - away, 0.014, grid) * edge(-0.27 - grid.y, 0.03, grid)
    # the right main bronchus falls steeply, the left one less
    drop = np.where(middle < 0, np.float32(0.95), np.float32(0.62))
    bronchi = edge(0.019 - np.abs(grid.y + 0.28 - drop * away) * 0.75, 0.012, grid) * edge(
        0.16 - away, 0.03, grid
    )
    return np.maximum(tube, 0.65 * bronchi)


def _ribs(patient: Patient, chest: Chest, grid: Grid, lateral: Array) -> Array:
    """Posterior and anterior halves of the ribs: bands that meet at the chest wall."""
    wall = np.minimum(chest.across * np.float32(0.97), 1.06)
    turn = np.sqrt(np.maximum(1 - wall * wall, 0) + np.float32(0.002))
    level = grid.y + 0.12 * grid.y * grid.y  # the lower ribs lie further apart
    drop = np.float32(patient.rib_drop) * (1 + 0.6 * grid.y)
    back = level - drop * (0.35 * wall + 1 - turn)
    front = level - drop * (1.35 + 1.7 * turn - 0.25 * wall)
    gap = patient.rib_gap
    steep = 1 / np.sqrt(1 + (drop * wall / np.maximum(turn, 0.18)) ** 2)
    posterior = rib_bands(back, gap, patient.rib_phase, 0.031, grid, steep)
    anterior = rib_bands(front, gap, patient.rib_phase + 0.3, 0.034, grid, steep)
    cage = edge(1.05 - chest.across, 0.02, grid) * edge(grid.y + 0.70, 0.04, grid)
    cage *= 1 - 0.65 * edge(-chest.above - 0.06, 0.06, grid)
    bony = unit((wall - 0.40) * 4)  # in front the ribs end as cartilage
    bony = bony * (0.62 * edge(0.34 - grid.y, 0.12, grid))
    total = posterior * (edge(lateral - 0.075, 0.015, grid) * (0.85 + 0.35 * unit((wall - 0.7) * 3.3)))
    return (total + anterior * bony) * cage


def rib_bands(level: Array, gap: float, phase: float, half: float, grid: Grid, steep: Array) -> Array:
    """Bands of half width ``half`` around whole phases, with a brighter rim as of cortical bone."""
    turns = level * np.float32(1 / gap) + np.float32(phase)
    away = np.abs(turns - np.round(turns)) * (np.float32(gap) * steep)
    part = np.minimum(away * np.float32(1 / half), 1)
    return edge(half - away, 0.006, grid) * (0.68 + 0.32 * part * part * part)


def _girdle(patient: Patient, pose: Pose, grid: Grid, width: float, lateral: Array) -> Array:
    """Clavicles, scapulae and the heads of the humeri."""
    lift = patient.shoulder * 0.6 + (-0.05 if pose.view == "AP" else 0.0)
    line = -0.545 + lift - 0.20 * lateral + 0.030 * np.sin(6.5 * lateral - 0.6)
    away = np.abs(grid.y - line)
    thick = 0.030 - 0.006 * unit(lateral * 1.5)
    clavicle = edge(thick - away, 0.006, grid) * (0.62 + 0.38 * np.minimum((away / thick) ** 2, 1))
    clavicle *= edge(lateral - 0.06, 0.02, grid) * edge(0.84 - lateral, 0.03, grid)
    half = replace(grid, x=lateral)
    blade_x = width + 0.20 - 0.20 * pose.arms
    distance = ellipse(half, (blade_x, -0.36 + lift), (0.135, 0.31), -0.20)
    blade = edge(distance, 0.012, grid) * (0.35 + 0.4 * edge(0.022 - distance, 0.01, grid))
    spine = edge(0.020 - np.abs(grid.y + 0.56 - lift + 0.35 * (lateral - blade_x)), 0.01, grid) * edge(
        0.20 - np.abs(lateral - blade_x - 0.04), 0.03, grid
    )
    joint = ellipse(half, (width + 0.33, -0.60 + lift), (0.11, 0.12))
    head = edge(joint, 0.010, grid)
    shaft = edge(0.06 - np.abs(lateral - width - 0.37 - 0.12 * (grid.y + 0.5)), 0.01, grid) * edge(
        grid.y + 0.55 - lift, 0.05, grid
    )
    return clavicle + 0.55 * blade + 0.30 * spine + 0.8 * np.maximum(head, 0.9 * shaft)


def _spine(patient: Patient, grid: Grid) -> Array:
    """The vertebral column with its discs, pedicles and spinous processes."""
    bend = np.float32(patient.scoliosis) * np.sin(3.0 * grid.y + 6 * patient.rib_phase)
    away = np.abs(grid.x - bend)
    turns = grid.y * np.float32(1 / (0.98 * patient.rib_gap)) + np.float32(patient.pedicle)
    part = np.abs(turns - np.round(turns))
    disc = edge(0.12 - part, 0.05, grid)
    column = edge(0.082 + 0.012 * disc - away, 0.010, grid) * (1 - 0.38 * disc)
    pedicle = edge(0.22 - np.abs(part - 0.32), 0.05, grid) * edge(0.014 - np.abs(away - 0.056), 0.008, grid)
    return column + 0.35 * pedicle + 0.30 * edge(0.016 - away, 0.008, grid) * (1 - disc)


def _vessels(patient: Patient, chest: Chest, change: Change) -> Array:
    """Share of the air that branching vessels, hila and fine tissue take, 0..1."""
    rng = np.random.default_rng([patient.seed, 1])
    grid = chest.grid
    thick = 0.031 * patient.vessel * (1 - 0.35 * min(change.flat, 1.0))
    trees = []
    for side, (x, y) in zip((-1, 1), chest.hila, strict=True):
        fan = np.linspace(-1.45, 1.55, 9) + rng.normal(0, 0.13, 9)
        start = np.array([x, y]) + rng.normal(0, 0.018, (9, 2))
        start[:, 1] += 0.075 * np.linspace(-1, 1, 9)
        start[:, 0] += side * 0.03 * np.cos(fan)
        # upright, blood goes to the bases
        gravity = np.where(fan < -0.2, 0.80 + 0.55 * change.upper_vessels + 0.2 * chest.supine, 1.08)
        trees.append(branch(rng, start, fan if side > 0 else np.pi - fan, thick * gravity))
    total = np.zeros_like(chest.air)
    for layers, width in zip(zip(*trees, strict=True), (0.022, 0.012, 0.007), strict=True):
        points, amount = (np.concatenate(part) for part in zip(*layers, strict=True))
        total += fields.ink(points, amount, width, grid)
    for side, (x, y) in zip((-1, 1), chest.hila, strict=True):
        found = window(grid, (x, y), 0.25)
        if found:
            where, part = found
            knot = edge(ellipse(part, (x + 0.012 * side, y + 0.02), (0.042, 0.10), 0.35 * side), 0.03, part)
            total[where] += 0.016 * patient.vessel * knot
    share = np.minimum(np.maximum(total * 9.0 + fine_tissue(rng, grid, chest.down), 0), 0.6)
    for _ in range(patient.granulomas):  # old healed scars: dense dots that are no finding
        spot = chest.spot(int(rng.choice([-1, 1])), rng.uniform(0.2, 0.9), 0.5, rng.uniform(0.1, 0.9))
        radius = rng.uniform(0.012, 0.024)
        found = window(grid, spot, 2 * radius + 0.02)
        if found:
            where, part = found
            dot = edge(ellipse(part, spot, (radius, radius)), 0.008, part)
            share[where] = np.maximum(share[where], 0.6 * dot)
    return share


def fine_tissue(rng: np.random.Generator, grid: Grid, down: Array) -> Array:
    """Share of the air of vessels and septa that are too fine to follow."""
    return (0.045 + 0.035 * texture(rng, grid, 0.035)) * (0.7 + 0.3 * unit(down * 2))


def branch(rng: np.random.Generator, start: Array, angles: Array, width: Array) -> list[tuple[Array, Array]]:
    """Vessels that fork twice; points and amounts by generation, for :func:`fields.ink`."""
    layers, at, length = [], start, 0.19
    ramp = np.linspace(0, 1, 12)
    for _ in range(3):
        n = len(angles)
        reach = length * rng.uniform(0.65, 1.35, n)
        heading = angles[:, None] + rng.normal(0, 0.40, n)[:, None] * ramp
        step = reach[:, None] / len(ramp)
        path = at[:, None, :] + np.stack([np.cos(heading) * step, np.sin(heading) * step], -1).cumsum(1)
        taper = width[:, None] * (1 - 0.3 * ramp)
        layers.append((path.reshape(-1, 2), (step * taper**2).ravel()))
        fork = rng.uniform(0.15, 0.65, (2, n)) * np.array([[1], [-1]])
        angles = (heading[:, -1] + fork).ravel()
        split = rng.uniform(0.55, 0.75, (2, n))
        width = (width * split).ravel()
        at = np.concatenate([path[:, -1], path[:, -4]])
        length *= 0.78
    return layers


def _gas(patient: Patient, chest: Chest, total: Array) -> None:
    """Gas in the stomach and in the colon, dark under the diaphragm, in place."""
    rng = np.random.default_rng([patient.seed, 3])
    grid, left = chest.grid, chest.domes[1]
    spots = []
    if patient.stomach > 0.35:
        grow = 0.06 + 0.09 * patient.stomach
        spots.append(((0.30, left + 0.10 + 0.5 * grow), (grow * 1.2, 0.6 * grow), -0.15, 0.24))
    for _ in range(patient.colon):
        x = rng.uniform(-0.55, 0.55)
        spots.append(((x, left + rng.uniform(0.22, 0.5)), (rng.uniform(0.04, 0.12), rng.uniform(0.03, 0.06)),
                      rng.normal(0, 0.5), rng.uniform(0.08, 0.2)))  # fmt: skip
    for center, axes, angle, depth in spots:
        found = window(grid, center, max(axes) + 0.05)
        if found:
            where, part = found
            hole = edge(ellipse(part, center, axes, angle), 0.014, part)
            total[where] -= depth * hole * edge(-chest.above[where] - 0.015, 0.01, part)


def _chalk(patient: Patient, pose: Pose, change: Change, grid: Grid, total: Array) -> None:
    """Calcified arch of an old aorta: a thin bright arc at the knob, in place."""
    if patient.calcified < 0.1:
        return
    center = (0.045 + 0.07 * pose.turn + change.shift, -0.36)
    found = window(grid, center, 0.2)
    if found:
        where, part = found
        radius = 0.036 + patient.knob * 0.9
        arc = edge(0.007 - np.abs(ellipse(part, center, (radius, radius * 1.05))), 0.004, part)
        total[where] += 0.16 * patient.calcified * arc * edge(part.x - center[0] - 0.01, 0.02, part)
