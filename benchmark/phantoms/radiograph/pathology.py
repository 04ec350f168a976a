"""The fourteen findings of ChestX-ray14: location, form, severity and effect on the anatomy.

A finding is sampled before anything is drawn, independently of the image size. The location comes from the
patient, so that repeated images show the same disease; the severity comes from the image.
"""

from dataclasses import dataclass, field

import numpy as np

from benchmark.phantoms.radiograph.torso import NO_CHANGE, AnatomyChange, Patient, Pose

Rng = np.random.Generator
RIGHT, LEFT = -1, 1
BOTH = (RIGHT, LEFT)


@dataclass(frozen=True)
class FindingPrior:
    """Prior of a finding's side, form and location.

    Attributes:
        right, left: shares of unilateral findings; the rest is bilateral.
        forms: shares of the presentations by name.
        across, depth, down: range of the center in lung coordinates, see ``Chest.spot``.
    """

    right: float
    left: float
    forms: dict[str, float] = field(default_factory=lambda: {"": 1.0})
    across: tuple[float, float] = (0.25, 0.85)
    depth: tuple[float, float] = (0.2, 0.8)
    down: tuple[float, float] = (0.15, 0.95)


# sides and forms after the usual teaching (Goodman, Felson's Principles of Chest Roentgenology, 4th ed.)
FINDING_PRIORS = {
    "atelectasis": FindingPrior(
        0.42, 0.43, {"plate": 0.62, "upper": 0.14, "lower": 0.24}, (0.4, 0.75), down=(0.78, 0.96)
    ),
    "cardiomegaly": FindingPrior(0, 0),
    "consolidation": FindingPrior(0.50, 0.38, {"upper": 0.30, "middle": 0.15, "lower": 0.55}, (0.3, 0.75)),
    "edema": FindingPrior(0, 0, {"wing": 0.6, "interstitial": 0.4}),
    "effusion": FindingPrior(0.38, 0.32),
    "emphysema": FindingPrior(0, 0, {"upper": 0.6, "even": 0.4}, down=(0.08, 0.45)),
    "fibrosis": FindingPrior(0.06, 0.06, {"basal": 0.68, "apical": 0.32}),
    "hernia": FindingPrior(0, 0, down=(0.93, 1.0)),
    "infiltration": FindingPrior(0.30, 0.25, across=(0.3, 0.75), down=(0.35, 0.9)),
    "mass": FindingPrior(0.54, 0.46, {"lobulated": 0.6, "spiculated": 0.4}, down=(0.15, 0.85)),
    "nodule": FindingPrior(0.54, 0.46, {"soft": 0.85, "calcified": 0.15}, (0.25, 0.90)),
    "pleural_thickening": FindingPrior(0.33, 0.29, {"apical": 0.45, "lateral": 0.55}, down=(0.4, 0.8)),
    "pneumonia": FindingPrior(
        0.44, 0.32, {"upper": 0.25, "middle": 0.15, "lower": 0.60}, (0.3, 0.8), down=(0.3, 0.95)
    ),
    "pneumothorax": FindingPrior(0.53, 0.47),
}
FINDINGS = tuple(FINDING_PRIORS)
_MIDLINE = ("cardiomegaly", "hernia")


@dataclass(frozen=True)
class FindingSpec:
    """One finding of one study.

    Attributes:
        sides: of -1 (right) and 1 (left); empty for midline findings.
        grade: severity, 0 barely visible to 1 extreme.
        form: presentation, a name of the prior's forms.
        spots: at least three locations (across, depth, down) in the lung.
        count: number of nodules, plates or bullae, 1 to 3.
        seeds: of the patient and of the image, for fine detail.
        change: effect on the anatomy.
    """

    finding: str
    sides: tuple[int, ...]
    grade: float
    form: str
    spots: tuple[tuple[float, float, float], ...]
    count: int
    seeds: tuple[int, int]
    change: AnatomyChange = NO_CHANGE


