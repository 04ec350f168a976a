"""Splits by patient: disjoint, complete, stratified and reproducible."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmark.errors import DataError
from benchmark.images.disjoint import prove_disjoint
from benchmark.images.image_set import ImageSet, Splits
from benchmark.protocol.patients import PARTS
from benchmark.protocol.split import divide, fold_of, note_reserve, note_small_tests, shares_of
from benchmark.protocol.stratify import draw_parts
from benchmark.tasks.schema import SplitRule

RULE = SplitRule(test=0.2, val=0.15, reserve=0.1)


def image_set(patient: list[str], label: list[int]) -> ImageSet:
    """Return distinct images of these patients and labels."""
    n = len(patient)
    image = np.arange(n * 4, dtype=np.uint32).view(np.uint8).reshape(n, 4, 4)
    return ImageSet(
        image=image,
        label=np.array(label, dtype=np.int64),
        classes=tuple("abcdef"[: max(label) + 1]),
        image_id=np.array([f"i{i}" for i in range(n)]),
        patient_id=np.array(patient),
        origin=np.full(n, "real:test"),
    )


def of_sizes(sizes: list[list[int]]) -> ImageSet:
    """Return patients of one class each; ``sizes`` lists the image counts of the patients by class."""
    rows = [
        (f"p{c}-{k}", c) for c, patients in enumerate(sizes) for k, n in enumerate(patients) for _ in range(n)
    ]
    return image_set([p for p, _ in rows], [c for _, c in rows])


single_class = st.lists(st.lists(st.integers(1, 9), min_size=4, max_size=40), min_size=2, max_size=4).map(
    of_sizes
)


def in_all_parts(splits: Splits) -> bool:
    return all(n > 0 for s in splits.named().values() for n in s.counts().values())


@settings(max_examples=60, deadline=None)
@given(images=single_class, seed=st.integers(0, 2**31))
def test_divides_by_patient(images: ImageSet, seed: int) -> None:
    """Every image is in one part, no patient in two, and every class has its share in every part."""
    splits = divide(images, RULE, seed=seed)
    prove_disjoint(splits)
    together = sorted(i for s in splits.named().values() for i in s.image_id.tolist())
    assert together == sorted(images.image_id.tolist())
    assert in_all_parts(splits)
    for name, share in shares_of(RULE).items():
        for c in range(len(images.classes)):
            of_class = images.of_class(c)
            largest = max(np.unique(of_class.patient_id, return_counts=True)[1])
            over = len(getattr(splits, name).of_class(c)) - share * len(of_class)
            assert -3 * largest < over < largest


@settings(max_examples=30, deadline=None)
@given(
    rows=st.lists(st.tuples(st.integers(0, 60), st.integers(0, 2)), min_size=80, max_size=150),
    seed=st.integers(0, 2**31),
)
def test_patients_of_several_classes(rows: list[tuple[int, int]], seed: int) -> None:
    """Patients with images of several classes stay whole, and every class is in every part."""
    extra = [
        (100 + 10 * c + k, c) for c in range(3) for k in range(4)
    ]  # every class has four patients of that class only
    images = image_set([f"p{p}" for p, _ in rows + extra], [c for _, c in rows + extra])
    splits = divide(images, RULE, seed=seed)
    prove_disjoint(splits)
    assert sum(len(s) for s in splits.named().values()) == len(images)
    assert in_all_parts(splits)


def test_one_image_per_patient_is_exact() -> None:
    """With one image per patient, 100 patients of every class divide into 55, 15, 20 and 10."""
    splits = divide(of_sizes([[1] * 100, [1] * 200]), RULE, seed=3)
    assert [s.counts() for s in splits.named().values()] == [
        {"a": 55, "b": 110},
        {"a": 15, "b": 30},
        {"a": 20, "b": 40},
        {"a": 10, "b": 20},
    ]


def test_smallest_case() -> None:
    """Four patients of a class give one to each part."""
    splits = divide(of_sizes([[5, 1, 1, 1], [2, 2, 2, 2]]), RULE, seed=0)
    assert all(len(s.of_class(c).patients()) == 1 for s in splits.named().values() for c in (0, 1))


def test_smallest_case_is_random() -> None:
    """The seed decides which of four patients goes to test: each does in some of 40 draws."""
    images = of_sizes([[1] * 4, [1] * 4])
    tested = set().union(*(divide(images, RULE, seed=s).test.patients() for s in range(40)))
    assert tested == images.patients()


def test_rare_class_goes_first(monkeypatch: pytest.MonkeyPatch) -> None:
    """Four patients of a rare class, also of a common one, reach all parts at the first draw."""
    monkeypatch.setattr("benchmark.protocol.stratify.ATTEMPTS", 1)
    common = [f"p{k:02}" for k in range(40)]
    images = image_set(common + common[:4], [0] * 40 + [1] * 4)
    assert all(in_all_parts(divide(images, RULE, seed=s)) for s in range(20))


def test_same_seed_same_parts() -> None:
    """The seed decides the parts, whatever the order of the images."""
    images = of_sizes([[1, 2, 3] * 10, [4, 1] * 10])
    shuffled = images.select(np.random.default_rng(5).permutation(len(images)))

    def test_patients(images: ImageSet, seed: int) -> set[str]:
        return divide(images, RULE, seed=seed).test.patients()

    assert test_patients(images, 1) == test_patients(images, 1) == test_patients(shuffled, 1)
    assert test_patients(images, 1) != test_patients(images, 2)


def test_patients_with_many_images_reach_every_part() -> None:
    """The draw is unbiased: patients of three images are in test at its share, within 4 sigma."""
    images = of_sizes([[3] * 20 + [1] * 40, [1] * 20])
    heavy = {f"p0-{k}" for k in range(20)}
    hits = sum(len(heavy & divide(images, RULE, seed=s).test.patients()) for s in range(60))
    expected = 0.2 * 20 * 60
    assert abs(hits - expected) < 4 * (expected * 0.8) ** 0.5


def test_too_few_patients_is_an_error() -> None:
    """For a class with three patients the error has the class, both patient counts and the remedy."""
    with pytest.raises(DataError) as caught:
        divide(of_sizes([[1] * 9, [7, 7, 7]]), RULE, seed=0, where="source x")
    assert str(caught.value).startswith("source x: 'b': has 3 patients, the split needs at least 4\n")
    assert "exclude" in caught.value.remedy


def test_too_few_patients_can_be_excluded() -> None:
    """With 'exclude' the class is dropped with a note, and later classes keep their names."""
    rule = RULE.model_copy(update={"too_few": "exclude"})
    splits = divide(replace(of_sizes([[1] * 9, [2], [1] * 12]), card={"notes": ["earlier"]}), rule, seed=0)
    assert splits.train.classes == ("a", "c")
    assert splits.notes == ("earlier", "class 'b' excluded: 1 patient, the split needs at least 4")
    assert sum(s.counts()["c"] for s in splits.named().values()) == 12
    assert all(str(p).startswith("p2") for p in splits.test.of_class(1).patients())


def test_min_patients_is_obeyed() -> None:
    """A rule may require more than four patients per class."""
    with pytest.raises(DataError, match="'a': has 9 patients, the split needs at least 10"):
        divide(of_sizes([[1] * 9, [1] * 12]), RULE.model_copy(update={"min_patients": 10}), seed=0)


def test_one_class_left_is_an_error() -> None:
    """Exclusion never leaves a single class."""
    with pytest.raises(DataError, match="fewer than two classes"):
        divide(of_sizes([[1] * 9, [1]]), RULE.model_copy(update={"too_few": "exclude"}), seed=0)


def test_class_whose_patients_are_tied_elsewhere() -> None:
    """Two classes on the same four patients divide; a class with two patients cannot reach four parts."""
    patients = [f"p{k}" for k in range(4)]
    images = image_set([*patients, *patients], [0, 0, 0, 0, 1, 1, 1, 1])
    assert in_all_parts(divide(images, RULE, seed=0))
    third = image_set([*patients, "q0", "p0", "p0", "p0", "q0"], [0, 0, 0, 0, 1, 1, 1, 1, 1])
    with pytest.raises(DataError, match="'b': has 2 patients, train and val and test and reserve need 4"):
        draw_parts(third, shares_of(RULE), seed=0)


def test_short_reserve_is_noted() -> None:
    """The note names the classes whose reserve is smaller than the brackets need."""
    splits = divide(of_sizes([[1] * 100, [1] * 200]), RULE, seed=0)
    assert note_reserve(splits, 10).notes == ()
    assert note_reserve(splits, 15).notes == (
        "oracle has fewer reserve images than the 15 per class that are requested: a 10",
    )


def test_reserve_of_a_class_that_is_not_tested() -> None:
    """Uncertain images, absent from test, are not missed in the reserve."""
    images = with_split(
        of_sizes([[1] * 20, [1] * 20, [1] * 9]), ["train", "val", "test", "reserve"] * 10 + ["train"] * 9
    )
    splits = divide(images, RULE, seed=0)
    assert note_reserve(splits, 5).notes == ("of the source",)
    assert note_reserve(splits, 6).notes[-1].endswith("requested: a 5, b 5")


def test_parts_are_fields_of_splits() -> None:
    """Every part is a field of Splits."""
    assert set(PARTS) <= set(Splits.__dataclass_fields__)


SEVERAL_RULE = SplitRule(test=0.2, val=0.1, reserve=0.1)


def several_labels(seed: int, patients: int = 400, classes: int = 6) -> ImageSet:
    """Return patients of one to six images, with correlated classes of falling frequency; some have none."""
    rng = np.random.default_rng(seed)
    count = rng.integers(1, 7, patients)
    tendency = rng.random((patients, 1))
    rate = 0.5 * 0.55 ** np.arange(classes)
    ill = rng.random((patients, classes)) < rate * 2 * tendency  # classes are correlated within a patient
    ill[: 8 * classes] |= np.tile(np.eye(classes, dtype=bool), (8, 1))
    patient = np.repeat(np.arange(patients), count)
    label = ill[patient] & (rng.random((len(patient), classes)) < 0.8)
    label[np.unique(patient, return_index=True)[1]] |= ill  # the first image has all classes of the patient
    base = image_set([f"p{k:04d}" for k in patient], [0] * len(patient))
    return replace(base, label=label.astype(np.uint8), classes=tuple("abcdef"[:classes]))


def share_error(images: ImageSet, part: np.ndarray, shares: dict[str, float]) -> float:
    """Return the mean relative error of each class's share in each part."""
    counts = images.label.sum(0)
    return float(
        np.mean([abs(images.label[part == p].sum(0) / counts - share) / share for p, share in shares.items()])
    )


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 2**31), draw=st.integers(0, 99))
def test_multi_label_sets_divide_by_patient(seed: int, draw: int) -> None:
    """Patients stay whole, every class is in every part, and no part exceeds its share by two patients."""
    images = several_labels(seed, patients=150, classes=4)
    part = draw_parts(images, shares_of(SEVERAL_RULE), seed=draw)
    assert all(len(set(part[images.patient_id == p])) == 1 for p in images.patients())
    for name, share in shares_of(SEVERAL_RULE).items():
        assert images.label[part == name].any(0).all()
        assert abs((part == name).sum() - share * len(images)) <= 2 * 6  # at most six images a patient


