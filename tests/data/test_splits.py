"""Splits by patient: disjoint, complete, fair to every class, and the same each time."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmark.data.splits import PARTS, draw_parts, note_reserve, shares_of, split_by_patient
from benchmark.errors import DataError
from benchmark.records import ImageSet, Splits, prove_disjoint
from benchmark.task import SplitRule

RULE = SplitRule(test=0.2, val=0.15, reserve=0.1)


def image_set(patient: list[str], label: list[int]) -> ImageSet:
    """Images that all differ, of these patients and labels."""
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
    """Patients of one class each, with these many images: one list per class."""
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
    """No patient in two parts, every image in one part, every class in every part, fair shares."""
    splits = split_by_patient(images, RULE, seed=seed)
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
    """Patients with images of several classes stay whole, and every class still reaches every part."""
    extra = [(100 + 10 * c + k, c) for c in range(3) for k in range(4)]  # every class has four of its own
    images = image_set([f"p{p}" for p, _ in rows + extra], [c for _, c in rows + extra])
    splits = split_by_patient(images, RULE, seed=seed)
    prove_disjoint(splits)
    assert sum(len(s) for s in splits.named().values()) == len(images)
    assert in_all_parts(splits)


def test_one_image_per_patient_is_exact() -> None:
    """With one image per patient, 100 patients divide into 55, 15, 20 and 10 of every class."""
    splits = split_by_patient(of_sizes([[1] * 100, [1] * 200]), RULE, seed=3)
    assert [s.counts() for s in splits.named().values()] == [
        {"a": 55, "b": 110},
        {"a": 15, "b": 30},
        {"a": 20, "b": 40},
        {"a": 10, "b": 20},
    ]


def test_smallest_case() -> None:
    """Four patients of a class give one to each part."""
    splits = split_by_patient(of_sizes([[5, 1, 1, 1], [2, 2, 2, 2]]), RULE, seed=0)
    assert all(len(s.of_class(c).patients()) == 1 for s in splits.named().values() for c in (0, 1))


def test_smallest_case_is_drawn_too() -> None:
    """Which of four patients goes to test is left to the seed: each does in some of 40 draws."""
    images = of_sizes([[1] * 4, [1] * 4])
    seen = set().union(*(split_by_patient(images, RULE, seed=s).test.patients() for s in range(40)))
    assert seen == images.patients()


def test_rare_class_goes_first(monkeypatch: pytest.MonkeyPatch) -> None:
    """Four patients of a rare class, also of a common one, reach all parts at the first draw."""
    monkeypatch.setattr("benchmark.data.splits.ATTEMPTS", 1)
    common = [f"p{k:02}" for k in range(40)]
    images = image_set(common + common[:4], [0] * 40 + [1] * 4)
    assert all(in_all_parts(split_by_patient(images, RULE, seed=s)) for s in range(20))


def test_same_seed_same_parts() -> None:
    """The same seed gives the same parts, whatever the order of the images; another seed others."""
    images = of_sizes([[1, 2, 3] * 10, [4, 1] * 10])
    shuffled = images.select(np.random.default_rng(5).permutation(len(images)))

    def test_patients(images: ImageSet, seed: int) -> set[str]:
        return split_by_patient(images, RULE, seed=seed).test.patients()

    assert test_patients(images, 1) == test_patients(images, 1) == test_patients(shuffled, 1)
    assert test_patients(images, 1) != test_patients(images, 2)


def test_patients_with_many_images_reach_every_part() -> None:
    """The draw is not biased: patients of three images land in test at its share, within 4 sigma."""
    images = of_sizes([[3] * 20 + [1] * 40, [1] * 20])
    heavy = {f"p0-{k}" for k in range(20)}
    hits = sum(len(heavy & split_by_patient(images, RULE, seed=s).test.patients()) for s in range(60))
    expected = 0.2 * 20 * 60
    assert abs(hits - expected) < 4 * (expected * 0.8) ** 0.5


def test_too_few_patients_is_an_error() -> None:
    """A class with three patients is refused: class, patients found, patients needed, remedy."""
    with pytest.raises(DataError) as caught:
        split_by_patient(of_sizes([[1] * 9, [7, 7, 7]]), RULE, seed=0, where="source x")
    assert str(caught.value).startswith("source x: 'b': has 3 patients, the split needs at least 4\n")
    assert "exclude" in caught.value.remedy


def test_too_few_patients_can_be_excluded() -> None:
    """With 'exclude' the class goes, its note stays, and the later classes keep their names."""
    rule = RULE.model_copy(update={"too_few": "exclude"})
    splits = split_by_patient(of_sizes([[1] * 9, [2], [1] * 12]), rule, seed=0, notes=("earlier",))
    assert splits.train.classes == ("a", "c")
    assert splits.notes == ("earlier", "class 'b' excluded: 1 patient, the split needs at least 4")
    assert sum(s.counts()["c"] for s in splits.named().values()) == 12
    assert all(str(p).startswith("p2") for p in splits.test.of_class(1).patients())


def test_min_patients_is_obeyed() -> None:
    """A rule may ask for more than four patients per class."""
    with pytest.raises(DataError, match="'a': has 9 patients, the split needs at least 10"):
        split_by_patient(of_sizes([[1] * 9, [1] * 12]), RULE.model_copy(update={"min_patients": 10}), seed=0)


def test_one_class_left_is_an_error() -> None:
    """Exclusion never leaves a single class."""
    with pytest.raises(DataError, match="fewer than two classes"):
        split_by_patient(of_sizes([[1] * 9, [1]]), RULE.model_copy(update={"too_few": "exclude"}), seed=0)


def test_class_whose_patients_are_tied_elsewhere() -> None:
    """Two classes on the same four patients divide; a class with two patients cannot reach four parts."""
    patients = [f"p{k}" for k in range(4)]
    images = image_set([*patients, *patients], [0, 0, 0, 0, 1, 1, 1, 1])
    assert in_all_parts(split_by_patient(images, RULE, seed=0))
    third = image_set([*patients, "q0", "p0", "p0", "p0", "q0"], [0, 0, 0, 0, 1, 1, 1, 1, 1])
    with pytest.raises(DataError, match="no division by patient found: 'b' gets no patient"):
        draw_parts(third, shares_of(RULE), seed=0)


def test_short_reserve_is_noted() -> None:
    """The note says which classes of the reserve fall short of what the brackets ask for."""
    splits = split_by_patient(of_sizes([[1] * 100, [1] * 200]), RULE, seed=0)
    assert note_reserve(splits, 10).notes == ()
    assert note_reserve(splits, 15).notes == (
        "oracle has fewer reserve images than the 15 per class that are wanted: a 10",
    )


def test_parts_are_the_splits_of_the_record() -> None:
    """Every part is a field of Splits."""
    assert set(PARTS) <= set(Splits.__dataclass_fields__)
