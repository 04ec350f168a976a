"""The body without a finding: the sizes of one patient, and the projected tissue of one exposure."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from benchmark.data.phantom import fields
from benchmark.data.phantom.fields import Array, Grid, edge, ellipse, unit

APEX = -0.76  # of the lungs, body units
HILUM_X, HILUM_Y = 0.15, -0.07


@dataclass(frozen=True)
class Body:
    """One patient's sizes; lengths in body units (about 20 cm), the rest relative to the average.

    ``seed`` draws what is too fine to name (vessels, old scars), the same in every study.
    """

    sex: str
    age: int
    seed: int
    lung_width: float
    lung_base: float
    wall: float
    shoulder: float
    heart: float
    heart_tilt: float
    knob: float
    breast: float
    breast_drop: float
    rib_gap: float
    rib_phase: float
    rib_slope: float
    bone: float
    scoliosis: float
    stomach: float
    emphysema: float
    vessel: float
    granulomas: int


@dataclass(frozen=True)
class Pose:
    """How the patient stands or lies in one exposure.

    Attributes:
        view: ``AP`` or ``PA``.
        breath: rise of the diaphragm, body units.
        turn: rotation about the long axis; shifts what lies in the middle.
        arms: how far the scapulae lie over the lungs, 0..1.
        plates: thin bands of collapsed lung at the bases, as after a shallow breath.
    """

    view: str
    breath: float
    turn: float
    arms: float
    plates: int


@dataclass(frozen=True, eq=False)
class Lungs:
    """Where the lungs are.

    Attributes:
        inside: (S, S) 0..1.
        side: (S, S) -1 in the patient's right lung (left in the image), +1 in the left.
        across: 0 at the midline to 1 at the chest wall.
        down: 0 at the apex to 1 at the dome of the diaphragm.
        free: (S, S) 0..1, the part of the thickness that heart and mediastinum leave to air.
    """

    grid: Grid
    inside: Array
    side: Array
    across: Array
    down: Array
    free: Array
    width: float
    base: float

    def place(self, side: int, across: float, down: float) -> tuple[float, float]:
        """Body coordinates of a point given in lung coordinates."""
        y = APEX + down * (self.base - APEX)
        return side * across * float(_outer(np.array(down), self.width)), y


@dataclass(frozen=True, eq=False)
class Tissue:
    """Attenuation by layer, each (S, S): ``air`` is what the lungs take away, ``solid`` is all else.

    ``vessels`` is the share of the air that blood takes.
    """

    solid: Array
    air: Array
    vessels: Array


def sample_body(rng: np.random.Generator, sex: str, age: int) -> Body:
    """Draw a patient's sizes given sex and age."""
    male, old = sex == "male", (age - 50) / 20
    habitus = rng.normal()
    return Body(
        sex=sex,
        age=age,
        seed=int(rng.integers(2**31)),
        lung_width=float(np.clip((0.66 if male else 0.62) * np.exp(0.05 * rng.normal()), 0.54, 0.76)),
        lung_base=0.40 + 0.05 * rng.normal() - 0.02 * habitus,
        wall=float(np.clip(0.14 + 0.05 * habitus, 0.07, 0.28)),
        shoulder=rng.uniform(-0.06, 0.06),
        heart=float(np.exp(0.03 * max(old, -1) + 0.03 * habitus + 0.07 * rng.normal())),
        heart_tilt=rng.normal(0.55, 0.10),
        knob=float(np.clip(0.080 + 0.010 * old + 0.008 * rng.normal(), 0.05, 0.12)),
        breast=0.0 if male else float(np.clip(0.13 + 0.03 * habitus + 0.04 * rng.normal(), 0.03, 0.26)),
        breast_drop=float(np.clip(rng.normal(0.02, 0.05) + 0.04 * old, -0.1, 0.15)),
        rib_gap=rng.normal(0.150, 0.006),
        rib_phase=rng.uniform(0, 1),
        rib_slope=float(np.clip(rng.normal(0.32, 0.06), 0.15, 0.5)),
        bone=float(np.exp(-0.1 * max(old, 0) + 0.12 * rng.normal())),
        scoliosis=rng.normal(0, 0.018),
        stomach=rng.uniform(0, 1),
        emphysema=max(0.0, rng.normal(-0.3 + 0.2 * old, 0.4)),
        vessel=float(np.exp(0.15 * rng.normal())),
        granulomas=int(rng.poisson(0.15)),
    )