def test_multi_label_sets_keep_class_shares() -> None:
    """On 20 simulated sets the error of the class shares is less than half that of random splits.

    The error of the part sizes is less than the images of one patient, six at most.
    """
    ours, chance, sizes = [], [], []
    shares = shares_of(SEVERAL_RULE)
    for seed in range(20):
        images = several_labels(seed)
        part = draw_parts(images, shares, seed=seed)
        ours.append(share_error(images, part, shares))
        sizes += [abs((part == name).sum() - share * len(images)) for name, share in shares.items()]
        ids, patient = np.unique(images.patient_id, return_inverse=True)
        drawn = np.random.default_rng(seed).choice(list(shares), len(ids), p=list(shares.values()))
        chance.append(share_error(images, drawn[patient], shares))
    assert np.mean(ours) < 0.5 * np.mean(chance)
    assert max(ours) < min(chance)
    assert max(sizes) < 6


def test_iterative_stratification_by_hand() -> None:
    """Two equal parts: the two patients of the rare class are divided first, then those of the other.

    Patients r, s have a and b; t, u have b; v, w have none. Each part gets one of each pair.
    """
    label = np.array([[1, 1], [1, 1], [0, 1], [0, 1], [0, 0], [0, 0]], np.uint8)
    images = replace(image_set(list("rstuvw"), [0, 1, 0, 0, 0, 0]), label=label)
    for seed in range(10):
        part = draw_parts(images, {"left": 0.5, "right": 0.5}, seed=seed)
        assert all(part[i] != part[i + 1] for i in (0, 2, 4))


