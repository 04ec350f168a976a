"""Chest wall, ribs, pleura, breathing and probe placement, independent of the finding.

Lengths in mm, angles in radians.
"""

from dataclasses import dataclass

import numpy as np

from benchmark.phantoms.ultrasound import probe as us_probe
from benchmark.phantoms.ultrasound.probe import Array, Probe, Wave, Window, wave

FRAME_RATE = 3.0  # Hz; sampling of clips in Zhang et al. 2023, section 4.1
TABLE_STEP = 0.25  # mm between rows of the chest wall table
_KNOT = 9.0  # mm between columns of the striation noise


@dataclass(frozen=True, eq=False)
class Patient:
    """Properties that all clips of a patient share."""

    sex: str
    age: int
    wall: float  # depth of the pleura
    fat: float  # share of the wall that is skin and fat
    striation: float  # strength of the fibers, dB
    rib_gap: float  # between rib centers
    rib_width: float
    rib_lift: float  # of a rib's surface above the pleura
    breath_rate: float  # Hz
    breath: float  # amplitude of lung sliding
    texture: int  # seed of the wall's fiber pattern
    site: str


@dataclass(frozen=True, eq=False)
class Placement:
    """Properties that the frames of a clip share: position and handling of the probe."""

    probe: Probe
    window: Window
    along: float  # position on the chest
    across_ribs: bool  # ribs cross the image
    tilt: float
    flat: float  # 1: the pleura is a plane, 0: it follows the probe
    press: float  # relative wall thickness under the probe
    bow: Wave
    drift: Wave  # of the hand, over time
    sweep: float  # amplitude of the hand's drift
    phase: float  # of breathing at the first frame
    blur: float  # of shadow edges
    uneven: float  # stripes from the wall, dB
    falloff: float  # of the outer scan lines, dB
    contact: tuple[float, float]  # share of the scan lines without contact at either end
    organ: float  # lung coordinate where liver or spleen begins; infinite without one
    organ_side: int
    seed: int


@dataclass(frozen=True, eq=False)
class ScanLines:
    """One frame's scan lines, arrays (1, LINES) float32.

    Attributes:
        angle: radians.
        chest: coordinate fixed to the chest wall where the line meets the pleura.
        lung: coordinate fixed to the lung, which slides along the chest.
        pleura: depth of the parietal pleura.
        facing: 1 at perpendicular incidence on the pleura, falling to 0 at oblique incidence.
        breath: phase of breathing, radians.
    """

    angle: Array
    chest: Array
    lung: Array
    pleura: Array
    facing: Array
    breath: float


SITES = ("site_a", "site_b", "site_c")


def sample_patient(rng: np.random.Generator) -> Patient:
    """Sample a patient: wall of 13 to 36 mm, ribs 27 to 42 mm apart."""
    wall = float(np.clip(np.exp(rng.normal(3.05, 0.2)), 13, 36))
    return Patient(
        sex="male" if rng.random() < 0.5 else "female",
        age=int(np.clip(rng.normal(56, 17), 18, 92)),
        wall=wall,
        fat=float(rng.uniform(0.25, 0.65)),
        striation=float(rng.uniform(2.5, 6.0)),
        rib_gap=float(rng.uniform(27, 42)),
        rib_width=float(rng.uniform(9, 15)),
        rib_lift=float(min(rng.uniform(5, 10), 0.45 * wall)),
        breath_rate=float(rng.uniform(0.2, 0.4)),
        breath=float(rng.uniform(3, 10)),
        texture=int(rng.integers(2**31)),
        site=SITES[int(rng.choice(3, p=[0.4, 0.35, 0.25]))],
    )


def sample_placement(rng: np.random.Generator) -> Placement:
    """Sample a placement; one in eight shows the organ below the diaphragm."""
    probe = us_probe.sample_probe(rng)
    basal = rng.random() < 0.12
    side = 1 if rng.random() < 0.5 else -1
    ends = np.where(rng.random(2) < 0.22, rng.uniform(0.02, 0.22, 2), 0.0)
    return Placement(
        probe=probe,
        window=us_probe.sample_window(rng, probe),
        along=float(rng.uniform(-60, 60)),
        across_ribs=bool(rng.random() < 0.45),
        tilt=float(rng.normal(0, 0.09)),
        flat=float(rng.uniform(0.1, 1.0)),
        press=float(rng.uniform(0.85, 1.15)),
        bow=wave(rng, 60.0, 3),
        drift=wave(rng, 4.0, 3),
        sweep=float(rng.exponential(2.0)),
        phase=float(rng.uniform(0, 2 * np.pi)),
        blur=float(rng.uniform(3, 10)),
        uneven=float(rng.uniform(1, 4.5)),
        falloff=float(rng.uniform(0, 10)),
        contact=(float(ends[0]), float(ends[1])),
        organ=float(rng.uniform(0, 28)) if basal else float("inf"),
        organ_side=side,
        seed=int(rng.integers(2**31)),
    )


