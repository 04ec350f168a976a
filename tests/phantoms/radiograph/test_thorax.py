"""The second chest phantom: fourteen findings in their places, and nuisances independent of them."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmark.errors import BenchmarkError
from benchmark.phantoms.radiograph import airspace, imaging, pleura, thorax
from benchmark.phantoms.radiograph.projection import Chest
from benchmark.phantoms.radiograph.thorax import FINDINGS, SITES, VIEWS, Radiograph

ONE_SIDED = ("consolidation", "effusion", "mass", "nodule", "pneumonia", "pneumothorax")
MIDLINE = ("cardiomegaly", "hernia")


def pictures(
    names: dict[str, float | None] | tuple[str, ...], count: int, **given: object
) -> list[Radiograph]:
    """Draw studies 0, 1, ... of seed 4 at 64 pixels."""
    settings = {"seed": 4, "size": 64, **given}
    return [thorax.draw(names, index=index, **settings) for index in range(count)]  # type: ignore[arg-type]


def lungs_of(index: int, names: dict[str, float | None] | None = None, **given: Any) -> Chest:
    """The projected chest behind ``pictures(...)[index]``."""
    return thorax._scene(names or {}, 4, index, 64, **given).chest


def middle_of(mask: np.ndarray) -> tuple[float, float]:
    """Column and row of a mask's center of mass, -1..1."""
    rows, cols = np.nonzero(mask)
    half = len(mask) / 2
    return cols.mean() / half - 1, rows.mean() / half - 1


@settings(max_examples=40, deadline=None)
@given(
    names=st.lists(st.sampled_from(FINDINGS), max_size=4, unique=True),
    index=st.integers(0, 10_000),
    size=st.integers(16, 96),
    view=st.sampled_from(VIEWS),
    site=st.sampled_from(SITES),
)
def test_any_request_is_drawn_whole(names: list[str], index: int, size: int, view: str, site: str):
    """Image, mask and lesions agree with any request; the same request gives the same bytes."""
    study = thorax.draw(names, seed=1, index=index, size=size, view=view, site=site)
    again = thorax.draw(names[::-1], seed=1, index=index, size=size, view=view, site=site)
    assert study.image.shape == study.mask.shape == (size, size)
    assert study.image.dtype == study.mask.dtype == np.uint8
    assert np.ptp(study.image) > 60
    assert {lesion.finding for lesion in study.lesions} == set(names)
    assert (study.view, study.site) == (view, site)
    assert set(np.unique(study.mask)) <= {0, 255}
    union = np.zeros_like(study.mask)
    for lesion in study.lesions:
        union |= lesion.mask
        assert 0 <= lesion.severity <= 1
        assert lesion.side in ("", "left", "right", "both")
    assert (union == study.mask).all()
    assert (study.image == again.image).all()
    assert study.prompt == again.prompt


def test_an_image_depends_on_seed_and_index_alone():
    """An image does not depend on those drawn before. Another seed or index gives another image."""
    one = thorax.draw(["edema"], seed=2, index=7, size=48)
    thorax.draw(["mass"], seed=9, index=1, size=48)
    assert (thorax.draw(["edema"], seed=2, index=7, size=48).image == one.image).all()
    assert (thorax.draw(["edema"], seed=3, index=7, size=48).image != one.image).any()
    assert (thorax.draw(["edema"], seed=2, index=8, size=48).image != one.image).any()


@pytest.mark.parametrize("finding", FINDINGS)
def test_a_second_finding_leaves_the_first_and_the_nuisances_alone(finding: str):
    """Another finding changes neither patient, exposure nor the first one. No finding gives no lesion."""
    other = "nodule" if finding != "nodule" else "effusion"
    for index in range(6):
        alone = thorax._scene({finding: None}, 4, index, 32)
        both = thorax._scene({other: None, finding: None}, 4, index, 32)
        none = thorax._scene({}, 4, index, 32)
        assert alone.patient == both.patient == none.patient
        assert alone.exposure == both.exposure == none.exposure
        assert alone.specs[0] in both.specs
        assert none.specs == ()