def test_rarest_label_reaches_the_smallest_part() -> None:
    """Four patients of a class reach all four parts, although the smallest share rounds to none."""
    images = several_labels(3)
    label = images.label.copy()
    label[:, 0] = np.isin(images.patient_id, [f"p{k:04d}" for k in (5, 50, 60, 70)])
    images = replace(images, label=label)
    part = draw_parts(images, {"train": 0.9, "val": 0.04, "test": 0.04, "reserve": 0.02}, seed=0)
    assert len(set(part[label[:, 0] == 1])) == 4


def test_multi_label_draw_is_unbiased() -> None:
    """Patients with most images are in test at its share, within 4 sigma, over 60 seeds."""
    images = several_labels(1, patients=100, classes=2)
    ids, count = np.unique(images.patient_id, return_counts=True)
    heavy = ids[count == 6]
    drawn = [draw_parts(images, shares_of(SEVERAL_RULE), seed=s) for s in range(60)]
    hits = sum(len(set(images.patient_id[part == "test"]) & set(heavy)) for part in drawn)
    expected = 0.2 * len(heavy) * 60
    assert abs(hits - expected) < 4 * (expected * 0.8) ** 0.5


def test_multi_label_class_can_be_excluded() -> None:
    """A class with two patients is dropped with a note and the images of it alone.

    Images without a class stay.
    """
    images = several_labels(2, patients=80, classes=3)
    label = images.label.copy()
    label[:, 1] = np.isin(images.patient_id, ["p0030", "p0031"])
    images = replace(images, label=label, reported_labels=label.astype(np.int8))
    splits = divide(images, SEVERAL_RULE.model_copy(update={"too_few": "exclude"}), seed=0)
    assert splits.train.classes == ("a", "c")
    assert splits.notes == ("class 'b' excluded: 2 patients, the split needs at least 4",)
    only_b = (label == [0, 1, 0]).all(1)
    assert sum(len(s) for s in splits.named().values()) == len(images) - only_b.sum()
    assert all(np.array_equal(s.reported_labels, s.label) for s in splits.named().values())


