"""The findings of a radiograph in one sentence of a radiology report."""

from collections.abc import Sequence

from benchmark.phantoms.radiograph.focal import hernia_radius, mass_radius, nodule_radii
from benchmark.phantoms.radiograph.pathology import FindingSpec
from benchmark.phantoms.radiograph.torso import CM

HEALTHY = "No acute finding."
_GRADES = ("mild", "moderate", "severe")
_SIZES = ("small", "moderate", "large")
_SIZED = ("effusion", "pneumothorax")
_NAMES = {"effusion": "pleural effusion", "edema": "pulmonary edema", "hernia": "hiatal hernia"}
_LOBES = {"upper": "upper lobe", "middle": "middle lobe", "lower": "lower lobe"}
_WHERE = {
    ("edema", "wing"): "perihilar ",
    ("edema", "interstitial"): "interstitial ",
    ("emphysema", "upper"): "upper zone predominant ",
    ("fibrosis", "basal"): "basal ",
    ("fibrosis", "apical"): "apical ",
    ("pleural_thickening", "apical"): "apical ",
    ("pleural_thickening", "lateral"): "lateral ",
}


def side_of(spec: FindingSpec) -> str:
    """``left`` or ``right`` of the patient, ``both``, or empty."""
    return {(): "", (-1,): "right", (1,): "left"}.get(spec.sides, "both")


def sentence(specs: Sequence[FindingSpec], supine: bool) -> str:
    """All findings in one sentence; ``HEALTHY`` without any."""
    if not specs:
        return HEALTHY
    phrases = [_phrase(spec, supine) for spec in specs]
    joined = " and ".join(part for part in (", ".join(phrases[:-1]), phrases[-1]) if part)
    return joined[0].upper() + joined[1:] + "."


def _phrase(spec: FindingSpec, supine: bool) -> str:
    """One finding: severity or size, side, location, name."""
    grade = _third(spec.grade, _SIZES if spec.finding in _SIZED else _GRADES)
    side = {"both": "bilateral "}.get(side_of(spec), side_of(spec) + " " if spec.sides else "")
    name = _NAMES.get(spec.finding, spec.finding.replace("_", " "))
    if spec.finding == "nodule":
        return _nodules(spec, side)
    if spec.finding == "mass":
        return f"{2 * mass_radius(spec) / CM:.0f} cm {spec.form} mass in the {side}{_zone(spec)} zone"
    if spec.finding == "hernia":
        return f"{_third(spec.grade, _SIZES)} hiatal hernia of {2 * hernia_radius(spec) / CM:.0f} cm"
    if spec.finding == "atelectasis":
        return (
            f"{grade} {side}{'plate-like ' if spec.form == 'plate' else _LOBES[spec.form] + ' '}atelectasis"
        )
    if spec.finding in ("consolidation", "pneumonia"):
        return f"{grade} {side}{_LOBES[spec.form]} {name}"
    if spec.finding == "infiltration":
        return f"{grade} {side}{_zone(spec)} zone infiltration"
    if spec.finding == "pneumothorax":
        place = "basal " if supine else ("apical " if spec.grade < 0.5 else "")
        return f"{grade} {side}{place}{name}"
    if spec.sides == (-1, 1) and spec.finding in ("edema", "emphysema", "fibrosis"):
        side = ""  # usually bilateral, so reports leave it out
    return f"{grade} {side}{_WHERE.get((spec.finding, spec.form), '')}{name}"


def _nodules(spec: FindingSpec, side: str) -> str:
    largest = 20 * nodule_radii(spec)[0] / CM
    kind = "calcified " if spec.form == "calcified" else ""
    if spec.count == 1:
        return f"{largest:.0f} mm {kind}nodule in the {side}{_zone(spec)} zone"
    number = {2: "two", 3: "three"}[spec.count]
    return f"{number} {side}{kind}nodules of up to {largest:.0f} mm"


def _zone(spec: FindingSpec) -> str:
    return _third(spec.spots[0][2], ("upper", "middle", "lower"))


def _third(value: float, words: tuple[str, str, str]) -> str:
    return words[min(2, int(3 * value))]
