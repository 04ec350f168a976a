"""Phantom populations: published marginals, stated errors, patients, boxes, and no shortcuts."""

from __future__ import annotations

import resource
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest

from benchmark.datasets.phantom import chexpert, cxr14, rare_lesion
from benchmark.datasets.phantom._radiographs import CohortDrawing
from benchmark.errors import BenchmarkError
from benchmark.images.disjoint import prove_disjoint
from benchmark.images.image_set import NEGATIVE, NOT_MENTIONED, POSITIVE, UNCERTAIN, ImageSet
from benchmark.phantoms.radiograph import cohort, cooccurrence, counter_rng, reports
from benchmark.protocol import load as loading
from benchmark.tasks.schema import SplitRule

SMALL_CHEXPERT = chexpert.Params(train_images=600, train_patients=200, test_images=60)
SMALL_CXR14 = cxr14.Params(
    train_images=500, train_patients=200, paper_images=80, paper_patients=30, test_images=60, at_least=8,
    test_at_least=4, boxes=20,
)  # fmt: skip
SMALL_LESION = rare_lesion.Params(positives=12, normals=200, test_per_class=20, site_per_class=20)
SOURCES = [(chexpert, SMALL_CHEXPERT), (cxr14, SMALL_CXR14), (rare_lesion, SMALL_LESION)]


def small(source, params, size: int = 16, seed: int = 0, reserve: int = 3) -> ImageSet:
    """Return all images of a small population, in the source's own classes."""
    classes = {chexpert: reports.OBSERVATIONS, cxr14: cxr14.LABELS, rare_lesion: rare_lesion.CLASSES}[source]
    return source.images(params, classes=classes, image_size=size, reserve_per_class=reserve, seed=seed)


# ----------------------------------------------------------------------------- rows by number


def test_random_numbers_of_a_row_do_not_depend_on_the_rows_before():
    """Rows 700 to 720 drawn alone are rows 700 to 720 of the first thousand; another stream differs."""
    whole = counter_rng.uniforms(5, counter_rng.STUDY, 0, 1000, 14)
    assert (whole[700:720] == counter_rng.uniforms(5, counter_rng.STUDY, 700, 20, 14)).all()
    assert (whole[:20] != counter_rng.uniforms(5, counter_rng.SHOT, 0, 20, 14)).all()
    rows = np.array([3, 999, 3, counter_rng.BLOCK * 7 + 1])
    assert (counter_rng.uniforms_at(5, counter_rng.STUDY, rows, 14)[:3] == whole[rows[:3]]).all()
    assert whole.min() >= 0
    assert whole.max() < 1
    assert whole.mean() == pytest.approx(0.5, abs=0.01)


def test_a_pair_of_scores_meets_its_known_orthant():
    """Two medians with correlation 0.5 are exceeded together in 1/4 + asin(0.5)/(2 pi) = 1/3 of the cases."""
    assert cooccurrence.correlation_for_pair(0.5, 0.5, 1 / 3) == pytest.approx(0.5, abs=2e-3)
    assert cooccurrence.correlation_for_pair(0.1, 0.2, 0.02) == pytest.approx(0.0, abs=2e-3)


def test_findings_with_impossible_correlations_keep_their_prevalence():
    """Three findings cannot all correlate at -0.9: nearest to it, fewer occur together than by chance."""
    impossible = np.where(np.eye(3) == 1, 1.0, -0.9)
    names, half = ("a", "b", "c"), np.full(3, 0.5)
    distribution = cooccurrence.FindingDistribution(names, half, impossible, lasting=0.0)
    present = distribution.present(0, np.arange(20_000), 0)
    assert present.mean(0) == pytest.approx(half, abs=0.015)
    assert present.all(1).mean() < 0.02 < 0.125


def test_every_patient_has_a_study_and_the_total_is_met():
    """65 studies of 40 patients are divided unevenly, at least one each."""
    visits = cohort.studies_per_patient(0, 40, 65, 0)
    assert (visits.sum(), visits.min()) == (65, 1)
    assert visits.max() >= 3