def with_split(images: ImageSet, given: list[str] | np.ndarray) -> ImageSet:
    return replace(images, split=np.array(given, dtype=str), card={"notes": ["of the source"]})


FOLDS = 5


@pytest.mark.parametrize("multilabel", [False, True])
def test_folds_partition_the_images(multilabel: bool) -> None:
    """Every image is held out in one fold, patients stay whole, and fold sizes differ little."""
    images = (
        several_labels(0, patients=120, classes=3) if multilabel else of_sizes([[2, 1, 3] * 10, [4, 1] * 10])
    )
    fold = fold_of(images, FOLDS, seed=4)
    assert set(fold.tolist()) == set(range(FOLDS))
    assert all(len(set(fold[images.patient_id == p])) == 1 for p in images.patients())
    assert np.bincount(fold).max() - np.bincount(fold).min() <= 12
    held: list[str] = []
    for k in range(FOLDS):
        splits = divide(images, SplitRule(val=0.1, reserve=0.1, folds=FOLDS, fold=k), seed=4)
        prove_disjoint(splits)
        assert sum(len(s) for s in splits.named().values()) == len(images)
        assert set(splits.test.image_id) == set(images.image_id[fold == k])
        assert all(n > 0 for n in splits.train.counts().values())
        held += splits.test.image_id.tolist()
    assert sorted(held) == sorted(images.image_id.tolist())