def sample_finding(
    name: str, given: float | None, place: Rng, extent: Rng, patient: Patient, pose: Pose
) -> FindingSpec:
    """Sample side, form, location and severity of one finding.

    Args:
        given: severity in 0..1; None: sampled.
        place, extent: random streams of the patient and of the image.
    """
    prior = FINDING_PRIORS[name]
    chance = place.random(3)
    low, high = np.array([prior.across, prior.depth, prior.down]).T
    spots = tuple((float(a), float(b), float(c)) for a, b, c in low + (high - low) * place.random((3, 3)))
    seeds = (int(place.integers(2**31)), int(extent.integers(2**31)))
    drawn = sample_severity(extent)
    forms, shares = list(prior.forms), np.cumsum(list(prior.forms.values()))
    side = (
        BOTH if chance[0] >= prior.right + prior.left else ((RIGHT,) if chance[0] < prior.right else (LEFT,))
    )
    form = forms[int(np.searchsorted(shares, chance[1] * shares[-1], side="right"))]
    if form == "middle" and side != (RIGHT,):
        form = "lower"  # the left lung has no middle lobe
    if name == "atelectasis" and form != "plate" and len(side) == 2:
        form = "plate"
    spec = FindingSpec(
        finding=name,
        sides=() if name in _MIDLINE else side,
        grade=drawn if given is None else float(given),
        form=form,
        spots=spots,
        count=1 + int(chance[2] > 0.62) + int(chance[2] > 0.87),
        seeds=seeds,
    )
    return FindingSpec(**{**vars(spec), "change": _change(spec, patient, pose)})


def sample_severity(rng: Rng) -> float:
    """Sample a severity: most moderate, one in five barely visible, some extreme."""
    chance, subtle, full = rng.random(), rng.beta(1.2, 3.5), rng.beta(2.6, 2.0)
    return float(subtle if chance < 0.2 else full)


def _change(spec: FindingSpec, patient: Patient, pose: Pose) -> AnatomyChange:
    """Effect of a finding on the anatomy."""
    grade, name = spec.grade, spec.finding
    only = spec.sides[0] if len(spec.sides) == 1 else 0
    if name == "cardiomegaly":
        return AnatomyChange(heart=0.515 + 0.17 * grade - patient.ratio, upper_vessels=0.15 * grade)
    if name == "emphysema":
        return AnatomyChange(flat=0.15 + 0.85 * grade)
    if name == "edema":
        return AnatomyChange(upper_vessels=0.3 + 0.6 * grade)
    if name == "effusion":
        return AnatomyChange(shift=-only * 0.11 * max(0.0, grade - 0.55))
    if name == "fibrosis":
        if spec.form == "basal":
            return _lift(spec.sides, 0.02 + 0.09 * grade)
        return AnatomyChange(
            hilum_right=0.07 * grade * (RIGHT in spec.sides), hilum_left=0.07 * grade * (LEFT in spec.sides)
        )
    if name == "pneumothorax":
        pushed = -only * 0.34 * max(0.0, grade - 0.6)
        if not pose.supine:
            return _lift(spec.sides, -0.10 * max(0.0, grade - 0.5)) + AnatomyChange(shift=pushed)
        deep = 0.07 + 0.14 * grade
        return AnatomyChange(
            shift=pushed, sulcus_right=deep * (only == RIGHT), sulcus_left=deep * (only == LEFT)
        )
    if name == "atelectasis":
        return _collapse(spec, only)
    return NO_CHANGE


def _lift(sides: tuple[int, ...], rise: float) -> AnatomyChange:
    return AnatomyChange(dome_right=rise * (RIGHT in sides), dome_left=rise * (LEFT in sides))


def _collapse(spec: FindingSpec, only: int) -> AnatomyChange:
    """Volume loss, which pulls diaphragm, hilum and mediastinum towards the finding."""
    if spec.form == "plate":
        return _lift(spec.sides, 0.01 + 0.04 * spec.grade)
    pull = 0.02 + 0.05 * spec.grade
    up = (0.03 + 0.07 * spec.grade) * (1 if spec.form == "upper" else -1)
    moved = AnatomyChange(shift=only * pull, hilum_right=up * (only == RIGHT), hilum_left=up * (only == LEFT))
    return moved + _lift(spec.sides, (0.02 if spec.form == "upper" else 0.04) + 0.06 * spec.grade)
