"""Anatomy of one patient, pose of one exposure, and the lungs that they project."""

from dataclasses import dataclass

import numpy as np

from benchmark.phantoms.canvas.fields import Array, Grid, edge, ellipse, unit

APEX = -0.76  # of the lungs, body units
HILUM_X, HILUM_Y = 0.15, -0.07


@dataclass(frozen=True)
class Body:
    """One patient's anatomy; lengths in body units (about 20 cm), the rest relative to the average.

    ``seed`` decides vessels and old scars, the same in each image of the patient.
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
    """Position of the patient in one exposure.

    Attributes:
        view: ``AP`` or ``PA``.
        breath: rise of the diaphragm, body units.
        turn: rotation about the long axis; shifts the midline structures.
        arms: overlap of the scapulae with the lungs, 0..1.
        plates: number of plate-like atelectases at the bases, as after a shallow breath.
    """

    view: str
    breath: float
    turn: float
    arms: float
    plates: int


@dataclass(frozen=True, eq=False)
class Lungs:
    """The projected lungs.

    Attributes:
        inside: (S, S) 0..1.
        side: (S, S) -1 in the patient's right lung (left in the image), +1 in the left.
        across: 0 at the midline to 1 at the chest wall.
        down: 0 at the apex to 1 at the dome of the diaphragm.
        free: (S, S) 0..1, share of the thickness not taken by heart and mediastinum.
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
        """Body coordinates of a point in lung coordinates."""
        y = APEX + down * (self.base - APEX)
        return side * across * float(_outer(np.array(down), self.width)), y


def sample_body(rng: np.random.Generator, sex: str, age: int) -> Body:
    """Sample a patient's anatomy given sex and age."""
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


def project_lungs(body: Body, pose: Pose, grid: Grid) -> Lungs:
    """Project the two lungs of a patient in one exposure."""
    base = body.lung_base + 0.05 * body.emphysema - pose.breath
    side = np.where(grid.x < 0, np.float32(-1), np.float32(1))
    lateral = np.abs(grid.x)
    down = (grid.y - APEX) / (base - APEX)
    outer = _outer(down, body.lung_width)
    across = lateral / outer
    near = unit(1 - down / 0.24)
    inner = 0.06 + 0.20 * (1 - np.sqrt(1 - near**2))
    # the dome is higher on the right and falls to the costophrenic angle and slightly to the heart
    flat = 1 - 0.6 * min(body.emphysema, 1.0)
    fall = unit(across - 0.42) ** 2 * (0.62 * flat) + unit(0.42 - across) ** 2 * 0.3
    floor = base + 0.02 + 0.02 * side + fall
    inside = edge(outer - lateral, 0.012, grid) * edge(lateral - inner, 0.02, grid)
    inside *= edge(floor - grid.y, 0.012, grid) * edge(grid.y - APEX, 0.015, grid)
    middle = np.maximum(_heart(body, pose, grid, base), _mediastinum(body, pose, grid))
    return Lungs(grid, inside, side, across, down, 1 - 0.90 * middle, body.lung_width, base)


def _heart(body: Body, pose: Pose, grid: Grid, base: float) -> Array:
    """Cardiac silhouette, 0..1: the left ventricle lies on the diaphragm, the right atrium beside it."""
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
