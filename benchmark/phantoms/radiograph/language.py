"""One sentence that says what a study shows, as a radiologist would."""

from __future__ import annotations

from collections.abc import Sequence

from benchmark.phantoms.radiograph.focal import hernia_radius, mass_radius, nodule_radii
from benchmark.phantoms.radiograph.pathology import Plan
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


def side_of(plan: Plan) -> str:
    """``left`` or ``right`` of the patient, ``both``, or empty."""
    return {(): "", (-1,): "right", (1,): "left"}.get(plan.sides, "both")


def sentence(plans: Sequence[Plan], supine: bool) -> str:
    """All findings in one sentence; ``HEALTHY`` without any."""
    if not plans:
        return HEALTHY
    said = [_phrase(plan, supine) for plan in plans]
    joined = said[0] if len(said) == 1 else ", ".join(said[:-1]) + " and " + said[-1]
    return joined[0].upper() + joined[1:] + "."


def _phrase(plan: Plan, supine: bool) -> str:
    """One finding: severity or size, side, place, name."""
    grade = _third(plan.grade, _SIZES if plan.finding in _SIZED else _GRADES)
    side = {"both": "bilateral "}.get(side_of(plan), side_of(plan) + " " if plan.sides else "")
    name = _NAMES.get(plan.finding, plan.finding.replace("_", " "))
    if plan.finding == "nodule":
        return _nodules(plan, side)
    if plan.finding == "mass":
        outline = {"lobed": "lobulated", "spiky": "spiculated"}[plan.form]
        return f"{2 * mass_radius(plan) / CM:.0f} cm {outline} mass in the {side}{_zone(plan)} zone"
    if plan.finding == "hernia":
        return f"{_third(plan.grade, _SIZES)} hiatal hernia of {2 * hernia_radius(plan) / CM:.0f} cm"
    if plan.finding == "atelectasis":
        return (
            f"{grade} {side}{'plate-like ' if plan.form == 'plate' else _LOBES[plan.form] + ' '}atelectasis"
        )
    if plan.finding in ("consolidation", "pneumonia"):
        return f"{grade} {side}{_LOBES[plan.form]} {name}"
    if plan.finding == "infiltration":
        return f"{grade} {side}{_zone(plan)} zone infiltration"
    if plan.finding == "pneumothorax":
        place = "basal " if supine else ("apical " if plan.grade < 0.5 else "")
        return f"{grade} {side}{place}{name}"
    if plan.sides == (-1, 1) and plan.finding in ("edema", "emphysema", "fibrosis"):
        side = ""  # two-sided as a rule, so nobody says it
    return f"{grade} {side}{_WHERE.get((plan.finding, plan.form), '')}{name}"


def _nodules(plan: Plan, side: str) -> str:
    largest = 20 * nodule_radii(plan)[0] / CM
    kind = "calcified " if plan.form == "calcified" else ""
    if plan.count == 1:
        return f"{largest:.0f} mm {kind}nodule in the {side}{_zone(plan)} zone"
    number = {2: "two", 3: "three"}[plan.count]
    return f"{number} {side}{kind}nodules of up to {largest:.0f} mm"


def _zone(plan: Plan) -> str:
    return _third(plan.spots[0][2], ("upper", "middle", "lower"))


def _third(value: float, words: tuple[str, str, str]) -> str:
    return words[min(2, int(3 * value))]