def test_nuisances_do_not_reveal_the_finding():
    """Site, view, sex, age, marker, devices and gray scale are the same list for every finding."""

    def of(finding: str) -> list[object]:
        scenes = [thorax._scene({finding: None}, 6, index, 16) for index in range(25)]
        return [(scene.exposure, scene.patient) for scene in scenes]

    first = of(FINDINGS[0])
    assert all(of(finding) == first for finding in FINDINGS[1:])


def test_corners_do_not_show_the_finding():
    """Outside the body a finding shows only through scatter and the equalized gray scale."""
    changes = []
    for finding in FINDINGS:
        sick, well = pictures({finding: 0.9}, 9, view="PA"), pictures((), 9, view="PA")
        change = [np.abs(s.image.astype(float) - w.image)[:8] for s, w in zip(sick, well, strict=True)]
        changes.append(np.mean([c[:, [*range(8), *range(-8, 0)]].mean() for c in change]))
    assert max(changes) < 3
    assert np.mean(changes) < 0.7


@pytest.mark.parametrize("finding", FINDINGS)
@pytest.mark.parametrize("view", ["PA", "LATERAL"])
def test_severity_grows_the_mask(finding: str, view: str):
    """A more severe finding of a patient never covers less, and the most severe covers much more."""
    grow = 0
    for index in range(4):
        areas = [
            int((thorax.draw({finding: g}, seed=4, index=index, size=64, view=view).mask > 0).sum())
            for g in (0.1, 0.4, 0.7, 1.0)
        ]
        assert areas[-1] > 0
        # what bends the anatomy (volume loss, shift) may cost the lung that is seen a little area
        assert all(b >= 0.93 * a - 4 for a, b in pairwise(areas)), areas
        grow += areas[-1] > 1.2 * areas[0]
    assert grow >= 3


@pytest.mark.parametrize("finding", [name for name in FINDINGS if name not in MIDLINE])
def test_a_finding_lies_on_the_side_that_it_names(finding: str):
    """The patient's right is on the image's left. A finding of both lungs is in both halves of the body."""
    named = set()
    for index in range(24):
        study = thorax.draw({finding: 0.7}, seed=4, index=index, size=64, view="PA", devices=False)
        side = lungs_of(index, {finding: 0.7}, view="PA").side
        lesion = study.lesions[0]
        named.add(lesion.side)
        seen = side[lesion.mask > 0]
        if lesion.side == "both":
            assert set(np.unique(seen)) == {-1, 1}
        else:
            assert (seen == (1 if lesion.side == "left" else -1)).mean() > 0.9, (index, lesion.side)
    assert named >= ({"left", "right"} if finding in ONE_SIDED else {"both"})


@pytest.mark.parametrize("finding", MIDLINE)
def test_a_midline_finding_has_no_side(finding: str):
    """Cardiomegaly and hernia are neither left nor right."""
    assert {study.lesions[0].side for study in pictures((finding,), 5)} == {""}


OPAQUE = ("atelectasis", "cardiomegaly", "consolidation", "edema", "effusion", "fibrosis", "infiltration",
          "mass", "nodule", "pleural_thickening", "pneumonia")  # fmt: skip


def differences(finding: str, grade: float, view: str) -> np.ndarray:
    """Mean change of the gray value inside the mask against the same exposure without the finding."""
    changes = []
    for index in range(10):
        given = {"seed": 4, "index": index, "size": 64, "view": view, "devices": False}
        sick = thorax.draw({finding: grade}, **given)  # type: ignore[arg-type]
        well = thorax.draw((), **given)  # type: ignore[arg-type]
        changes.append((sick.image.astype(float) - well.image)[sick.mask > 0].mean())
    return np.array(changes)


@pytest.mark.parametrize("finding", OPAQUE)
def test_opaque_findings_brighten_their_mask(finding: str):
    """A finding that replaces air is brighter than the same place without it, in both views."""
    assert np.mean(differences(finding, 0.8, "PA") > 0) >= 0.9
    assert differences(finding, 0.8, "LATERAL").mean() > 0


