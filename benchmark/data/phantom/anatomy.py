"""The body without a finding: sizes of one patient, and the projected tissue of one exposure."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from benchmark.data.phantom import fields
from benchmark.data.phantom.fields import Array, Grid, edge, ellipse

APEX = -0.74  # of the lungs, body units
HILUM_X, HILUM_Y = 0.16, -0.06


@dataclass(frozen=True)
class Body:
    """One patient's sizes; lengths in body units (about 20 cm), amounts in attenuation.

    ``seed`` draws what is too fine to name (vessels, texture), the same in every study.
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
    """How the patient stands or lies in one exposure."""

    view: str
    breath: float  # rise of the diaphragm, body units
    turn: float  # rotation about the long axis, shifts the midline structures
    arms: float  # scapulae over the lungs, 0..1


@dataclass(frozen=True, eq=False)
class Lungs:
    """Where the lungs are.

    Attributes:
        inside: (S, S) 0..1.
        side: (S, S) -1 in the patient's right lung (left in the image), +1 in the left.
        across: 0 at the midline to 1 at the chest wall.
        down: 0 at the apex to 1 at the dome of the diaphragm.
        free: (S, S) 0..1, the part of the thickness not hidden by heart and mediastinum.
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
    """Attenuation by layer, each (S, S): ``air`` is what the lungs take away, ``solid`` all else."""

    solid: Array
    air: Array
    bone: Array
    vessels: Array


def sample_body(rng: np.random.Generator, sex: str, age: int) -> Body:
    """Draw a patient's sizes given sex and age."""
    male, old = sex == "male", (age - 50) / 20
    habitus = rng.normal()
    return Body(
        sex=sex,
        age=age,
        seed=int(rng.integers(2**31)),
        lung_width=float(np.clip((0.66 if male else 0.61) * np.exp(0.05 * rng.normal()), 0.52, 0.76)),
        lung_base=float(0.43 + 0.05 * rng.normal() - 0.02 * habitus),
        wall=float(np.clip(0.13 + 0.05 * habitus, 0.06, 0.28)),
        shoulder=float(rng.uniform(-0.06, 0.06)),
        heart=float(np.exp(0.03 * max(old, -1) + 0.04 * habitus + 0.07 * rng.normal())),
        heart_tilt=float(rng.normal(0.62, 0.12)),
        knob=float(np.clip(0.075 + 0.012 * old + 0.008 * rng.normal(), 0.045, 0.12)),
        breast=0.0 if male else float(np.clip(0.13 + 0.03 * habitus + 0.04 * rng.normal(), 0.03, 0.26)),
        breast_drop=float(np.clip(rng.normal(0.02, 0.05) + 0.04 * old, -0.1, 0.15)),
        rib_gap=float(rng.normal(0.148, 0.006)),
        rib_phase=float(rng.uniform(0, 1)),
        rib_slope=float(rng.normal(0.13, 0.035)),
        bone=float(np.exp(-0.1 * max(old, 0) + 0.12 * rng.normal())),
        scoliosis=float(rng.normal(0, 0.018)),
        stomach=float(rng.uniform(0, 1)),
        emphysema=float(max(0.0, rng.normal(-0.3 + 0.2 * old, 0.4))),
        vessel=float(np.exp(0.25 * rng.normal())),
        granulomas=int(rng.poisson(0.12)),
    )


def _outer(down: Array, width: float) -> Array:
    """Distance of the chest wall from the midline, by lung height."""
    up = np.clip(1 - down, 0, 1).astype(np.float32)
    return np.float32(0.25) + np.float32(width - 0.25) * np.sqrt(1 - up ** np.float32(2.3))