@pytest.mark.parametrize(("folds", "needed"), [(2, 6), (3, 5), (4, 4), (5, 5), (8, 8)])
def test_folds_need_enough_patients(folds: int, needed: int) -> None:
    """Every fold needs a patient of every class, and three more for train, val and reserve."""
    rule = SplitRule(val=0.1, reserve=0.1, folds=folds)
    with pytest.raises(DataError, match=f"'b': has {needed - 1} patients, the split needs at least {needed}"):
        divide(of_sizes([[1] * 30, [2] * (needed - 1)]), rule, seed=0)
    for k in range(folds):
        divide(of_sizes([[1] * 30, [2] * needed]), rule.model_copy(update={"fold": k}), seed=0)


def test_given_test_stays_test_beside_folds() -> None:
    """The held-out fold of the given train is test_paper; the given test is the same in every fold."""
    images = of_sizes([[1] * 30, [1] * 40])
    given = np.where(np.arange(len(images)) % 7 == 0, "test", "train")
    images = with_split(images, given)
    paper: set[str] = set()
    for k in range(3):
        splits = divide(images, SplitRule(val=0.1, reserve=0.1, folds=3, fold=k), seed=1)
        assert set(splits.test.image_id) == set(images.image_id[given == "test"])
        held = set(splits.more_tests["test_paper"].image_id)
        assert not paper & held
        paper |= held
    assert paper == set(images.image_id[given == "train"])
    assert splits.notes == (
        "of the source",
        "val drawn from the given train split",
        "reserve drawn from the given train split",
    )


def test_given_splits_are_unchanged() -> None:
    """With all four given, the seed has no effect, and the result has no split column."""
    images = of_sizes([[1] * 12, [1] * 12])
    given = np.array(["train", "val", "test", "reserve", "test_site", "train"] * 4)
    splits = divide(with_split(images, given), RULE, seed=7)
    for name, part in splits.named().items():
        assert set(part.image_id) == set(images.image_id[given == name])
        assert part.split is None
    assert splits.notes == ("of the source",)


def test_extra_test_splits_leave_the_rest_to_the_rule() -> None:
    """With only test_site given, the rest is divided as if it were the whole set."""
    images = of_sizes([[1] * 50, [1] * 50])
    away = np.arange(100) % 10 == 0
    splits = divide(with_split(images, np.where(away, "test_site", "")), RULE, seed=2)
    alone = divide(images.select(~away), RULE, seed=2)
    assert set(splits.more_tests["test_site"].image_id) == set(images.image_id[away])
    for name in PARTS:
        assert splits.named()[name].content_hash() == alone.named()[name].content_hash()


def test_patients_of_an_extra_test_do_not_count() -> None:
    """A class with three patients besides those of test_site is excluded from both."""
    images = of_sizes([[1] * 20, [1] * 20, [1] * 20])
    patient = np.array([int(p.split("-")[1]) for p in images.patient_id])
    given = np.where((images.label == 1) & (patient >= 3), "test_site", "")
    with pytest.raises(DataError, match="'b': has 3 patients"):
        divide(with_split(images, given), RULE, seed=0)
    rule = RULE.model_copy(update={"too_few": "exclude"})
    given[-1] = "test_site"
    splits = divide(with_split(images, given), rule, seed=0)
    assert splits.more_tests["test_site"].counts() == {"a": 0, "c": 1}


def test_partly_given_splits_are_an_error() -> None:
    """The error names the first image without a split; an unknown or missing split is refused too."""
    images = of_sizes([[1] * 6, [1] * 6])
    with pytest.raises(DataError, match="image 'i1' has none, others have"):
        divide(with_split(images, ["train", "", *["train"] * 10]), RULE, seed=0)
    with pytest.raises(DataError, match="'dev' is not one of"):
        divide(with_split(images, ["dev", *["train"] * 11]), RULE, seed=0)
    with pytest.raises(DataError, match="no image in test"):
        divide(with_split(images, ["train"] * 12), RULE, seed=0)