@pytest.mark.parametrize("finding", ["pneumothorax", "emphysema"])
@pytest.mark.parametrize("view", ["PA", "AP"])
def test_lucent_findings_darken_their_mask(finding: str, view: str):
    """Air in place of lung is darker than the same place without the finding."""
    change = differences(finding, 0.6, view)
    assert np.mean(change < 0) >= 0.8
    assert change.mean() < -3


def test_pneumothorax_has_a_line_and_no_vessels():
    """The pleural line is brighter than its surroundings, and no vessels lie outside it."""
    for index in range(8):
        names: dict[str, float | None] = {"pneumothorax": 0.4}
        scene = thorax._scene(names, 4, index, 256, view="PA")
        (effect,) = pleura.pneumothorax(scene.specs[0], scene.chest)
        assert effect.vessel_loss is not None
        assert effect.added is not None
        assert effect.vessel_loss[effect.extent > 0.99].min() > 0.98
        assert effect.added.max() > 0.03
        line = effect.added > 0.02
        border = (effect.extent > 0.02) & (effect.extent < 0.98)
        assert border[line].mean() > 0.5
        down = scene.chest.down[effect.extent > 0.5]
        assert np.percentile(down, 20) < 0.25  # it begins at the apex


def test_supine_pneumothorax_deepens_the_angle():
    """In a supine patient air lies at the base, and its sulcus reaches lower than the healthy one."""
    for index in range(40):
        scene = thorax._scene({"pneumothorax": 0.8}, 4, index, 32, view="AP")
        if scene.exposure.pose.supine:
            change = scene.specs[0].change
            assert max(change.sulcus_left, change.sulcus_right) > 0.1
            assert min(change.sulcus_left, change.sulcus_right) == 0
            return
    pytest.fail("no supine exposure among 40")


def test_large_unilateral_disease_moves_the_mediastinum():
    """Air and fluid push the mediastinum away, collapse pulls it near."""
    for finding, towards in (("pneumothorax", -1), ("effusion", -1), ("atelectasis", 1)):
        moved = []
        for index in range(60):
            spec = thorax._scene({finding: 1.0}, 4, index, 16, view="PA").specs[0]
            if len(spec.sides) == 1 and spec.form != "plate":
                moved.append(spec.change.shift * spec.sides[0] * towards)
        assert len(moved) > 5
        assert min(moved) > 0.03


def test_effusion_fills_the_base_from_below():
    """Fluid lies lower than the rest of its lung, and its surface rises with severity."""
    for index in range(8):
        tops = []
        for grade in (0.2, 0.6, 1.0):
            names: dict[str, float | None] = {"effusion": grade}
            mask = thorax.draw(names, seed=4, index=index, size=128, view="PA").mask > 0
            chest = thorax._scene(names, 4, index, 128, view="PA").chest
            tops.append(chest.down[mask].min())
            assert chest.down[mask].max() > 1.0  # below the dome, in the angle
        assert tops[0] > tops[1] > tops[2]


def test_cardiothoracic_ratio_follows_cardiomegaly():
    """The ratio is below one half in nearly every healthy PA view and rises with severity."""
    for index in range(25):
        healthy = lungs_of(index, view="PA")
        assert healthy.ratio < 0.53
        sizes = [
            thorax.draw({"cardiomegaly": g}, seed=4, index=index, size=32, view="PA").lesions[0].size
            for g in (0.0, 0.5, 1.0)
        ]
        assert sizes[0] < sizes[1] < sizes[2]
        both = {"cardiomegaly": 0.1, "emphysema": 0.9}
        assert thorax._scene(both, 4, index, 32, view="PA").chest.ratio > 0.48
    ratios = [lungs_of(i, view="PA").ratio for i in range(60)]
    assert np.mean(np.array(ratios) < 0.5) > 0.9


def test_drawn_heart_has_the_stated_ratio():
    """The width of the heart shadow over that of the lungs is the stated cardiothoracic ratio."""
    for index in range(10):
        chest = thorax._scene({"cardiomegaly": 0.5}, 4, index, 256, view="PA").chest
        rows = np.abs(chest.grid.y - (chest.base - 0.05)) < 0.15
        heart, inside = (chest.heart > 0.33) & rows, (chest.rim > 0) & rows
        ratio = np.ptp(chest.grid.x[heart]) / np.ptp(chest.grid.x[inside])
        assert ratio == pytest.approx(chest.ratio, abs=0.04)