def find_lungs(body: Body, pose: Pose, grid: Grid) -> Lungs:
    """The two lungs of a patient in one exposure."""
    base = body.lung_base + 0.05 * body.emphysema - pose.breath
    side = np.where(grid.x < 0, np.float32(-1), np.float32(1))
    lateral = np.abs(grid.x)
    down = (grid.y - np.float32(APEX)) / np.float32(base - APEX)
    outer = _outer(down, body.lung_width)
    across = lateral / outer
    near = np.clip(1 - down / np.float32(0.28), 0, 1)
    inner = np.float32(0.06) + np.float32(0.19) * (1 - np.sqrt(1 - near**2))
    # the dome: higher on the right, falling to the costophrenic angle and a little to the heart
    flat = 1 - 0.6 * min(body.emphysema, 1.0)
    fall = np.clip(across - 0.42, 0, 1) ** 2 * np.float32(0.62 * flat)
    fall += np.clip(0.42 - across, 0, 1) ** 2 * np.float32(0.3)
    floor = np.float32(base) + np.float32(0.02) + np.float32(0.02) * side + fall
    inside = edge(outer - lateral, 0.012, grid) * edge(lateral - inner, 0.02, grid)
    inside *= edge(floor - grid.y, 0.012, grid) * edge(grid.y - np.float32(APEX), 0.015, grid)
    middle = np.maximum(heart(body, pose, grid, base) * np.float32(0.88), mediastinum(body, pose, grid))
    return Lungs(grid, inside, side, across, down, 1 - middle, body.lung_width, base)


def heart(body: Body, pose: Pose, grid: Grid, base: float) -> Array:
    """Shadow of the heart, 0..1."""
    scale = body.heart * (1.13 if pose.view == "AP" else 1.0)
    shift = 0.12 * pose.turn
    left = ellipse(grid, (0.13 + shift, base - 0.16), (0.32 * scale, 0.215 * scale), body.heart_tilt)
    right = ellipse(grid, (-0.03 + shift, base - 0.19), (0.155 * scale, 0.23 * scale))
    return edge(np.maximum(left, right), 0.014, grid)


def mediastinum(body: Body, pose: Pose, grid: Grid) -> Array:
    """Shadow of the great vessels and the aortic knob, 0..1."""
    wide = (1.25 if pose.view == "AP" else 1.0) * (0.095 + 0.012 * (body.heart - 1))
    flare = 0.05 * np.clip(-0.5 - grid.y, 0, 1) + 0.04 * np.clip(grid.y + 0.2, 0, 1)
    middle = grid.x - np.float32(0.1 * pose.turn)
    band = edge(np.float32(wide) + flare.astype(np.float32) - np.abs(middle), 0.016, grid)
    knob = ellipse(grid, (0.11 + 0.1 * pose.turn, -0.34), (body.knob, body.knob * 1.1))
    arch = edge(knob, 0.012, grid)
    trunk = ellipse(grid, (0.115 + 0.1 * pose.turn, -0.13), (0.08, 0.13), -0.25)
    return np.maximum(np.maximum(band, arch), edge(trunk, 0.02, grid) * np.float32(0.8))


def _ribs(body: Body, lungs: Lungs) -> Array:
    """Posterior and anterior ribs as two sets of evenly spaced sloping bands."""
    grid, across = lungs.grid, np.clip(lungs.across, 0, 1.25)
    gap = np.float32(body.rib_gap)
    stretch = grid.y + np.float32(0.10) * grid.y * grid.y
    back = stretch - np.float32(body.rib_slope * 1.9) * across**2 + np.float32(0.10) * across
    cage = edge(1.12 - across, 0.02, grid) * edge(across - 0.08, 0.02, grid)
    cage *= edge(grid.y + 0.80, 0.03, grid) * edge(0.78 - grid.y, 0.08, grid)
    front = stretch + np.float32(0.30) * (across - 1) ** 2 - np.float32(0.42) * (1 - across)
    bony = np.clip((across - np.float32(0.42)) * 5, 0, 1)
    total = _bands(back / gap + np.float32(body.rib_phase), gap, 0.030, grid)
    total = total * (1 + np.float32(0.5) * np.clip(across - 0.8, 0, 1) / np.float32(0.2))
    total += (
        np.float32(0.6) * bony * _bands(front / gap + np.float32(body.rib_phase + 0.45), gap, 0.034, grid)
    )
    return total * cage