def scan_lines(patient: Patient, place: Placement, frame: int) -> ScanLines:
    """Intersect each scan line of a frame with the pleura.

    The lung slides along the chest wall with each breath and the probe drifts with the hand, both smoothly
    over the frames.
    """
    time = frame / FRAME_RATE
    phase = 2 * np.pi * patient.breath_rate * time + place.phase
    breath = float(np.sin(phase))
    probe = place.probe
    angle = us_probe.angles(probe)
    depth = patient.wall * place.press * (1 + 0.03 * breath)
    chest = (probe.radius + depth) * angle + place.along + place.sweep * float(place.drift(time))
    lean = np.maximum(np.cos(angle) - place.tilt * np.sin(angle), 0.3)
    plane = (probe.radius + depth) * lean ** np.float32(-place.flat) - probe.radius
    pleura = np.maximum(plane + 0.8 * place.bow(chest), 0.45 * depth).astype(np.float32)
    slope = np.gradient(pleura[0], angle[0, 1] - angle[0, 0])[None, :] / (probe.radius + pleura)
    facing = np.exp(-((slope / 0.26) ** 2)).astype(np.float32)
    lung = chest - place.along + np.float32(patient.breath * breath)
    return ScanLines(angle, chest.astype(np.float32), lung.astype(np.float32), pleura, facing, phase)


def wall_table(patient: Patient, lines: ScanLines, place: Placement) -> Array:
    """Echo strength of the chest wall: skin, fat with septa, fascia, muscle with fibers.

    Returns:
        (R, LINES) float32, dB below the strongest echo; row k is at a depth of k * TABLE_STEP mm.
    """
    rng = np.random.default_rng([patient.texture, 1])
    deepest = float(lines.pleura.max()) + 1.0
    rows = int(deepest / TABLE_STEP) + 2
    depth = (np.arange(rows, dtype=np.float32) * np.float32(TABLE_STEP))[:, None]
    fibers = _fibers(rng, rows, lines)
    fascia = patient.fat * lines.pleura + 0.6 * wave(rng, 35.0)(lines.chest)
    muscle = np.clip(depth - fascia + np.float32(0.5), 0, 1)  # a step over 1 mm
    level = -17 - 5 * muscle + patient.striation * (0.75 + 0.5 * muscle) * fibers
    level += 13 * np.exp(-(((depth - fascia) / 0.7) ** 2))
    inner = lines.pleura * rng.uniform(0.75, 0.9) + 0.8 * wave(rng, 30.0)(lines.chest)
    level += rng.uniform(3, 9) * np.exp(-(((depth - inner) / 0.6) ** 2))
    level += 6 * np.exp(-depth / 1.5)  # skin and gel
    level += 7 * np.cos(depth * np.float32(2 * np.pi / rng.uniform(1.6, 2.6))) * np.exp(-depth / 3.0)
    return level.astype(np.float32)


def _fibers(rng: np.random.Generator, rows: int, lines: ScanLines) -> Array:
    """Striations fixed to the chest wall, of standard deviation 1: long laterally, thin in depth."""
    knots = 46
    noise = rng.standard_normal((-(-rows // 5) + 2, knots), dtype=np.float32)
    place = (lines.chest[0] / np.float32(_KNOT)) % knots
    low = place.astype(np.int64)
    part = place - low.astype(np.float32)
    part = part * part * (3 - 2 * part)
    across = noise[:, low % knots] * (1 - part) + noise[:, (low + 1) % knots] * part
    slant = 5.0 * wave(rng, 90.0, 3)(lines.chest) / 4  # the striations undulate slightly
    row = np.maximum(np.arange(rows, dtype=np.float32)[:, None] * np.float32(0.2) + 0.3 * slant, 0)
    row = np.minimum(row, len(across) - 1.001)
    top = row.astype(np.int64)
    rest = row - top.astype(np.float32)
    return (
        np.take_along_axis(across, top, 0) * (1 - rest) + np.take_along_axis(across, top + 1, 0) * rest
    ) * np.float32(1.4)


def ribs(patient: Patient, place: Placement, lines: ScanLines) -> tuple[Array, Array]:
    """Ribs that cross the image.

    Returns:
        (1, LINES) coverage, 0..1, blurred by the beam width; (1, LINES) depth of the convex bone surface, mm.
    """
    if not place.across_ribs:
        return np.zeros_like(lines.angle), np.full_like(lines.angle, 1e3)
    rng = np.random.default_rng([patient.texture, 2])
    gap = patient.rib_gap
    number = np.round(lines.chest / gap)
    uneven = rng.uniform(-0.12, 0.12, 64)[number.astype(int) % 64] * gap  # irregular spacing
    away = lines.chest - number * gap - uneven
    half = patient.rib_width / 2 * rng.uniform(0.7, 1.2, 64)[number.astype(int) % 64]
    cover = np.clip((half - np.abs(away)) / place.blur + 0.5, 0, 1)
    lift = patient.rib_lift * rng.uniform(0.8, 1.1, 64)[number.astype(int) % 64]
    surface = lines.pleura - lift + 2.5 * (away / half) ** 2 + 0.3 * wave(rng, 6.0)(lines.chest)
    return cover.astype(np.float32), surface.astype(np.float32)


def line_attenuation(patient: Patient, place: Placement, lines: ScanLines) -> Array:
    """(1, LINES) dB by which the wall attenuates each scan line, which causes soft stripes."""
    rng = np.random.default_rng([patient.texture, 3])
    uneven = wave(rng, 11.0)(lines.chest)
    edge = (lines.angle / place.probe.half_angle) ** 2
    return place.uneven * uneven - place.falloff * edge


def contact(place: Placement) -> Array:
    """(1, LINES) share of sound that enters the skin; the ends of the arc may lack contact."""
    line = (np.arange(us_probe.LINES, dtype=np.float32) + 0.5) / us_probe.LINES
    left, right = place.contact
    ends = np.ones_like(line)
    if left:
        ends *= np.clip((line - left) / 0.12 + 0.5, 0, 1)
    if right:
        ends *= np.clip((1 - right - line) / 0.12 + 0.5, 0, 1)
    return ends[None, :]
