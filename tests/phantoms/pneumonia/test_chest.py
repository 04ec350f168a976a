"""Phantom chest radiographs: population, splits, truth, physics, and no shortcuts."""

from __future__ import annotations

import numpy as np
import pytest

from benchmark.datasets.phantom import chest
from benchmark.errors import BenchmarkError, DataError
from benchmark.images.disjoint import prove_disjoint
from benchmark.images.image_set import Splits
from benchmark.phantoms import quotas
from benchmark.phantoms.canvas import fields
from benchmark.phantoms.pneumonia import acquisition, anatomy, findings, population
from benchmark.protocol import load as loading
from benchmark.tasks.schema import SplitRule

CLASSES = ("healthy", "fungal", "covid19", "bacterial", "viral")
SICK = CLASSES[1:]
ONE_EACH = {"train_counts": dict.fromkeys(CLASSES, 1), "test_counts": dict.fromkeys(CLASSES, 1)}


def small(classes: tuple[str, ...] = CLASSES, val: float = 0.15, **params: object) -> Splits:
    """The whole cohort at 16 pixels with few fresh patients."""
    settings = chest.Params(**{"test_per_class": 3, **params})  # type: ignore[arg-type]
    rule = SplitRule(val=val)
    return loading.load(
        chest, settings, classes=classes, image_size=16, split=rule, reserve_per_class=2, seed=0
    )


@pytest.fixture(scope="module")
def splits() -> Splits:
    return small()


@pytest.fixture(scope="module")
def fresh() -> tuple[np.ndarray, np.ndarray]:
    """1000 fresh images of 32 pixels in [0, 1], classes in turn, and their labels."""
    label = np.arange(1000) % 5
    images = [chest.draw(CLASSES[k], seed=5, index=i, size=32).image for i, k in enumerate(label)]
    return np.stack(images) / 255, label


def test_counts_are_those_of_schaudt_table_2(splits: Splits):
    """Train and val together have 865 images, the paper's second split 217, by class as in Table 2."""
    learn = {c: splits.train.counts()[c] + splits.val.counts()[c] for c in CLASSES}
    assert learn == {"healthy": 543, "fungal": 96, "covid19": 87, "bacterial": 81, "viral": 58}
    paper = {"healthy": 130, "fungal": 29, "covid19": 23, "bacterial": 19, "viral": 16}
    assert splits.more_tests["test_paper"].counts() == paper
    assert set(splits.test.counts().values()) == {3}
    assert set(splits.reserve.counts().values()) == {2}


def test_828_patients_in_disjoint_splits(splits: Splits):
    """The cohort has 828 patients, some with several images. No patient and no image is in two splits."""
    proof = prove_disjoint(splits)
    assert sum(proof["patients"][name] for name in ("train", "val", "test_paper")) == 828
    assert proof["patients"]["test"] == len(splits.test)
    assert proof["images"]["train"] > proof["patients"]["train"]


def test_margins_are_those_of_schaudt_table_1(splits: Splits):
    """Sex, view and age by image as in Table 1, and 486 of the 828 patients are male (section 3.1)."""
    both = [splits.train, splits.val]
    paper = splits.more_tests["test_paper"]
    assert paper is not None
    assert sum((s.sex == "male").sum() for s in both) == 533
    assert (paper.sex == "male").sum() == 134
    assert sum((s.view == "AP").sum() for s in both) == 238
    assert (paper.view == "AP").sum() == 68
    edges = [18, 20, 30, 40, 50, 60, 70, 80, 90]
    ages = np.concatenate([s.age for s in both])
    assert np.histogram(ages, edges)[0].tolist() == [20, 110, 105, 127, 191, 171, 102, 39]
    assert np.histogram(paper.age, edges)[0].tolist() == [3, 29, 22, 28, 58, 26, 36, 15]
    men = {p for s in [*both, paper] for p, sex in zip(s.patient_id, s.sex, strict=True) if sex == "male"}
    assert len(men) == 486


def test_val_is_a_share_of_every_class(splits: Splits):
    """Val has 15 percent of the training images of every class, to within two images."""
    for name, n in splits.val.counts().items():
        assert n == pytest.approx(0.15 * (n + splits.train.counts()[name]), abs=2)


def test_repeated_studies_share_anatomy_not_exposure():
    """Two studies of one patient have the same body and another exposure; another patient another body."""
    one, two = (chest._scene(0, index, 32, patient=7) for index in (40, 41))
    other = chest._scene(0, 40, 32, patient=8)
    assert one.body == two.body != other.body
    assert one.exposure != two.exposure
    assert one.exposure == other.exposure


def test_an_image_is_named_by_seed_and_index(splits: Splits):
    """An image has the same bytes alone, within a split and in any order. Another seed gives others."""
    row = 5
    image_id = str(splits.test.image_id[row])
    alone = chest.draw(CLASSES[row % 5], seed=0, index=int(image_id.split("-")[-1]), size=16)
    assert (alone.image == splits.test.image[row]).all()
    backwards = [chest.draw("viral", seed=3, index=i, size=16).image for i in (9, 8)]
    forwards = [chest.draw("viral", seed=3, index=i, size=16).image for i in (8, 9)]
    assert (np.array(backwards[::-1]) == np.array(forwards)).all()
    assert (forwards[0] != chest.draw("viral", seed=4, index=8, size=16).image).any()