def _outer(down: Array, width: float) -> Array:
    """Distance of the chest wall from the midline, by lung height."""
    up = unit(1 - down)
    return 0.27 + (width - 0.27) * np.sqrt(1 - up**2.1)


def _smooth(t: Array) -> Array:
    t = unit(t)
    return t * t * (3 - 2 * t)


def find_lungs(body: Body, pose: Pose, grid: Grid) -> Lungs:
    """The two lungs of a patient in one exposure."""
    base = body.lung_base + 0.05 * body.emphysema - pose.breath
    side = np.where(grid.x < 0, np.float32(-1), np.float32(1))
    lateral = np.abs(grid.x)
    down = (grid.y - APEX) / (base - APEX)
    outer = _outer(down, body.lung_width)
    across = lateral / outer
    near = unit(1 - down / 0.24)
    inner = 0.06 + 0.20 * (1 - np.sqrt(1 - near**2))
    # the dome: higher on the right, falling to the costophrenic angle and a little to the heart
    flat = 1 - 0.6 * min(body.emphysema, 1.0)
    fall = unit(across - 0.42) ** 2 * (0.62 * flat) + unit(0.42 - across) ** 2 * 0.3
    floor = base + 0.02 + 0.02 * side + fall
    inside = edge(outer - lateral, 0.012, grid) * edge(lateral - inner, 0.02, grid)
    inside *= edge(floor - grid.y, 0.012, grid) * edge(grid.y - APEX, 0.015, grid)
    middle = np.maximum(_heart(body, pose, grid, base), _mediastinum(body, pose, grid))
    return Lungs(grid, inside, side, across, down, 1 - 0.90 * middle, body.lung_width, base)


def _heart(body: Body, pose: Pose, grid: Grid, base: float) -> Array:
    """Shadow of the heart, 0..1: the left ventricle lies on the diaphragm, the atrium to its right."""
    scale = body.heart * (1.13 if pose.view == "AP" else 1.0)
    shift = 0.12 * pose.turn
    left = ellipse(grid, (0.12 + shift, base - 0.12), (0.33 * scale, 0.21 * scale), body.heart_tilt)
    right = ellipse(grid, (-0.02 + shift, base - 0.15), (0.175 * scale, 0.25 * scale), 0.12)
    waist = ellipse(grid, (0.08 + shift, base - 0.33), (0.125 * scale, 0.22 * scale), -0.35)
    return edge(np.maximum(np.maximum(left, right), waist), 0.016, grid)


def _mediastinum(body: Body, pose: Pose, grid: Grid) -> Array:
    """Shadow of the great vessels and the aortic knob, 0..1."""
    wide = (1.2 if pose.view == "AP" else 1.0) * (0.105 + 0.02 * (body.heart - 1))
    flare = 0.10 * unit(-0.45 - grid.y)
    middle = grid.x - 0.1 * pose.turn
    band = edge(wide + flare - np.abs(middle), 0.018, grid)
    knob = edge(ellipse(grid, (0.075 + 0.1 * pose.turn, -0.34), (body.knob, body.knob * 1.15)), 0.012, grid)
    descending = edge(ellipse(grid, (0.09 + 0.1 * pose.turn, -0.12), (0.075, 0.26)), 0.03, grid)
    return np.maximum(np.maximum(band, knob), 0.85 * descending)


def _ribs(body: Body, lungs: Lungs) -> Array:
    """Posterior and anterior ribs: two sets of evenly spaced sloping bands."""
    grid, across = lungs.grid, np.clip(lungs.across, 0, 1.25)
    level = grid.y + 0.10 * grid.y * grid.y
    cage = edge(1.10 - across, 0.02, grid) * edge(across - 0.10, 0.02, grid)
    cage *= edge(grid.y + 0.68, 0.05, grid) * edge(0.62 - grid.y, 0.08, grid)
    cage *= 1 - 0.5 * edge(lungs.down - 1.05, 0.06, grid)  # faint through the belly
    back = level - body.rib_slope * (across - 0.18) ** 2
    front = level - 1.5 * body.rib_slope * (1 - across) + 0.3 * (1 - across) ** 2
    gap, phase = body.rib_gap, body.rib_phase
    total = _bands(back / gap + phase, gap, 0.029, grid)
    total *= 1 + 0.45 * unit((across - 0.75) / 0.25)  # seen edge-on at the chest wall
    bony = unit((across - 0.45) * 4)
    return (total + 0.55 * bony * _bands(front / gap + phase + 0.45, gap, 0.034, grid)) * cage