def test_nodules_are_below_and_masses_above_3_cm():
    """A nodule is below 3 cm and a mass above, at any severity. The mask has the stated width."""
    for grade in (0.0, 0.5, 1.0):
        for index in range(6):
            both = thorax.draw({"nodule": grade, "mass": grade}, seed=4, index=index, size=32)
            sizes = {lesion.finding: lesion.size for lesion in both.lesions}
            assert sizes["nodule"] < 3 <= sizes["mass"]
    scene = thorax._scene({"nodule": 1.0}, 4, 3, 256)
    drawn = thorax.draw({"nodule": 1.0}, seed=4, index=3, size=256)
    rows = np.nonzero(drawn.lesions[0].mask.any(1))[0]
    if scene.specs[0].count == 1:
        assert np.ptp(rows) * scene.chest.grid.pixel * 20 == pytest.approx(drawn.lesions[0].size, rel=0.2)


def test_emphysema_lowers_and_flattens_the_diaphragm():
    """Hyperinflation gives lower domes and a narrower heart than in the same patient without it."""
    for index in range(10):
        names: dict[str, float | None] = {"emphysema": 0.9}
        sick, well = lungs_of(index, names, view="PA"), lungs_of(index, view="PA")
        assert sick.base > well.base + 0.04
        assert sick.ratio < well.ratio


def test_lobes_do_not_overlap():
    """In the lateral view the lobes cover their lung, and the upper and lower one hardly overlap."""
    for view in ("LATERAL",):
        scene = thorax._scene({"consolidation": 1.0}, 4, 0, 64, view=view)
        spec = scene.specs[0]
        parts = [
            airspace.lobe(type(spec)(**{**vars(spec), "form": form}), scene.chest, -1)
            for form in ("upper", "middle", "lower")
        ]
        assert np.maximum.reduce(parts).sum() > 0.9 * scene.chest.lung(-1).sum()
        assert (parts[0] * parts[2]).mean() < 0.02


def test_a_repeated_study_shares_anatomy_and_the_place_of_disease():
    """Two studies of a patient share body, side and form. Exposure and severity differ."""
    for finding in FINDINGS:
        one, two = (thorax._scene({finding: None}, 4, index, 32, patient=5) for index in (70, 71))
        assert one.patient == two.patient
        assert one.exposure != two.exposure
        assert (one.specs[0].sides, one.specs[0].form) == (two.specs[0].sides, two.specs[0].form)
        assert one.specs[0].grade != two.specs[0].grade


@pytest.mark.parametrize(("fine", "coarse"), [(256, 64), (128, 32)])
@pytest.mark.parametrize("view", VIEWS)
def test_sizes_show_the_same_image(fine: int, coarse: int, view: str):
    """A large image, averaged down, is close to the small image of the same index, and so is its mask."""
    gaps, overlaps = [], []
    for index in range(5):
        names = (FINDINGS[3 * index % 14], FINDINGS[(5 * index + 1) % 14])
        large, little = (thorax.draw(names, seed=0, index=index, size=s, view=view) for s in (fine, coarse))
        k = fine // coarse
        down = large.image.reshape(coarse, k, coarse, k).astype(float).mean((1, 3))
        gaps.append(np.abs(down - little.image).mean())
        cover = large.mask.reshape(coarse, k, coarse, k).mean((1, 3)) > 127
        overlaps.append((cover & (little.mask > 0)).sum() / max(1, (cover | (little.mask > 0)).sum()))
    assert np.mean(gaps) < 7
    assert np.mean(overlaps) > 0.7


def test_age_shows():
    """Age unfolds and calcifies the aorta, thins bone and bends the back, in women more than in men."""
    young, old = (
        [thorax._scene({}, 4, i, 16, sex="female", age=age).patient for i in range(80)] for age in (25, 80)
    )
    men = [thorax._scene({}, 4, i, 16, sex="male", age=80).patient for i in range(80)]

    def mean(people: list, name: str) -> float:
        return float(np.mean([getattr(p, name) for p in people]))

    assert mean(old, "unfolded") > mean(young, "unfolded") + 0.3
    assert mean(old, "calcified") > mean(young, "calcified") + 0.2
    assert mean(old, "bone") < mean(men, "bone") < mean(young, "bone") + 0.05
    assert mean(old, "kyphosis") > mean(men, "kyphosis") > mean(young, "kyphosis")
    assert mean(men, "breast") == 0 < mean(young, "breast")


