"""Phantom lung ultrasound: population, physics, clips, truth, and no shortcuts."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmark.datasets.phantom import ultrasound
from benchmark.datasets.phantom._common import Phantom
from benchmark.errors import BenchmarkError, DataError
from benchmark.images.disjoint import prove_disjoint
from benchmark.images.image_set import ImageSet
from benchmark.phantoms.ultrasound import chest as us_chest
from benchmark.phantoms.ultrasound import console as us_console
from benchmark.phantoms.ultrasound import echo as us_echo
from benchmark.phantoms.ultrasound import findings as us_findings
from benchmark.phantoms.ultrasound import layers as us_layers
from benchmark.phantoms.ultrasound import population as us_population
from benchmark.phantoms.ultrasound import probe as us_probe
from benchmark.phantoms.ultrasound.population import Counts
from benchmark.protocol import load as loading
from benchmark.tasks.schema import SplitRule

CLASSES = ultrasound.CLASSES
SICK = ("covid19", "pneumonia")
PROBE = us_probe.Probe(radius=60, half_angle=0.55, depth=120, focus=40)


@pytest.fixture(scope="module")
def cohort() -> ImageSet:
    """The default source at 16 pixels with few fresh patients, not drawn."""
    return ultrasound.images(
        ultrasound.Params(test_per_class=4), classes=CLASSES, image_size=16, reserve_per_class=2, seed=0
    )


@pytest.fixture(scope="module")
def fresh() -> tuple[np.ndarray, np.ndarray]:
    """750 fresh patients at 32 pixels in [0, 1], classes in turn, and their labels."""
    label = np.arange(750) % 3
    images = [frame(CLASSES[k], patient=i, size=32, seed=5).image for i, k in enumerate(label)]
    return np.stack(images) / 255, label


def frame(
    finding: str, *, seed: int = 0, patient: int = 0, clip: int = 0, number: int = 0, size: int = 64
) -> Phantom:
    return ultrasound.draw(finding, seed=seed, patient=patient, clip=clip, frame=number, size=size)


def bare_scene(
    patient: int = 0, **lung: object
) -> tuple[us_chest.Patient, us_chest.Placement, us_findings.Finding, us_chest.ScanLines]:
    """A chest without ribs, organ or poor contact, and a normal lung with these attributes."""
    person = us_chest.sample_patient(np.random.default_rng([1, patient]))
    place = us_chest.sample_placement(np.random.default_rng([2, patient]))
    place = replace(place, across_ribs=False, organ=float("inf"), contact=(0.0, 0.0), uneven=0.0, falloff=0.0)
    finding = us_findings.Finding(thickness=1.0, rough=0.0, broken=0.0, a_lines=1.0, haze=-60.0, decay=0.0)
    return person, place, replace(finding, **lung), us_chest.scan_lines(person, place, 0)  # type: ignore[arg-type]


# --- who is in it


def test_counts_are_those_of_zhang_table_1(cohort: ImageSet):
    """Each class has its videos, images and frames of Table 1. Frames include images, 1994 in all."""
    train = cohort.select(cohort.split == "train")
    assert train.clip is not None
    assert train.counts() == {"covid19": 823, "pneumonia": 267, "healthy": 904}
    for k, (videos, stills) in enumerate(((56, 19), (14, 8), (36, 5))):
        clips = train.clip[train.label == k]
        assert len(set(clips[clips != ""])) == videos
        assert (clips == "").sum() == stills


def test_patients_scale_those_of_the_pocus_pack(cohort: ImageSet):
    """The classes have 21, 20 and 21 patients, of one class each. A test image is another patient."""
    train = cohort.select(cohort.split == "train")
    assert [len(train.of_class(k).patients()) for k in range(3)] == [21, 20, 21]
    assert len(train.patients()) == 62
    for column in (train.clip, train.patient_id):
        assert column is not None
        pairs = {(name, k) for name, k in zip(column, train.label, strict=True) if name}
        assert len(pairs) == len({name for name, _ in pairs})
    test = cohort.select(cohort.split == "test")
    assert test.counts() == dict.fromkeys(CLASSES, 4)
    assert len(test.patients()) == 12


def test_frames_of_a_clip_are_numbered_without_gap(cohort: ImageSet):
    """The frames of a video have the numbers from 0 on."""
    assert cohort.clip is not None
    for clip in set(cohort.clip) - {""}:
        numbers = sorted(int(i.split("-f")[1]) for i in cohort.image_id[cohort.clip == clip])
        assert numbers == list(range(len(numbers)))


def test_folds_are_disjoint_by_patient():
    """Five folds are disjoint by patient. The fold is test_paper beside the fresh test."""
    params = ultrasound.Params(
        videos=dict.fromkeys(CLASSES, 8), images=dict.fromkeys(CLASSES, 4), frames=dict.fromkeys(CLASSES, 24),
        video_patients=dict.fromkeys(CLASSES, 6), image_patients=dict.fromkeys(CLASSES, 4), test_per_class=3,
    )  # fmt: skip
    rule = SplitRule(folds=5, fold=2, val=0.2)
    splits = loading.load(
        ultrasound, params, classes=CLASSES, image_size=16, split=rule, reserve_per_class=2, seed=1
    )
    prove_disjoint(splits)
    assert set(splits.test.counts().values()) == {3}
    assert min(splits.more_tests["test_paper"].counts().values()) > 0


def test_metadata_do_not_reveal_the_class():
    """Site, sex and age of 600 fresh patients do not depend on the class (chi-square)."""
    from scipy.stats import chi2_contingency

    fresh = ultrasound.images(
        ultrasound.Params(test_per_class=200), classes=CLASSES, image_size=16, reserve_per_class=1, seed=3
    )
    test = fresh.select(fresh.split == "test")
    assert test.age is not None
    for column in (test.site, test.sex, test.age // 20):
        _, codes = np.unique(column, return_inverse=True)
        table = np.zeros((3, codes.max() + 1))
        np.add.at(table, (test.label, codes), 1)
        assert chi2_contingency(table[:, table.sum(0) > 10]).pvalue > 0.001


@given(
    st.integers(1, 12),
    st.integers(0, 6),
    st.integers(0, 40),
    st.integers(1, 12),
    st.integers(0, 6),
    st.integers(0, 9),
)
@settings(max_examples=60, deadline=None)
def test_cohorts_have_the_requested_counts(
    videos: int, stills: int, more: int, people: int, owners: int, seed: int
):
    """Counts that do not contradict each other are met exactly, and every patient has a scan."""
    people, owners = min(people, videos), min(max(owners, int(stills > 0)), stills)
    rows = us_population.cohort(
        {"healthy": Counts(videos, stills, videos + stills + more, people, owners)}, seed=seed
    )
    assert len(rows) == videos + stills + more
    assert len({r.patient for r in rows}) == people + owners
    assert len({(r.patient, r.clip) for r in rows if not r.still}) == videos
    assert len(set(rows)) == len(rows)


# --- an image is named by version, seed, patient, clip and frame


def test_an_image_is_named_by_its_numbers(cohort: ImageSet):
    """An image has the same bytes alone, from the set and in any order. Another seed gives others."""
    for row in (700, 3):
        patient, clip, number = (int(part[1:]) for part in str(cohort.image_id[row]).split("-")[2:])
        name = CLASSES[cohort.label[row]]
        alone = frame(name, patient=patient, clip=clip, number=number, size=16)
        assert (alone.image == cohort.image[row]).all()
        assert (alone.mask == cohort.mask[row]).all()
        assert (
            frame(name, seed=1, patient=patient, clip=clip, number=number, size=16).image != alone.image
        ).any()


def test_another_finding_leaves_patient_view_and_console():
    """The chest wall in the near field is the same whatever the finding."""
    for patient in range(10):
        scenes = []
        for name in CLASSES:
            rng = ultrasound._stream(0, 4, patient, 0)
            person = us_chest.sample_patient(ultrasound._stream(0, 1, patient))
            place = us_chest.sample_placement(ultrasound._stream(0, 2, patient, 0))
            lines = us_chest.scan_lines(person, place, 0)
            echo = us_echo.assemble(person, place, us_findings.sample_finding(name, rng), lines)
            above = us_probe.depths(place.probe) < lines.pleura - 4
            scenes.append(echo.diffuse[above])
        assert (scenes[0] == scenes[1]).all()
        assert (scenes[0] == scenes[2]).all()


@pytest.mark.parametrize(("fine", "coarse"), [(256, 64), (128, 32)])
def test_sizes_show_the_same_image(fine: int, coarse: int):
    """A large image, averaged down, is close to the small image of the same numbers."""
    gaps = []
    for patient in range(6):
        large, little = (
            frame(CLASSES[patient % 3], patient=patient, size=s).image.astype(float) for s in (fine, coarse)
        )
        k = fine // coarse
        gaps.append(np.abs(large.reshape(coarse, k, coarse, k).mean((1, 3)) - little).mean())
    assert np.mean(gaps) < 4


# --- clips


def correlation(one: np.ndarray, two: np.ndarray) -> float:
    return float(np.corrcoef(one.ravel().astype(float), two.ravel().astype(float))[0, 1])


def test_frames_of_a_clip_are_alike_and_clips_are_not():
    """Adjacent frames correlate more than distant ones, and those more than another clip."""
    near, far, other = [], [], []
    for patient in range(12):
        name = CLASSES[patient % 3]
        first = frame(name, patient=patient).image
        near.append(correlation(first, frame(name, patient=patient, number=1).image))
        far.append(correlation(first, frame(name, patient=patient, number=5).image))
        other.append(correlation(first, frame(name, patient=patient, clip=1).image))
    assert min(near) > 0.8
    assert max(near) < 0.9999
    assert np.mean(near) > np.mean(far) > np.mean(other) + 0.1


def test_lung_slides_along_the_chest():
    """The pleura moves smoothly with breathing, by the patient's reach, while the ribs stay."""
    person, place, _, _ = bare_scene(3)
    place = replace(place, sweep=0.0)
    over_time = [us_chest.scan_lines(person, place, n) for n in range(60)]
    slide = np.array([float((s.lung - s.chest)[0, 64]) for s in over_time]) + place.along
    assert np.ptp(slide) == pytest.approx(2 * person.breath, rel=0.05)
    assert np.abs(np.diff(slide)).max() <= person.breath * 2 * np.pi * person.breath_rate / 3 + 1e-3
    middle = np.array([s.chest[0, 64] for s in over_time])
    assert np.ptp(middle) < 1.0