def _bands(phase: Array, gap: float, half: float, grid: Grid) -> Array:
    """Bands of half width ``half`` around whole phases, with a brighter rim as of cortical bone."""
    away = np.abs(phase - np.round(phase)) * gap
    rim = 0.7 + 0.3 * np.minimum((away / half) ** 2, 1)
    return edge(half - away, 0.008, grid) * rim


def _mirrored(grid: Grid, middle: float = 0.0) -> Grid:
    """The grid with both halves of the body laid on one another."""
    return replace(grid, x=np.abs(grid.x - middle))


def _girdle(body: Body, pose: Pose, grid: Grid) -> Array:
    """Clavicles, scapulae and the heads of the humeri."""
    half = _mirrored(grid, 0.05 * pose.turn)
    lift = body.shoulder + (-0.06 if pose.view == "AP" else 0.0)
    line = -0.60 + lift - 0.16 * half.x + 0.04 * np.sin(6.0 * half.x)
    away = np.abs(grid.y - line)
    clavicle = edge(0.027 - away, 0.008, grid) * (0.65 + 0.35 * np.minimum((away / 0.027) ** 2, 1))
    clavicle *= edge(half.x - 0.07, 0.02, grid) * edge(0.86 - half.x, 0.03, grid)
    blade_x = body.lung_width + 0.17 - 0.17 * pose.arms
    blade = edge(ellipse(half, (blade_x, -0.36 + lift), (0.12, 0.30), -0.22), 0.02, grid)
    head = edge(ellipse(half, (body.lung_width + 0.33, -0.62 + lift), (0.12, 0.13)), 0.012, grid)
    return clavicle + 0.28 * blade + 0.8 * head


def _spine(body: Body, grid: Grid) -> Array:
    """The vertebral column with its discs and spinous processes."""
    away = np.abs(grid.x - body.scoliosis * np.sin(3.0 * grid.y + 6 * body.rib_phase))
    level = grid.y / (0.92 * body.rib_gap) + body.rib_phase
    disc = edge(0.13 - np.abs(level - np.round(level)), 0.07, grid)
    body_of = edge(0.085 - away, 0.014, grid) * (1 - 0.3 * disc)
    return body_of + 0.25 * edge(0.018 - away, 0.012, grid)


def _outline(body: Body, grid: Grid) -> tuple[Array, Array]:
    """The body, 0..1, and its depth relative to the deepest."""
    lateral = np.abs(grid.x)
    half = body.lung_width + body.wall + 0.45 * _smooth((-0.22 - grid.y) / 0.40)
    half = half - 0.08 * unit(grid.y - 0.35)
    neck_side = unit((lateral - 0.22) / 0.30)
    shoulder = -1.30 + body.shoulder + 0.45 * _smooth(neck_side) + 0.35 * np.clip(lateral - 0.5, 0, 2) ** 1.5
    inside = edge(half - lateral, 0.012, grid) * edge(grid.y - shoulder, 0.02, grid)
    depth = np.sqrt(unit(1 - (lateral / (half + 0.03)) ** 2))
    return inside, depth


def _breasts(body: Body, grid: Grid) -> Array:
    """Added soft tissue, 0..1, with its sharp lower border."""
    center = (0.66 * body.lung_width, 0.18 + body.breast_drop)
    shape = ellipse(_mirrored(grid), center, (0.30, 0.27), 0.2)
    lower = unit((grid.y - body.breast_drop + 0.05) * 3)
    return unit(shape * 5) ** 0.6 * lower


