"""Anatomy of one patient, pose of one exposure, and changes of the anatomy by disease.

Lengths are in body units (1 unit is about 20 cm), y grows downwards, the lung apices lie at -0.76.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

APEX = -0.76
CM = 1 / 20  # body units


@dataclass(frozen=True)
class Patient:
    """One patient's anatomy; lengths in body units, the rest relative to the average.

    Attributes:
        seed: of vessels and old scars, the same in each image of the patient.
        ratio: cardiothoracic ratio in an upright PA view at full inspiration, without heart disease.
        unfolded: 0..1, unfolding of the aorta with age; calcified: 0..1, calcification of its arch.
        kyphosis: forward bend of the upper spine; scoliosis: sideways.
        depth: half the distance from the sternum to the back of the lungs.
    """

    sex: str
    age: int
    seed: int
    width: float
    base: float
    depth: float
    wall: float
    shoulder: float
    ratio: float
    apex: float
    knob: float
    unfolded: float
    calcified: float
    breast: float
    breast_drop: float
    rib_gap: float
    rib_phase: float
    rib_drop: float
    bone: float
    scoliosis: float
    kyphosis: float
    stomach: float
    colon: int
    vessel: float
    granulomas: int
    dome_gap: float
    pedicle: float


@dataclass(frozen=True)
class Pose:
    """Position of the patient in one exposure.

    Attributes:
        view: ``PA``, ``AP`` or ``LATERAL``.
        supine: air rises anteriorly, fluid layers behind the lung.
        breath: rise of the diaphragm, body units.
        turn: rotation about the long axis.
        arms: overlap of the scapulae with the lungs, 0..1.
    """

    view: str
    supine: bool
    breath: float
    turn: float
    arms: float


@dataclass(frozen=True)
class AnatomyChange:
    """Effect of findings on the anatomy; the changes of several findings add up.

    Attributes:
        heart: added to the cardiothoracic ratio.
        shift: of the mediastinum, to the patient's left, body units.
        dome_right, dome_left: elevation of a hemidiaphragm, body units.
        flat: 0..1, hyperinflation: flat, low diaphragm, wide intercostal spaces, narrow heart.
        sulcus_right, sulcus_left: deepening of the costophrenic angle, body units.
        upper_vessels: relative widening of the upper-lobe vessels (cephalization).
        hilum_right, hilum_left: elevation of a hilum, body units.
    """

    heart: float = 0.0
    shift: float = 0.0
    dome_right: float = 0.0
    dome_left: float = 0.0
    flat: float = 0.0
    sulcus_right: float = 0.0
    sulcus_left: float = 0.0
    upper_vessels: float = 0.0
    hilum_right: float = 0.0
    hilum_left: float = 0.0

    def __add__(self, other: AnatomyChange) -> AnatomyChange:
        mine, theirs = vars(self), vars(other)
        return AnatomyChange(**{name: mine[name] + theirs[name] for name in mine})


NO_CHANGE = AnatomyChange()


def sample_patient(rng: np.random.Generator, sex: str, age: int) -> Patient:
    """Sample a patient's anatomy given sex and age.

    With age the aorta unfolds and calcifies, bone density falls, kyphosis grows (more in women) and the heart
    widens slightly.
    """
    male, old = sex == "male", (age - 50) / 20
    late = max(old, 0.0)
    habitus = float(np.clip(rng.normal(), -2, 2.5))
    normal, uniform = rng.standard_normal(20), rng.random(8)
    return Patient(
        sex=sex,
        age=age,
        seed=int(rng.integers(2**31)),
        width=float(
            np.clip((0.665 if male else 0.615) * np.exp(0.045 * normal[0] + 0.01 * habitus), 0.54, 0.76)
        ),
        base=0.42 + (0.02 if male else -0.03) + 0.045 * normal[1] - 0.025 * habitus,
        depth=float(np.clip(0.44 + 0.03 * normal[2] + 0.03 * habitus + 0.02 * late, 0.36, 0.58)),
        wall=float(np.clip(0.13 + 0.045 * habitus, 0.06, 0.27)),
        shoulder=0.06 * (2 * uniform[0] - 1),
        ratio=float(np.clip(0.435 + 0.008 * old + 0.012 * habitus + 0.022 * normal[3], 0.36, 0.49)),
        apex=0.26 + 0.025 * normal[4] - 0.02 * habitus,
        knob=float(np.clip(0.050 + 0.010 * old + 0.008 * normal[5], 0.03, 0.09)),
        unfolded=float(np.clip(0.35 * old + 0.25 * normal[6], 0, 1)),
        calcified=float(np.clip(0.45 * (old - 0.6) + 0.3 * normal[7], 0, 1)),
        breast=0.0 if male else float(np.clip(0.14 + 0.035 * habitus + 0.04 * normal[8], 0.03, 0.26)),
        breast_drop=float(np.clip(0.05 * normal[9] + 0.05 * old, -0.1, 0.16)),
        rib_gap=0.130 + 0.006 * normal[10],
        rib_phase=uniform[1],
        rib_drop=float(np.clip(0.19 + 0.03 * normal[11] + 0.02 * late, 0.10, 0.30)),
        bone=float(np.exp(-(0.12 if male else 0.2) * late + 0.12 * normal[12])),
        scoliosis=0.016 * normal[13] * (1 + late),
        kyphosis=float(np.clip(0.05 * normal[14] + (0.06 if male else 0.12) * late, -0.1, 0.35)),
        stomach=uniform[2],
        colon=int(rng.poisson(1.2)),
        vessel=float(np.exp(0.15 * normal[15])),
        granulomas=int(rng.poisson(0.15)),
        dome_gap=0.045 + 0.018 * normal[16],
        pedicle=uniform[3],
    )


def heart_ratio(patient: Patient, change: AnatomyChange) -> float:
    """Cardiothoracic ratio at full inspiration; heart disease raises it, hyperinflation alone lowers it."""
    if change.heart > 0:
        return patient.ratio + change.heart
    return patient.ratio * (1 - 0.20 * min(change.flat, 1.0))