# --- physics


def test_speckle_is_fully_developed():
    """Uncompressed uniform tissue has a mean of 1.91 deviations (Rayleigh) and power 1 everywhere."""
    echoes = np.stack([us_probe.speckle(us_probe.white(np.random.default_rng(k)), PROBE) for k in range(12)])
    size = np.hypot(echoes[:, 0], echoes[:, 1])
    assert size.mean() / size.std() == pytest.approx(1.91, abs=0.04)
    for rows in (slice(0, 60), slice(80, 140), slice(190, 256)):
        part = size[:, rows]
        assert (part**2).mean() == pytest.approx(1, abs=0.06)
        assert part.mean() / part.std() == pytest.approx(1.91, abs=0.08)


def test_beam_widens_away_from_the_focus():
    """Speckle is wider far from the focus than at it."""
    echoes = np.stack(
        [us_probe.speckle(us_probe.white(np.random.default_rng(k)), PROBE)[0] for k in range(12)]
    )

    def likeness(depth: float) -> float:
        row = int(depth / PROBE.depth * us_probe.SAMPLES)
        part = echoes[:, row - 8 : row + 8]
        return correlation(part[..., :-3], part[..., 3:])

    assert likeness(115) > likeness(40) + 0.3


def test_a_lines_lie_at_multiples_of_the_pleural_depth():
    """Along every scan line the surfaces peak at one, two and three times the depth of the pleura."""
    checked = 0
    for patient in range(12):
        _, place, lung, lines = bare_scene(patient)
        layers = us_layers.find_layers(lung, place, lines)
        depth = us_probe.depths(place.probe)
        shown = us_echo._surfaces(lung, place, lines, layers, depth, np.zeros_like(depth))
        for line in (50, 64, 80):
            if lines.facing[0, line] < 0.8:
                continue
            for order in (1, 2, 3):
                expected = order * lines.pleura[0, line]
                near = np.abs(depth[:, 0] - expected) < 0.4 * lines.pleura[0, line]
                if expected > place.probe.depth - 3:
                    continue
                peak = depth[near, 0][shown[near, line].argmax()]
                assert peak == pytest.approx(expected, abs=0.75 * place.probe.depth / us_probe.SAMPLES + 0.2)
                checked += 1
    assert checked > 30