def test_fold_beside_a_given_test_paper() -> None:
    """A held-out fold cannot be combined with images that the source assigns to test_paper."""
    images = of_sizes([[1] * 12, [1] * 12])
    with pytest.raises(DataError, match="a held-out fold has no name"):
        divide(with_split(images, ["test", "test_paper", *["train"] * 10] * 2), SplitRule(folds=3), seed=0)


def test_patients_with_still_images_are_spread_over_the_folds() -> None:
    """Of five patients with a still and fifteen with clips alone, every fold holds out one of the five."""
    patients = [f"s{k}" for k in range(5) for _ in range(3 * k + 1)]
    patients += [f"c{k}" for k in range(15) for _ in range(10)]
    still = [0, 1, 5, 12, 22]  # the first image of each of the five
    images = image_set(patients, [0] * len(patients))
    clip = np.array(["film"] * len(patients))
    clip[still] = ""
    images = replace(images, clip=clip)
    for seed in range(20):
        assert sorted(fold_of(images, 5, seed=seed)[still].tolist()) == [0, 1, 2, 3, 4]


@pytest.mark.parametrize("stills", [1, 2, 3, 6])
def test_training_keeps_a_still_image(stills: int) -> None:
    """However few patients have a still image, one of them is in train."""
    patients = [f"s{k}" for k in range(stills)] + [f"c{k}" for k in range(20) for _ in range(10)]
    images = image_set(patients, [0] * stills + [0, 1] * 100)
    images = replace(images, clip=np.array([""] * stills + ["film"] * 200))
    for seed in range(10):
        assert (divide(images, RULE, seed=seed).train.clip == "").any()


def test_a_class_of_few_mixed_patients_reaches_every_fold() -> None:
    """One patient with a still and four with clips give five folds, each with one of them held out."""
    patients = ["s0"] + [f"c{k}" for k in range(4) for _ in range(3)] + [f"h{k}" for k in range(20)]
    images = image_set(patients, [0] * 13 + [1] * 20)
    images = replace(images, clip=np.array([""] + ["film"] * 12 + [""] * 20))
    for seed in range(10):
        fold = fold_of(images, 5, seed=seed)
        assert sorted(set(fold[:13].tolist())) == [0, 1, 2, 3, 4]


def test_with_one_patient_per_part_the_largest_is_in_train() -> None:
    """Of one patient with a still and three with clips of 9, 6 and 3 frames, the nine go to train."""
    patients = ["s0", *(f"c{k}" for k, n in enumerate((9, 6, 3)) for _ in range(n))]
    patients += [f"h{k}" for k in range(30)]
    images = image_set(patients, [0] * 19 + [1] * 30)
    images = replace(images, clip=np.array([""] + ["film"] * 18 + [""] * 30))
    shares = {"train": 0.7, "val": 0.15, "reserve": 0.15}
    for seed in range(10):
        part = draw_parts(images, shares, seed=seed)
        assert part[1] == "train"


def splits_of(sizes: list[list[int]]) -> Splits:
    """Return splits whose test images are of these patients."""
    images = of_sizes(sizes)
    return Splits(train=images, val=images, test=images, reserve=images)


def test_classes_with_few_test_patients_are_noted():
    """Four patients of b: its figures have no interval; five of a are enough. Folds are joined later."""
    splits = splits_of([[1] * 5, [2] * 4])
    end = "its figures have no interval and no test, which take 5."
    assert note_small_tests(splits, ("a", "b"), 0, "x").notes == (
        f"Split test has 4 patients without a: {end}",
        f"Split test has 4 patients of class b: {end}",
    )
    assert note_small_tests(splits, ("a", "b"), 5, "x").notes == ()


def test_a_test_split_of_one_patient_is_refused():
    """Nothing can be compared with it."""
    with pytest.raises(DataError, match="x: split test: has 1 patient"):
        note_small_tests(splits_of([[3]]), ("a",), 0, "x")