def test_a_patients_studies_resemble_each_other():
    """Half of a score's variance lasts: two studies of a patient share a finding more often than chance."""
    table = chexpert.sample_cohort(
        chexpert.Params(train_images=40_000, train_patients=12_000), reserve=1, seed=1
    )
    mine = table.select((table.split == "train") & (table.view != "LATERAL"))
    effusion = mine.present[:, reports.OBSERVATIONS.index("Pleural Effusion")]
    next_is_same_patient = mine.patient[1:] == mine.patient[:-1]
    agree = (effusion[1:] == effusion[:-1])[next_is_same_patient].mean()
    chance = effusion.mean() ** 2 + (1 - effusion.mean()) ** 2
    assert agree > chance + 0.1


# ----------------------------------------------------------------------------- the error model


def test_the_error_model_is_a_probability():
    """P(report | truth) lies in 0..1 and sums to 1, and the mixture over truth gives Table 1."""
    for name, rates in reports.REPORTING_RATES.items():
        reported = rates.probabilities()
        assert (reported >= 0).all()
        assert reported.sum(1) == pytest.approx([1, 1])
        mixed = np.array([1 - rates.prevalence, rates.prevalence]) @ reported
        assert mixed * reports.TRAINING_IMAGES == pytest.approx(np.array(rates.counts)), name


def test_every_row_of_table_1_counts_the_training_images():
    """Positive, uncertain, negative and not mentioned sum to 223,414 for each of Lan's 13 other rows."""
    assert {sum(s.counts) for s in reports.REPORTING_RATES.values()} == {223_414}


def test_reporting_rates_by_hand():
    """Of 100 images 20 are called positive, 15 of them correctly, and 5 of 80 unmentioned are positive."""
    rates = reports.ReportingRates(
        (20, 0, 0, 80), positive=0.75, uncertain=0.5, negative=0.0, unmentioned=1 / 16
    )
    assert rates.prevalence == pytest.approx(0.20)
    assert rates.probabilities()[1] == pytest.approx([0.75, 0, 0, 0.25])
    assert rates.probabilities()[0] == pytest.approx([5 / 80, 0, 0, 75 / 80])


def test_reports_follow_the_random_number():
    """A true pneumothorax is reported positive for a small number and not mentioned for a large one."""
    k = reports.OBSERVATIONS.index("Pneumothorax")
    present = np.zeros((3, 14), bool)
    present[:, k] = True
    chance = np.full((3, 14), 0.9999)
    chance[0, k], chance[1, k] = 0.0, 1 - 1e-9
    reported = reports.sample_reported_labels(present, chance)
    assert reported[:2, k].tolist() == [POSITIVE, NOT_MENTIONED]
    assert reported[0, 0] == NOT_MENTIONED  # a positive pathology rules out "No Finding"
    assert reported[1, 0] == POSITIVE


def test_simulated_reports_have_lans_table_1():
    """At CheXpert's size the cells of Table 1 come within 3 % or five errors, No Finding within 5 %."""
    table = chexpert.sample_cohort(chexpert.Params(), reserve=1, seed=0)
    rows = np.flatnonzero(table.split == "train")
    chance = counter_rng.uniforms_at(0, counter_rng.REPORT, table.study[rows], 14)
    reported = reports.sample_reported_labels(table.present[rows], chance)
    assert len(rows) == 223_414
    for k, (name, rates) in enumerate(reports.REPORTING_RATES.items(), start=1):
        counts = [int((reported[:, k] == s).sum()) for s in reports.REPORTED_LABELS]
        for count, published in zip(counts, rates.counts, strict=True):
            assert abs(count - published) < max(0.03 * published, 5 * np.sqrt(published)), name
    assert (reported[:, 0] == POSITIVE).sum() == pytest.approx(reports.NO_FINDING_COUNT, rel=0.05)
    assert set(np.unique(reported[:, 0])) == {POSITIVE, NOT_MENTIONED}


# ----------------------------------------------------------------------------- phantom.chexpert