def _bands(phase: Array, gap: float, half: float, grid: Grid) -> Array:
    """Bands of half width ``half`` around whole phases, with a brighter rim as of cortical bone."""
    away = np.abs(phase - np.round(phase)) * np.float32(gap)
    rim = np.float32(0.72) + np.float32(0.28) * np.minimum((away / np.float32(half)) ** 2, 1)
    return edge(np.float32(half) - away, 0.006, grid) * rim


def _girdle(body: Body, pose: Pose, grid: Grid) -> Array:
    """Clavicles, scapulae and the heads of the humeri."""
    lateral = np.abs(grid.x - np.float32(0.05 * pose.turn))
    lift = body.shoulder + (-0.07 if pose.view == "AP" else 0.0)
    line = np.float32(-0.60 + lift) - np.float32(0.17) * lateral
    line += np.float32(0.035) * np.sin(np.float32(6.0) * lateral)
    away = np.abs(grid.y - line)
    clavicle = edge(np.float32(0.030) - away, 0.007, grid)
    clavicle *= edge(lateral - 0.07, 0.02, grid) * edge(0.86 - lateral, 0.03, grid)
    rim = np.float32(0.65) + np.float32(0.35) * np.minimum((away / np.float32(0.03)) ** 2, 1)
    mirrored = Grid(lateral, grid.y, grid.col, grid.row, grid.turn, grid.shift, grid.pixel)
    blade_x = body.lung_width + 0.16 - 0.17 * pose.arms
    blade = edge(ellipse(mirrored, (blade_x, -0.34 + lift), (0.12, 0.30), -0.22), 0.012, grid)
    head = edge(ellipse(mirrored, (body.lung_width + 0.33, -0.60 + lift), (0.13, 0.14)), 0.012, grid)
    return clavicle * rim + np.float32(0.33) * blade + np.float32(0.9) * head


def _spine(body: Body, grid: Grid) -> Array:
    """The vertebral column with its discs."""
    bend = np.float32(body.scoliosis) * np.sin(np.float32(3.0) * grid.y + np.float32(body.rib_phase * 6))
    away = np.abs(grid.x - bend)
    column = edge(np.float32(0.085) - away, 0.012, grid)
    level = grid.y / np.float32(body.rib_gap * 0.92) + np.float32(body.rib_phase)
    disc = edge(np.float32(0.13) - np.abs(level - np.round(level)), 0.07, grid)
    process = edge(np.float32(0.018) - away, 0.010, grid)
    return column * (1 - np.float32(0.28) * disc) + np.float32(0.18) * process


def _outline(body: Body, grid: Grid) -> tuple[Array, Array]:
    """Body in 0..1 and its relative depth."""
    lateral = np.abs(grid.x)
    half = np.float32(body.lung_width + body.wall)
    arm = np.clip((np.float32(-0.28) - grid.y) / np.float32(0.34), 0, 1)
    half = half + np.float32(0.42) * arm * arm * (3 - 2 * arm)
    waist = np.clip(grid.y - np.float32(0.35), 0, 1)
    half = half - np.float32(0.10) * waist
    shoulder = np.float32(-0.97 + body.shoulder) + np.float32(0.42) * np.clip(
        lateral - 0.30, 0, 2
    ) ** np.float32(1.3)
    trunk = edge(half - lateral, 0.012, grid) * edge(grid.y - shoulder, 0.02, grid)
    neck = edge(np.float32(0.27) - lateral, 0.015, grid) * edge(np.float32(-0.8) - grid.y, 0.05, grid)
    inside = np.maximum(trunk, neck)
    depth = np.sqrt(np.clip(1 - (lateral / (half + np.float32(0.03))) ** 2, 0, 1))
    return inside, depth