def test_split_carries_the_truth_of_every_image(splits: Splits):
    """A split has site, prompt, license and mask of every image. Only sick images have a finding."""
    train = splits.train
    assert train.mask is not None
    assert set(train.site) == set(acquisition.SITES)
    assert set(train.license) == {"Apache-2.0"}
    assert (train.mask[:].any((1, 2)) == (train.label != CLASSES.index("healthy"))).all()
    assert train.prompt[train.label == 2][0] == "An X-ray image of the lung with COVID-19 pneumonia"


def test_subset_of_classes_keeps_their_counts_and_order():
    """A task may use a part of the classes, in another order."""
    counts = {"healthy": 30, "viral": 20, "fungal": 50}
    two = small(("viral", "healthy"), train_counts=counts, test_counts=counts, patients=160)
    assert two.train.classes == ("viral", "healthy")
    assert two.train.counts()["viral"] + two.val.counts()["viral"] == 20
    assert len(two.train.patients() | two.val.patients()) == 40


@pytest.mark.parametrize("finding", SICK)
def test_mask_lies_in_the_lungs(finding: str):
    """Every sick image has a mask, and all of it is lung."""
    for index in range(40):
        phantom = chest.draw(finding, seed=2, index=index, size=48)
        inside = chest._scene(2, index, 48).lungs.inside
        assert phantom.mask.any()
        assert inside[phantom.mask > 0].min() > 0.5


@pytest.mark.parametrize("finding", SICK)
def test_finding_brightens_the_same_patient_inside_its_mask(finding: str):
    """The mask is brighter than in the same exposure without the finding, and the rest is not."""
    gains, rest = [], []
    for index in range(40):
        sick = chest.draw(finding, seed=4, index=index, size=48)
        well = chest.draw("healthy", seed=4, index=index, size=48)
        change = sick.image.astype(float) - well.image
        gains.append(change[sick.mask > 0].mean())
        outside = chest._scene(4, index, 48).lungs.inside == 0
        rest.append(np.abs(change[outside]).mean())
    assert np.mean(np.array(gains) > 0) > 0.95
    assert np.mean(gains) > 12
    assert np.mean(rest) < 2.5  # the veil of scatter and the edge enhancement reach that far


def lungs_at(size: int) -> anatomy.Lungs:
    return chest._scene(0, 0, size).lungs


def test_cavity_is_darker_than_its_wall():
    """A hollow nodule has less opacity in its middle than at its rim, a solid one more."""
    middles = {}
    for hollow in (0.0, 1.0):
        rng = np.random.default_rng(1)
        ball = findings._nodules(rng, lungs_at(128), 0.8, 1, 0.13, hollow=hollow)
        row, col = np.argwhere(ball.extent > 0.9).mean(0).round().astype(int)
        middles[hollow] = ball.opacity[row, col] / ball.opacity.max()
    assert middles[0.0] > 0.9
    assert middles[1.0] < 0.5


def test_findings_lie_where_their_cause_puts_them():
    """COVID-19 is more peripheral and basal than viral; bacterial is one-sided, viral two-sided."""

    def centers(name: str) -> tuple[float, float, float]:
        across, down, skew = [], [], []
        for k in range(60):
            lungs = chest._scene(1, k, 32).lungs
            weight = findings.draw_finding(name, np.random.default_rng(k), lungs).opacity * lungs.inside
            across.append(np.average(lungs.across, weights=weight))
            down.append(np.average(lungs.down, weights=weight))
            skew.append(abs(np.average(lungs.side, weights=weight)))
        return float(np.mean(across)), float(np.mean(down)), float(np.mean(skew))

    covid, viral, bacterial = centers("covid19"), centers("viral"), centers("bacterial")
    assert covid[0] > viral[0] + 0.05
    assert covid[1] > viral[1] + 0.05
    assert bacterial[2] > viral[2] + 0.3


@pytest.mark.parametrize(("fine", "coarse"), [(256, 64), (128, 32)])
def test_sizes_show_the_same_image(fine: int, coarse: int):
    """A large image, averaged down, is close to the small image of the same index."""
    gaps = []
    for index in range(6):
        large, little = (
            chest.draw(CLASSES[index % 5], seed=0, index=index, size=s).image.astype(float)
            for s in (fine, coarse)
        )
        k = fine // coarse
        gaps.append(np.abs(large.reshape(coarse, k, coarse, k).mean((1, 3)) - little).mean())
    assert np.mean(gaps) < 9


def test_line_drawing_preserves_its_amount():
    """The amount of ink, summed over the area, does not depend on pixel size or rotation."""
    points, amount = fields.polyline(np.array([[-0.3, -0.2], [0.1, 0.0], [0.3, 0.3]]), 0.02)
    for size, angle in ((32, 0.0), (64, 0.3), (200, -0.2)):
        grid = fields.make_grid(size, zoom=1.1, angle=angle, shift=(0.02, -0.05))
        total = fields.splat(points, amount, 0.02, grid).sum() * grid.pixel**2
        assert total == pytest.approx(amount.sum(), rel=1e-3)