def test_chexpert_lists_its_full_size_in_seconds_and_little_memory():
    """A process below 1 GB lists 224,316 images of 65,240 patients and 20,000 fresh ones in seconds."""
    code = (
        "import re, numpy as np\n"
        "from benchmark.datasets.phantom import chexpert as c\n"
        "s = c.images(c.Params(), classes=('a', 'b'), image_size=64, reserve_per_class=1000, seed=0)\n"
        "own = np.isin(s.split, ['train', 'val', 'test_paper'])\n"
        "lateral = (s.split == 'train') & (s.view == 'LATERAL')\n"
        "print(own.sum(), len(np.unique(s.patient_id[own])), lateral.sum())\n"
        # not ru_maxrss, which a process inherits from the one that started it
        "print(re.search('VmHWM:\\\\s+(\\\\d+) kB', open('/proc/self/status').read())[1])\n"
    )
    before = resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime
    out = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    ).stdout.split()
    assert [int(n) for n in out[:3]] == [224_316, 65_240, 32_387]
    assert int(out[3]) < 1_000_000  # kB
    assert resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime - before < 20


@pytest.mark.parametrize(("source", "params"), SOURCES)
def test_a_source_without_a_reserve_has_its_other_splits(source, params):
    """``data show`` requests none; phantom.rare_lesion could not draw an empty cohort."""
    assert set(small(source, params, reserve=0).split) >= {"train", "test"}
    assert "reserve" not in small(source, params, reserve=0).split


def test_chexpert_paper_splits_have_lans_table_2():
    """test_paper has 668 images, 10 with pneumothorax and 120 with effusion; val has 234, 8 and 67."""
    images = small(chexpert, SMALL_CHEXPERT)
    of = [reports.OBSERVATIONS.index(name) for name in ("Pneumothorax", "Pleural Effusion")]
    for split, n, patients, positive in (("test_paper", 668, 500, [10, 120]), ("val", 234, 200, [8, 67])):
        mine = images.select(images.split == split)
        assert (len(mine), len(mine.patients())) == (n, patients)
        assert (mine.reported_labels[:, of] == POSITIVE).sum(0).tolist() == positive


def test_chexpert_reports_err_in_train_alone():
    """Only train has uncertain and unmentioned findings; elsewhere every report is positive or negative."""
    images = small(chexpert, SMALL_CHEXPERT)
    noisy = images.reported_labels[images.split == "train"]
    assert set(np.unique(noisy)) == {POSITIVE, NEGATIVE, UNCERTAIN, NOT_MENTIONED}
    assert set(np.unique(images.reported_labels[images.split != "train"])) == {POSITIVE, NEGATIVE}
    assert (images.label == (images.reported_labels == POSITIVE)).all()


def test_chexpert_reserve_has_as_many_with_as_without():
    """The reserve has as many images with the finding of ``reserve_of`` as without, whichever it is."""
    for name in ("Pneumothorax", "Pleural Effusion"):
        params = SMALL_CHEXPERT.model_copy(update={"reserve_of": name})
        images = small(chexpert, params, reserve=30)
        labels = images.label[images.split == "reserve", reports.OBSERVATIONS.index(name)]
        assert np.bincount(labels).tolist() == [30, 30]


def test_chexpert_frontal_and_lateral_of_one_study_share_patient_and_report():
    """A lateral image belongs to a study with a frontal one, shares its report and looks different."""
    images = small(chexpert, SMALL_CHEXPERT, size=32)
    row = int(np.flatnonzero((images.view == "LATERAL") & (images.split == "train"))[0])
    frontal = images.image_id.tolist().index(images.image_id[row].removesuffix("L"))
    assert images.patient_id[row] == images.patient_id[frontal]
    assert (images.reported_labels[row] == images.reported_labels[frontal]).all()
    assert images.view[frontal] in ("PA", "AP")
    assert (images.image[row] != images.image[frontal]).any()


def test_chexpert_what_is_drawn_is_the_truth():
    """A lung lesion is a nodule or a mass, never both; an opacity without a cause is an infiltration."""
    table = chexpert.sample_cohort(SMALL_CHEXPERT, reserve=1, seed=0)
    drawing = chexpert.draw_cohort(table, 0)
    truth = dict(zip(reports.OBSERVATIONS, table.present.T, strict=True))
    drawn = dict(zip(drawing.names, drawing.visible.T, strict=True))
    assert (drawn["nodule"] ^ drawn["mass"] == truth["Lung Lesion"]).all()
    assert (drawn["pneumothorax"] == truth["Pneumothorax"]).all()
    assert not (drawn["infiltration"] & truth["Edema"]).any()
    assert not drawing.visible[truth["No Finding"]].any()