def test_sites_differ_in_style_alone():
    """The same patient at two sites has other images, but the same lesions and prompt."""
    for index in range(4):
        shots = [thorax.draw(["mass"], seed=4, index=index, size=64, site=site, view="PA") for site in SITES]
        assert len({shot.prompt for shot in shots}) == 1
        assert len({shot.image.tobytes() for shot in shots}) == len(SITES)
        assert len({shot.lesions[0].size for shot in shots}) == 1


def test_devices_may_be_requested_or_refused():
    """A request adds or removes the devices and changes nothing else."""
    for index in range(12):
        vessel_loss, wired = (
            thorax._scene({}, 4, index, 16, devices=request).exposure for request in (False, True)
        )
        assert vessel_loss.devices == () != wired.devices
        assert {**vars(vessel_loss), "devices": ()} == {**vars(wired), "devices": ()}


@pytest.mark.parametrize("view", VIEWS)
def test_devices_are_dense_and_leave_the_truth_alone(view: str):
    """Metal brightens the image in every view. Mask and prompt do not depend on it."""
    for index in range(6):
        vessel_loss, wired = (
            thorax.draw(["edema"], seed=4, index=index, size=64, view=view, devices=d) for d in (False, True)
        )
        change = wired.image.astype(float) - vessel_loss.image
        assert change.max() > 15
        assert change.min() > -0.5 * change.max()  # edge enhancement darkens what lies beside
        assert (wired.mask == vessel_loss.mask).all()
        assert wired.prompt == vessel_loss.prompt


def test_notes_name_the_view():
    """A burnt-in note agrees with the view."""
    for view, words in (("PA", ("PA",)), ("LATERAL", ("LAT",)), ("AP", ("AP", "PORTABLE", "SUPINE"))):
        notes = {
            imaging.sample_exposure(np.random.default_rng(i), view, None, None).note for i in range(80)
        } - {""}
        assert len(notes) > 1
        assert all(any(word in note for word in words) for note in notes)


def test_prompts_name_the_findings():
    """The prompt has laterality, size and severity in words, and several findings in one sentence."""
    assert thorax.draw((), seed=0, index=0, size=16).prompt == "No acute finding."
    for index in range(20):
        study = thorax.draw({"pneumothorax": 0.1, "nodule": 0.5}, seed=4, index=index, size=16, view="PA")
        sides = {lesion.finding: lesion.side for lesion in study.lesions}
        assert f"small {sides['pneumothorax']} apical pneumothorax" in study.prompt
        assert sides["nodule"] in study.prompt
        assert study.prompt.endswith(".")
        assert study.prompt.count(".") == 1
    words = [
        thorax.draw({"effusion": g}, seed=4, index=0, size=16).prompt.split()[0] for g in (0.1, 0.5, 0.9)
    ]
    assert words == ["Small", "Moderate", "Large"]


@pytest.mark.parametrize(
    ("names", "given", "part"),
    [
        (["nodul"], {}, "Did you mean 'nodule'"),
        ({"mass": 1.5}, {}, "severity 1.5"),
        ({"mass": float("nan")}, {}, "severity nan"),
        ([], {"size": 8}, "8 pixels"),
        ([], {"size": 2048}, "2048 pixels"),
        ([], {"view": "LL"}, "LATERAL"),
        ([], {"site": "site_z"}, "site_a"),
        ([], {"sex": "F"}, "female"),
    ],
)
def test_faults_name_field_and_remedy(names: list[str], given: dict[str, object], part: str):
    """An unknown name gets a suggestion, an invalid severity or size its range."""
    with pytest.raises(BenchmarkError, match=part) as fault:
        thorax.draw(names, **{"seed": 0, "index": 0, "size": 32, **given})  # type: ignore[arg-type]
    assert fault.value.remedy