def _breasts(body: Body, grid: Grid) -> Array:
    """Added soft tissue, with its sharp lower border."""
    lateral = np.abs(grid.x)
    mirrored = Grid(lateral, grid.y, grid.col, grid.row, grid.turn, grid.shift, grid.pixel)
    shape = ellipse(mirrored, (body.lung_width * 0.66, 0.20 + body.breast_drop), (0.30, 0.27), 0.2)
    lower = np.clip((grid.y - np.float32(body.breast_drop - 0.05)) * 3, 0, 1)
    return np.clip(shape * 5, 0, 1) ** np.float32(0.6) * lower


def _vessel_layers(body: Body, lungs: Lungs) -> Array:
    """Branching hilar vessels, thickness in body units."""
    rng = np.random.default_rng([body.seed, 1])
    total = np.zeros_like(lungs.inside)
    trees = []
    for side in (-1, 1):
        fan = np.linspace(-1.25, 1.35, 9) + rng.normal(0, 0.12, 9)
        angles = fan if side > 0 else np.pi - fan
        start = np.array([side * HILUM_X, HILUM_Y + 0.03 * (side < 0)])
        trees.append(fields.branches(rng, start, angles, 0.19, 3, 0.038 * body.vessel))
    for layers, width in zip(zip(*trees, strict=True), (0.024, 0.013, 0.008), strict=True):
        points, amount = (np.concatenate(part) for part in zip(*layers, strict=True))
        total += fields.ink(points, amount, width, lungs.grid)
    for side in (-1, 1):
        hilum = ellipse(lungs.grid, (side * (HILUM_X + 0.01), HILUM_Y), (0.05, 0.11), 0.25 * side)
        total += np.float32(0.026) * edge(hilum, 0.03, lungs.grid)
    return total


def _airway(pose: Pose, grid: Grid) -> Array:
    """Trachea and main bronchi, which are dark."""
    middle = np.float32(-0.01 + 0.08 * pose.turn)
    tube = edge(np.float32(0.033) - np.abs(grid.x - middle), 0.010, grid) * edge(-0.26 - grid.y, 0.02, grid)
    lateral = np.abs(grid.x - middle)
    away = np.abs(grid.y - (np.float32(-0.27) + lateral * np.float32(1.0)))
    bronchi = edge(np.float32(0.024) - away * np.float32(0.7), 0.010, grid) * edge(0.17 - lateral, 0.02, grid)
    return np.maximum(tube, np.float32(0.6) * bronchi)


def project(body: Body, pose: Pose, lungs: Lungs) -> Tissue:
    """Attenuation of every layer of a patient without a finding."""
    grid = lungs.grid
    inside, depth = _outline(body, grid)
    soft = inside * (np.float32(0.42) + np.float32(0.40) * depth + np.float32(0.9 * (body.wall - 0.13)))
    belly = edge(grid.y - np.float32(lungs.base), 0.10, grid)
    soft = soft + inside * belly * np.float32(0.12)
    soft += np.float32(0.9 * body.breast) * _breasts(body, grid)
    middle = 1 - lungs.free
    soft += np.float32(0.10) * middle * inside
    bubble = ellipse(
        grid, (0.30, lungs.base + 0.21), (0.06 + 0.10 * body.stomach, 0.045 + 0.04 * body.stomach)
    )
    if body.stomach > 0.45:
        soft -= np.float32(0.28) * edge(bubble, 0.014, grid)
    soft -= np.float32(0.12) * _airway(pose, grid)
    profile = np.float32(1.0) - np.float32(0.22) * lungs.across**4
    profile *= np.float32(0.80) + np.float32(0.20) * np.clip(lungs.down * 3, 0, 1)
    density = 0.58 * (1 + 0.10 * body.emphysema)
    air = np.float32(density) * lungs.inside * profile * lungs.free
    bone = np.float32(0.095) * _ribs(body, lungs) + np.float32(0.15) * _girdle(body, pose, grid)
    bone += np.float32(0.20) * _spine(body, grid)
    bone *= np.float32(body.bone) * inside
    vessels = np.minimum(_vessel_layers(body, lungs) * np.float32(9.0 / (1 + 0.5 * body.emphysema)), 0.75)
    return Tissue(soft, air, bone, vessels * lungs.inside)