def test_chexpert_unknown_observation_is_refused():
    """A misspelled ``reserve_of`` is refused, with the field and a suggestion."""
    with pytest.raises(BenchmarkError, match=r"reserve_of.*Pneumothorx.*\n?.*Pneumothorax"):
        small(chexpert, SMALL_CHEXPERT.model_copy(update={"reserve_of": "Pneumothorx"}))


# ----------------------------------------------------------------------------- phantom.cxr14


@pytest.fixture(scope="module")
def nih() -> np.ndarray:
    """(112120, 14) findings of a population of ChestX-ray14's size."""
    people = cxr14._population()
    return people.cohort(0, 30_805, 112_120, first_patient=0, first_study=0, split="train").present


def test_cxr14_marginals_are_those_of_chestxray14(nih: np.ndarray):
    """Every finding comes within 7 % or four standard errors, the unfitted No Finding within 3 %."""
    expected = np.array(list(cxr14.COUNTS.values()))
    assert (np.abs(nih.sum(0) - expected) < np.maximum(0.07 * expected, 4 * np.sqrt(expected))).all()
    assert (~nih.any(1)).sum() == pytest.approx(60_361, rel=0.03)


def test_cxr14_findings_occur_together_as_published(nih: np.ndarray):
    """Pairs of 300 images or more come within 15 %. Edema favors effusion, a nodule hardly."""
    both = nih.T.astype(int) @ nih.astype(int)
    for i, row in enumerate(cxr14.PAIRS):
        for j, published in enumerate(row, start=i + 1):
            if published >= 300:
                assert both[i, j] == pytest.approx(published, rel=0.15), (i, j)
    names = list(cxr14.COUNTS)
    effusion, total = names.index("Effusion"), len(nih)
    for name, more in (("Edema", True), ("Atelectasis", True), ("Consolidation", True), ("Nodule", False)):
        k = names.index(name)
        independent = both[k, k] * both[effusion, effusion] / total
        assert (both[k, effusion] > 1.5 * independent) == more


def test_cxr14_small_sets_have_every_label():
    """``at_least`` and ``test_at_least`` fill up train and test; reserve has each label as the rarest."""
    images = small(cxr14, SMALL_CXR14)
    assert images.label[images.split == "train"].sum(0).min() >= 8
    assert images.label[images.split == "test"].sum(0).min() >= 4
    rarest = images.select(images.split == "reserve").to_single_label()
    assert np.bincount(rarest.label, minlength=15).min() >= 1
    assert (images.split == "reserve").sum() == 3 * 15


def test_cxr14_no_finding_is_the_absence_of_findings():
    """The first label is 1 exactly where the 14 others are 0, with and without errors of text mining."""
    for error in (0.0, 0.2):
        label = small(cxr14, SMALL_CXR14.model_copy(update={"nlp_error": error})).label
        assert (label[:, 0] == (label[:, 1:].sum(1) == 0)).all()


def test_cxr14_text_mining_errs_as_requested_and_preserves_the_counts():
    """With an error of 10 % a tenth of the positives is missed in train, and as many are reported falsely."""
    params = cxr14.Params(train_images=60_000, train_patients=20_000, boxes=0)
    table = cxr14.sample_cohort(params, reserve=0, seed=2)
    named = cxr14.text_mined_labels(table, 0.1, 2)
    train, k = table.split == "train", list(cxr14.COUNTS).index("Infiltration")
    true, reported = table.present[train, k], named[train, k]
    assert (true & ~reported).sum() / true.sum() == pytest.approx(0.1, abs=0.01)
    assert reported.sum() == pytest.approx(true.sum(), rel=0.03)
    assert (named[table.split == "test"] == table.present[table.split == "test"]).all()