def probe(features: np.ndarray, label: np.ndarray) -> float:
    """Balanced accuracy of a logistic regression on the second half of fresh balanced data."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.metrics import balanced_accuracy_score
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    half = len(label) // 2
    model = make_pipeline(StandardScaler(), LogisticRegression(C=0.1, max_iter=500))
    model.fit(features[:half], label[:half])
    return float(balanced_accuracy_score(label[half:], model.predict(features[half:])))


def test_corners_do_not_reveal_the_class(fresh: tuple[np.ndarray, np.ndarray]):
    """A classifier of the four corners reaches at most 0.30, where chance is 0.20."""
    images, label = fresh
    tiles = [images[:, r, c].reshape(len(images), -1)
             for r in (slice(0, 5), slice(27, 32)) for c in (slice(0, 5), slice(27, 32))]  # fmt: skip
    assert probe(np.concatenate(tiles, 1), label) <= 0.30


def test_borders_and_markers_do_not_reveal_the_class(fresh: tuple[np.ndarray, np.ndarray]):
    """A classifier of the outer frame, with collimation and side markers, reaches at most 0.30."""
    images, label = fresh
    frame = np.ones((32, 32), bool)
    frame[3:-3, 3:-3] = False
    frame[2:9, 2:7] = frame[2:9, 25:30] = True
    assert probe(images[:, frame], label) <= 0.30


def test_mean_intensity_hardly_reveals_the_class(fresh: tuple[np.ndarray, np.ndarray]):
    """Mean and deviation of intensity reach at most 0.33: severe disease is denser."""
    images, label = fresh
    mean = images.mean((1, 2))
    assert probe(np.stack([mean, mean**2, images.std((1, 2))], 1), label) <= 0.33


def test_the_probe_can_see(fresh: tuple[np.ndarray, np.ndarray]):
    """The same classifier of the whole image is well above chance, so the limits above are meaningful."""
    images, label = fresh
    assert probe(images.reshape(len(images), -1), label) > 0.36


def test_metadata_do_not_reveal_the_class(splits: Splits):
    """Sex, age, view and site of the sick do not depend on the class (chi-square)."""
    from scipy.stats import chi2_contingency

    train = splits.train
    sick = train.label > 0
    for column in (train.sex, train.view, train.site, train.age // 20):
        _, codes = np.unique(column[sick], return_inverse=True)
        table = np.zeros((5, codes.max() + 1))
        np.add.at(table, (train.label[sick], codes), 1)
        table = table[1:, table.sum(0) > 10]
        assert chi2_contingency(table).pvalue > 0.001


def test_quotas_are_filled_exactly():
    """Apportioning preserves the total: 10 images in the ratio 1:1:1 are 4, 3, 3."""
    assert quotas.apportion((1, 1, 1), 10).tolist() == [4, 3, 3]
    assert quotas.apportion(population.TRAIN_AGES, 865).tolist() == list(population.TRAIN_AGES)


@pytest.mark.parametrize(
    ("classes", "params", "part"),
    [
        (("healthy", "tuberculosis"), {}, "unknown class 'tuberculosis'"),
        (CLASSES, {"patients": 2000}, "1599 patients for 865 images"),
        (CLASSES, {"train_counts": {"healthy": 5}}, "no images of 'fungal'"),
        (CLASSES, ONE_EACH | {"patients": 10}, "has 1 patient, train and val need 2"),
        (CLASSES, ONE_EACH | {"patients": 12}, "6 patients for 5 images"),
    ],
)
def test_faults_name_field_and_remedy(classes: tuple[str, ...], params: dict[str, object], part: str):
    """An unknown class, too many patients, a missing count and an indivisible class are refused."""
    with pytest.raises(BenchmarkError, match=part) as fault:
        small(classes, **params)
    assert fault.value.remedy


def test_a_class_with_too_few_patients_may_be_left_out():
    """With too_few set to exclude, no split has the class, and a note names it."""
    counts = {"healthy": 9, "viral": 1, "covid19": 9}
    params = chest.Params(
        train_counts=counts, test_counts=dict.fromkeys(counts, 1), patients=22, test_per_class=1
    )
    rule = SplitRule(val=0.2, too_few="exclude")
    splits = loading.load(
        chest, params, classes=tuple(counts), image_size=16, split=rule, reserve_per_class=1, seed=0
    )
    assert splits.val.classes == ("healthy", "covid19")
    assert "class 'viral' excluded" in splits.notes[0]


def test_size_that_cannot_be_drawn_is_refused():
    """A size below 16 pixels is refused."""
    with pytest.raises(DataError, match="8 pixels"):
        chest.draw("healthy", seed=0, index=0, size=8)


def test_fingerprint_follows_the_parameters():
    """The same parameters give the same fingerprint, other parameters another."""
    assert chest.fingerprint(chest.Params()) == chest.fingerprint(chest.Params())
    assert chest.fingerprint(chest.Params()) != chest.fingerprint(chest.Params(test_per_class=1))