def test_below_a_rib_is_shadow_alone():
    """The middle of a rib transmits at least 30 dB less than its side, and no surface shows below."""
    seen = 0
    for patient in range(20):
        person, place, lung, lines = bare_scene(patient)
        place = replace(place, across_ribs=True)
        cover, bone = us_chest.ribs(person, place, lines)
        depth = us_probe.depths(place.probe)
        echo = us_echo.assemble(person, place, lung, lines)
        for line in np.flatnonzero(cover[0] == 1):
            under = depth[:, 0] > bone[0, line] + 4
            assert 20 * np.log10(echo.through[under, line].max()) < -30
            assert echo.specular[under, line].max() < 0.02
            surface = np.abs(depth[:, 0] - bone[0, line]) < 0.7
            assert echo.specular[surface, line].max() > 0.3
            seen += 1
    assert seen > 40


def test_b_line_runs_from_pleura_to_bottom():
    """A comet tail starts at the pleura, is as strong at the bottom, and hides A-lines on its way."""
    tail = us_findings.BLine(at=0.0, width=2.0, level=-12.0, fade=0.0, flicker=0.0)
    person, place, lung, lines = bare_scene(1, b_lines=(tail,))
    depth = us_probe.depths(place.probe)
    without = us_echo.assemble(person, place, replace(lung, b_lines=()), lines)
    echo = us_echo.assemble(person, place, lung, lines)
    line = int(np.abs(lines.lung[0]).argmin())
    below = depth[:, 0] > lines.pleura[0, line] + 2
    assert echo.diffuse[below, line].min() > -19
    assert np.ptp(echo.diffuse[below, line]) < 2
    above = depth[:, 0] < lines.pleura[0, line] - 1
    assert (echo.diffuse[above] == without.diffuse[above]).all()
    second = int(2 * lines.pleura[0, line] / place.probe.depth * us_probe.SAMPLES)
    assert echo.specular[second, line] < 0.3 * without.specular[second, line]