def test_cxr14_boxes_frame_the_finding():
    """Train alone has the requested boxes, each inside the image and around a part of its mask."""
    images = small(cxr14, SMALL_CXR14, size=48)
    rows = np.flatnonzero(np.isfinite(images.box[:, 0]))
    assert 15 <= len(rows) <= 20
    assert set(images.split[rows]) == {"train"}
    for row in rows:
        left, top, width, height = images.box[row].astype(int)
        assert min(left, top) >= 0
        assert max(left + width, top + height) <= 48
        assert images.mask[int(row)][top : top + height, left : left + width].any()


# ----------------------------------------------------------------------------- phantom.rare_lesion


def test_rare_lesion_counts_sites_and_truth():
    """Counts are the requested ones, site_b is in test alone, and every lesion has a mask and a box."""
    images = small(rare_lesion, SMALL_LESION, size=48)
    train = images.select(images.split == "train")
    assert train.counts() == {"normal": 200, **dict.fromkeys(rare_lesion.LESIONS, 12)}
    assert set(train.site) == {"site_a"}
    assert np.unique(images.site[images.split == "test"], return_counts=True)[1].tolist() == [100, 100]
    assert (np.isfinite(train.box[:, 0]) == (train.label != 0)).mean() > 0.99
    sick = train.select(train.label != 0)
    for box, mask in zip(sick.box, sick.mask, strict=True):
        left, top, width, height = box.astype(int)
        assert (mask > 0).sum() == (mask[top : top + height, left : left + width] > 0).sum()


def test_rare_lesion_prompts_name_the_lesion_and_its_side():
    """The prompt names the lesion, and the side of a one-sided lesion."""
    images = small(rare_lesion, SMALL_LESION)
    for name, text in zip(np.array(rare_lesion.CLASSES)[images.label], images.prompt, strict=True):
        assert (name if name != "normal" else "no acute finding") in text.lower()
        if name in ("pneumothorax", "nodule"):
            assert "left" in text.lower() or "right" in text.lower()


def test_rare_lesion_takes_some_of_the_classes():
    """A task may use two classes, in another order."""
    images = rare_lesion.images(
        SMALL_LESION, classes=("nodule", "normal"), image_size=16, reserve_per_class=2, seed=0
    )
    assert images.classes == ("nodule", "normal")
    assert images.select(images.split == "train").counts() == {"nodule": 12, "normal": 200}


# ----------------------------------------------------------------------------- all three


@pytest.mark.parametrize(("source", "params"), SOURCES)
def test_no_patient_in_two_splits(source, params):
    """Provided splits and the val drawn from train share neither patient nor image."""
    if source is chexpert:
        images = small(source, params)
        patients = {s: set(images.patient_id[images.split == s]) for s in np.unique(images.split)}
        names = list(patients)
        assert not any(patients[a] & patients[b] for i, a in enumerate(names) for b in names[:i])
        return
    classes = cxr14.LABELS if source is cxr14 else rare_lesion.CLASSES
    splits = loading.load(
        source, params, classes=classes, image_size=24, split=SplitRule(val=0.25), reserve_per_class=3, seed=0
    )
    prove_disjoint(splits)


@pytest.mark.parametrize(("source", "params"), SOURCES)
def test_an_image_follows_from_seed_and_number(source, params):
    """The same seed gives the same table and images in any order of reading, another seed others."""
    one, two, other = (small(source, params, seed=s) for s in (0, 0, 1))
    rows = np.array([7, 3, len(one) - 1])
    assert (one.image[rows] == two.image[rows[::-1]][::-1]).all()
    assert (one.label == two.label).all()
    assert (one.age == two.age).all()
    assert (one.image[rows] != other.image[rows]).any()


@pytest.mark.parametrize(("source", "params"), SOURCES)
def test_the_fingerprint_changes_with_the_parameters(source, params):
    """Other parameters give another fingerprint."""
    assert source.fingerprint(params) == source.fingerprint(params.model_copy())
    assert source.fingerprint(params) != source.fingerprint(source.Params())