def _vessels(body: Body, lungs: Lungs) -> Array:
    """Share of the air that branching vessels and the hila take, 0..1."""
    rng = np.random.default_rng([body.seed, 1])
    trees = []
    for side in (-1, 1):
        fan = np.linspace(-1.3, 1.4, 9) + rng.normal(0, 0.15, 9)
        start = np.array([side * HILUM_X, HILUM_Y + 0.03 * (side < 0)]) + rng.normal(0, 0.02, (9, 2))
        start[:, 1] += 0.09 * np.linspace(-1, 1, 9)
        angles = fan if side > 0 else np.pi - fan
        trees.append(fields.branches(rng, start, angles, 0.20, 3, 0.029 * body.vessel))
    total = np.zeros_like(lungs.inside)
    for layers, width in zip(zip(*trees, strict=True), (0.024, 0.013, 0.008), strict=True):
        points, amount = (np.concatenate(part) for part in zip(*layers, strict=True))
        total += fields.ink(points, amount, width, lungs.grid)
    for side in (-1, 1):
        hilum = ellipse(lungs.grid, (side * (HILUM_X + 0.02), HILUM_Y), (0.055, 0.12), 0.3 * side)
        total += 0.013 * edge(hilum, 0.04, lungs.grid)
    share = np.minimum(total * (12.0 / (1 + 0.5 * body.emphysema)), 0.6)
    for _ in range(body.granulomas):  # old healed scars: dense dots that are no finding
        spot = lungs.place(int(rng.choice([-1, 1])), rng.uniform(0.2, 0.9), rng.uniform(0.1, 0.9))
        radius = rng.uniform(0.014, 0.03)
        share = np.maximum(share, 0.55 * edge(ellipse(lungs.grid, spot, (radius, radius)), 0.01, lungs.grid))
    return share * lungs.inside


def _plates(body: Body, pose: Pose, lungs: Lungs) -> Array:
    """Plate-like collapse at the bases: a nuisance in every class, 0..1."""
    rng = np.random.default_rng([body.seed, 2, pose.plates])
    total = np.zeros_like(lungs.inside)
    for _ in range(pose.plates):
        spot = lungs.place(int(rng.choice([-1, 1])), rng.uniform(0.45, 0.8), rng.uniform(0.75, 0.97))
        line = ellipse(
            lungs.grid, spot, (rng.uniform(0.08, 0.18), rng.uniform(0.010, 0.022)), rng.normal(0, 0.3)
        )
        total = np.maximum(total, 0.4 * edge(line, 0.01, lungs.grid))
    return total


def _airway(pose: Pose, grid: Grid) -> Array:
    """Trachea and main bronchi, which are dark."""
    half = _mirrored(grid, -0.01 + 0.08 * pose.turn)
    tube = edge(0.035 - half.x, 0.014, grid) * edge(-0.26 - grid.y, 0.02, grid)
    bronchi = edge(0.020 - 0.7 * np.abs(grid.y + 0.27 - half.x), 0.014, grid) * edge(
        0.15 - half.x, 0.03, grid
    )
    return np.maximum(tube, 0.6 * bronchi)


def project(body: Body, pose: Pose, lungs: Lungs) -> Tissue:
    """Attenuation of every layer of a patient without a finding."""
    grid = lungs.grid
    inside, depth = _outline(body, grid)
    belly = edge(grid.y - lungs.base, 0.10, grid)
    soft = 0.42 + 0.40 * depth + 0.9 * (body.wall - 0.14) + 0.10 * belly
    soft += 0.9 * body.breast * _breasts(body, grid) - 0.10 * _airway(pose, grid)
    if body.stomach > 0.45:
        axes = (0.06 + 0.10 * body.stomach, 0.045 + 0.04 * body.stomach)
        soft -= 0.24 * edge(ellipse(grid, (0.30, lungs.base + 0.20), axes), 0.016, grid)
    bone = 0.12 * _ribs(body, lungs) + 0.13 * _girdle(body, pose, grid) + 0.11 * _spine(body, grid)
    profile = (1 - 0.22 * lungs.across**4) * (0.80 + 0.20 * unit(lungs.down * 3))
    density = 0.55 * (1 + 0.10 * body.emphysema)
    air = density * lungs.inside * profile * lungs.free
    vessels = np.maximum(_vessels(body, lungs), _plates(body, pose, lungs))
    return Tissue(inside * (soft + body.bone * bone), air, vessels)