def test_effusion_is_dark_and_airless_lung_between():
    """From the pleura down lie fluid without echoes, airless lung with some, and the bright border of air."""
    consolidation = us_findings.Consolidation(at=0.0, half_width=40.0, depth=30.0)
    person, place, lung, lines = bare_scene(
        2,
        consolidations=(consolidation,),
        effusion=15.0,
        effusion_width=60.0,
        echo=-25.0,
        haze=-15.0,
        shred=0.0,
    )
    place = replace(place, probe=PROBE)
    lines = us_chest.scan_lines(person, place, 0)
    layers = us_layers.find_layers(lung, place, lines)
    echo = us_echo.assemble(person, place, lung, lines)
    depth = us_probe.depths(PROBE)[:, 0]
    line = int(np.abs(lines.lung[0]).argmin())
    ends = [float(v[0, line]) for v in (lines.pleura, layers.fluid, layers.solid)]
    fluid = echo.diffuse[(depth > ends[0] + 2) & (depth < ends[1] - 2), line].mean()
    solid = echo.diffuse[(depth > ends[1] + 3) & (depth < ends[2] - 4), line].mean()
    behind = echo.diffuse[(depth > ends[2] + 4) & (depth < ends[2] + 20), line].mean()
    assert fluid < solid - 10 < behind - 10
    inside = (depth > ends[0] + 1) & (depth < ends[2] - 1)
    assert echo.mask[inside, line].all()
    assert not echo.mask[depth < ends[0] - 1].any(1).all()


def test_scan_conversion_keeps_angles_and_depths():
    """A bright sample appears at its depth and angle, in a mirrored image on the other side."""
    window = us_probe.Window(left=-80, top=0, width=160, height=160, mirrored=False)
    polar = np.zeros((us_probe.SAMPLES, us_probe.LINES), np.float32)
    row, line = 100, 100
    polar[row - 2 : row + 3, line - 2 : line + 3] = 1
    radius = PROBE.radius + us_probe.depths(PROBE)[row, 0]
    angle = us_probe.angles(PROBE)[0, line]
    x, y = radius * np.sin(angle), radius * np.cos(angle) - PROBE.radius
    for mirrored, column in ((False, (x + 80) / 160), (True, (80 - x) / 160)):
        shown = us_probe.scan_convert(polar, PROBE, replace(window, mirrored=mirrored), 200)
        at = np.average(np.indices(shown.shape).reshape(2, -1), axis=1, weights=shown.ravel())
        assert at == pytest.approx([y / 160 * 200 - 0.5, column * 200 - 0.5], abs=0.6)


# --- truth


def test_masks_are_of_the_sick_alone():
    """A healthy lung has no mask, and nearly every sick image has one."""
    assert not any(frame("healthy", patient=k, size=32).mask.any() for k in range(40))
    for name in SICK:
        masks = [frame(name, patient=k, size=32).mask for k in range(60)]
        assert np.mean([m.any() for m in masks]) > 0.8
        assert set(np.unique(masks)) == {0, 255}


def test_mask_covers_the_dark_of_pneumonia_and_the_bright_of_covid():
    """Pneumonia is darker inside its mask than the same scan of a healthy lung, COVID-19 brighter."""
    change: dict[str, list[float]] = {name: [] for name in SICK}
    for name in SICK:
        for patient in range(50):
            sick, well = (frame(c, patient=patient) for c in (name, "healthy"))
            inside = sick.mask > 0
            if inside.mean() > 0.03:
                rest = (well.image > 0) & ~inside
                gap = sick.image.astype(float) - well.image
                change[name].append(gap[inside].mean() - gap[rest].mean())
    assert np.mean(change["pneumonia"]) < -5
    assert np.mean(change["covid19"]) > 10