@pytest.mark.parametrize(("source", "params"), SOURCES)
def test_a_size_that_cannot_be_drawn_is_refused(source, params):
    """A size of 8 pixels is refused, and the error names the possible sizes."""
    with pytest.raises(BenchmarkError, match="16 to 1024"):
        small(source, params, size=8)


def test_more_patients_than_images_are_refused():
    """More patients than images are refused, with the split and both numbers."""
    with pytest.raises(BenchmarkError, match=r"phantom train: 60 images, .* for 100 patients"):
        small(chexpert, chexpert.Params(train_images=60, train_patients=100, test_images=50))


def test_view_sex_age_and_site_do_not_depend_on_the_finding():
    """In 20,000 fresh patients a finding is as frequent in every view, sex, site and age, to 4 errors."""
    for people in (chexpert._population(), cxr14._population()):
        table = people.fresh(3, 0, 20_000, "test")
        groups = [table.view == "AP", table.sex == "male", table.site == table.site[0], table.age > 50]
        for group in groups:
            share, rest = table.present[group].mean(0), table.present[~group].mean(0)
            p = table.present.mean(0)
            error = np.sqrt(p * (1 - p) * (1 / group.sum() + 1 / (~group).sum()))
            assert (np.abs(share - rest) < 4.2 * error).all()


def _balanced_accuracy(features: np.ndarray, label: np.ndarray) -> float:
    """Return the balanced accuracy of a logistic regression, fitted on one half and tested on the other."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.metrics import balanced_accuracy_score
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    half = len(label) // 2
    model = make_pipeline(StandardScaler(), LogisticRegression(C=0.1, max_iter=500))
    model.fit(features[:half], label[:half])
    return float(balanced_accuracy_score(label[half:], model.predict(features[half:])))


@pytest.fixture(scope="module")
def lesion_images() -> tuple[np.ndarray, np.ndarray]:
    """1000 fresh frontal images of the five classes of rare_lesion, 32 pixels, in [0, 1]."""
    label = np.arange(1000) % 5
    table = rare_lesion._labeled(50_000_000, label, "site_a", "test", 9)
    drawing = CohortDrawing(table, rare_lesion.LESIONS, table.present, 9)
    return np.stack(drawing.images(range(len(table)), 32)) / 255, label


def test_corners_do_not_reveal_the_lesion(lesion_images: tuple[np.ndarray, np.ndarray]):
    """Corners and frame, with markers and borders, are near chance, which is 0.20."""
    image, label = lesion_images
    corners = [image[:, a, b].reshape(len(image), -1) for a in (slice(5), slice(-5, None))
               for b in (slice(5), slice(-5, None))]  # fmt: skip
    assert _balanced_accuracy(np.concatenate(corners, 1), label) < 0.30


def test_mean_intensity_does_not_reveal_the_lesion(lesion_images: tuple[np.ndarray, np.ndarray]):
    """Mean and deviation of intensity are near chance, which is 0.20."""
    image, label = lesion_images
    assert _balanced_accuracy(np.stack([image.mean((1, 2)), image.std((1, 2))], 1), label) < 0.33


def test_corners_and_mean_intensity_do_not_reveal_the_pneumothorax():
    """In 500 fresh frontal images, half of them with pneumothorax, both are near chance, which is 0.50."""
    people, k = chexpert._population(), list(reports.REPORTING_RATES).index("Pneumothorax")
    table = people.fresh_by_group(
        7, 60_000_000, "test", np.array([250, 250]), lambda t: t.present[:, k].astype(int), source="test"
    )
    table = table.select(np.random.default_rng(0).permutation(500))
    table = replace(table, present=np.hstack([np.zeros((500, 1), bool), table.present]))
    drawing = replace(chexpert.draw_cohort(table, 7), minimum_severity={})
    image = np.stack(drawing.images(range(500), 24)) / 255
    corners = [image[:, a, b].reshape(500, -1) for a in (slice(4), slice(-4, None))
               for b in (slice(4), slice(-4, None))]  # fmt: skip
    label = table.present[:, k + 1].astype(int)
    assert _balanced_accuracy(np.concatenate(corners, 1), label) < 0.60
    assert _balanced_accuracy(np.stack([image.mean((1, 2)), image.std((1, 2))], 1), label) < 0.60