# --- no shortcuts


def probe(features: np.ndarray, label: np.ndarray) -> float:
    """Balanced accuracy of a logistic regression on the second half of fresh balanced data."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.metrics import balanced_accuracy_score
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    half = len(label) // 2
    model = make_pipeline(StandardScaler(), LogisticRegression(C=0.05, max_iter=500))
    model.fit(features[:half], label[:half])
    return float(balanced_accuracy_score(label[half:], model.predict(features[half:])))


def test_corners_and_marks_do_not_reveal_the_class(fresh: tuple[np.ndarray, np.ndarray]):
    """A classifier of the corners, with ruler, logo and lettering, reaches at most 0.43; chance is 0.33."""
    images, label = fresh
    tiles = [images[:, r, c].reshape(len(images), -1)
             for r in (slice(0, 4), slice(28, 32)) for c in (slice(0, 4), slice(28, 32))]  # fmt: skip
    assert probe(np.concatenate(tiles, 1), label) <= 0.43


def test_shape_of_the_sector_does_not_reveal_the_class(fresh: tuple[np.ndarray, np.ndarray]):
    """A classifier of the black pixels at both sides reaches at most 0.43."""
    images, label = fresh
    sides = np.concatenate([images[:, :, :3], images[:, :, -3:]], 2)
    assert probe((sides > 0.02).reshape(len(images), -1).astype(float), label) <= 0.43


def test_mean_intensity_hardly_reveals_the_class(fresh: tuple[np.ndarray, np.ndarray]):
    """Mean and deviation of intensity reach at most 0.45: the console equalizes most of the gain."""
    images, label = fresh
    mean = images.mean((1, 2))
    assert probe(np.stack([mean, mean**2, images.std((1, 2))], 1), label) <= 0.45


def test_the_probe_can_see(fresh: tuple[np.ndarray, np.ndarray]):
    """The same classifier of the whole image is well above chance, so the limits above are meaningful."""
    images, label = fresh
    pooled = images.reshape(-1, 8, 4, 8, 4).mean((2, 4)).reshape(len(images), -1)
    assert probe(pooled, label) > 0.5


def test_marks_are_independent_of_the_finding():
    """The scanner's settings come from a stream that is independent of the finding."""
    one, two = (us_console.sample_console(ultrasound._stream(0, 3, 9, 1), "site_b") for _ in range(2))
    assert one == two
    assert set(us_console.MARKS) >= set(one.marks)


# --- faults


@pytest.mark.parametrize(
    ("classes", "params", "part"),
    [
        (("healthy", "asthma"), {}, "unknown class 'asthma'"),
        (CLASSES, {"videos": {"healthy": 5}}, "lacks 'covid19'"),
        (
            CLASSES,
            {"video_patients": {"covid19": 80, "pneumonia": 12, "healthy": 16}},
            "80 patients for 56 scans",
        ),
        (CLASSES, {"frames": {"covid19": 20, "pneumonia": 267, "healthy": 904}}, "20 frames for 19 images"),
        (
            CLASSES,
            {"image_patients": {"covid19": 0, "pneumonia": 8, "healthy": 5}},
            "0 patients for 19 scans",
        ),
    ],
)
def test_faults_name_field_and_remedy(classes: tuple[str, ...], params: dict[str, object], part: str):
    """An unknown class, a missing count and counts that contradict each other are refused."""
    with pytest.raises(BenchmarkError, match=part) as fault:
        ultrasound.images(
            ultrasound.Params(**params),  # type: ignore[arg-type]
            classes=classes, image_size=16, reserve_per_class=1, seed=0,
        )  # fmt: skip
    assert fault.value.remedy


def test_size_that_cannot_be_drawn_is_refused():
    """A size below 16 pixels is refused."""
    with pytest.raises(DataError, match="8 pixels"):
        frame("healthy", size=8)


def test_fingerprint_follows_the_parameters():
    """The same parameters give the same fingerprint, other parameters another."""
    assert ultrasound.fingerprint(ultrasound.Params()) == ultrasound.fingerprint(ultrasound.Params())
    assert ultrasound.fingerprint(ultrasound.Params()) != ultrasound.fingerprint(
        ultrasound.Params(test_per_class=1)
    )
