"""Rules of scenarios, alone and together: the images that each retains, relabels or masks."""

from __future__ import annotations

from dataclasses import replace
from itertools import permutations, product
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmark.datasets import covid_chestxray
from benchmark.errors import DataError, TaskError, UnknownNameError
from benchmark.images.disjoint import prove_disjoint
from benchmark.images.image_set import ImageSet, concatenate
from benchmark.images.lazy import LazyImages
from benchmark.protocol import scenario
from benchmark.protocol.rules import amount, label_policy, mask, sites, view
from benchmark.protocol.split import divide
from benchmark.tasks.loading import load_task
from benchmark.tasks.rules import Fraction, Imbalance, LabelPolicy, Mask, Rule, Sites, View, parse_rules
from benchmark.tasks.schema import SplitRule, Task
from support.samples import ROOT, TINY, blobs

FINDINGS = ("Pneumothorax", "Pleural Effusion")
POSITIVE, NEGATIVE, UNCERTAIN, NOT_MENTIONED = 1, 0, -1, -2

# Lan 2023, Table 1: images per report (positive, uncertain, negative, not mentioned)
TABLE_1 = {
    "Pneumothorax": {1: 19_448, -1: 3_145, 0: 56_341, -2: 144_480},
    "Pleural Effusion": {1: 86_187, -1: 11_628, 0: 35_396, -2: 90_203},
}
# Lan 2023, Tables 6 and 7: (positive, negative) by (not mentioned, uncertain)
TABLES_6_7 = {
    ("Pneumothorax", "zeros", "ones"): (22_593, 200_821),
    ("Pneumothorax", "zeros", "zeros"): (19_448, 203_966),
    ("Pneumothorax", "ones", "ones"): (167_073, 56_341),
    ("Pneumothorax", "ones", "zeros"): (163_928, 59_486),
    ("Pleural Effusion", "zeros", "ones"): (97_815, 125_599),
    ("Pleural Effusion", "zeros", "zeros"): (86_187, 137_227),
    ("Pleural Effusion", "ones", "ones"): (188_018, 35_396),
    ("Pleural Effusion", "ones", "zeros"): (176_390, 47_024),
}


def policy(uncertain: str = "ones", not_mentioned: str = "zeros", finding: str = "Pneumothorax") -> Any:
    return LabelPolicy(
        rule="label_policy",
        finding=finding,
        uncertain=uncertain,  # type: ignore[arg-type]
        not_mentioned=not_mentioned,  # type: ignore[arg-type]
    )


def unread(rows: np.ndarray) -> np.ndarray:
    raise AssertionError("a rule read pixels")


def reported(report: np.ndarray, **columns: Any) -> ImageSet:
    """Return images with these reports on two findings, one patient each, and unreadable pixels."""
    n = len(report)
    base = ImageSet(
        image=LazyImages(unread, (n, 4, 4)),
        label=(report == POSITIVE).astype(np.uint8),
        classes=FINDINGS,
        image_id=np.array([f"i{k}" for k in range(n)]),
        patient_id=np.array([f"p{k}" for k in range(n)]),
        origin=np.full(n, "real:test"),
        reported_labels=report.astype(np.int8),
    )
    return replace(base, **columns)


def labeled(label: list[int], patient: list[str] | None = None, **columns: Any) -> ImageSet:
    """Return images of single labels with distinct pixels in memory."""
    n = len(label)
    base = ImageSet(
        image=np.random.default_rng(0).integers(1, 256, (n, 8, 8), dtype=np.uint8),
        label=np.array(label, dtype=np.int64),
        classes=("a", "b", "c")[: max(label) + 1],
        image_id=np.array([f"i{k:04d}" for k in range(n)]),
        patient_id=np.array(patient or [f"p{k:04d}" for k in range(n)]),
        origin=np.full(n, "real:test"),
    )
    return replace(base, **columns)


def notes(images: ImageSet) -> list[str]:
    return list(images.card.get("notes", ()))


# view


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("PA", "frontal"),
        ("AP", "frontal"),
        ("AP Supine", "frontal"),
        ("ap semi erect", "frontal"),
        ("Frontal", "frontal"),
        ("LATERAL", "lateral"),
        ("L", "lateral"),
        ("LL", "lateral"),
        ("RL", "lateral"),
        ("", ""),
        ("Coronal", ""),
        ("Axial", ""),
        ("apical", ""),
    ],
)
def test_kind_of_view(text: str, kind: str) -> None:
    """PA, AP and variants are frontal, case-insensitively; CT planes and unknown words are neither kind."""
    assert view.kind_of(text) == kind


@pytest.mark.parametrize(("keep", "ids"), [("frontal", [0, 2, 3]), ("lateral", [1]), ("both", [0, 1, 2, 3])])
def test_view_retains_its_kind(keep: Any, ids: list[int]) -> None:
    """Images of the kind stay in order without being read; the note counts the others by view."""
    images = reported(np.zeros((4, 2)), view=np.array(["PA", "LATERAL", "ap supine", "AP"]))
    retained = view.apply(images, View(rule="view", keep=keep))
    assert retained.image_id.tolist() == [f"i{k}" for k in ids]
    expected = {
        "frontal": ["view: 1 of 4 images left out, not frontal (LATERAL 1)"],
        "lateral": ["view: 3 of 4 images left out, not lateral (PA 1, ap supine 1, AP 1)"],
        "both": [],
    }
    assert notes(retained) == expected[keep]


@pytest.mark.parametrize(
    ("views", "problem"),
    [
        (None, "3 of 3 images have no known view"),
        (["PA", "", "Axial"], r"2 of 3 images have no known view \(none 1, Axial 1\)"),
        (["PA", "AP", "PA"], r"leaves no image: all 3 left out, not lateral \(PA 2, AP 1\)"),
    ],
)
def test_unknown_views_are_an_error(views: list[str] | None, problem: str) -> None:
    """The error counts images without a known view, or reports that none is of the kind."""
    images = labeled([0, 0, 1], view=None if views is None else np.array(views))
    with pytest.raises(DataError, match=problem):
        view.apply(images, View(rule="view", keep="lateral"))


# label policy


@pytest.fixture(scope="module")
def chexpert() -> ImageSet:
    """The 223,414 training images of CheXpert, with the report counts of Table 1."""
    report = np.column_stack([np.repeat(list(t), list(t.values())) for t in TABLE_1.values()])
    return reported(report, split=np.full(len(report), "train"))


CROSSED = [
    ("Pneumothorax", *pair) for pair in product(label_policy.OF_NOT_MENTIONED, label_policy.OF_UNCERTAIN)
]


@pytest.mark.parametrize(("finding", "not_mentioned", "uncertain"), sorted({*CROSSED, *TABLES_6_7}))
def test_policies_on_chexpert(chexpert: ImageSet, finding: str, uncertain: str, not_mentioned: str) -> None:
    """The reports of Lan's Table 1 give Tables 6 and 7 exactly; the other policies follow by addition."""
    assert len(chexpert) == 223_414
    class_counts = label_policy.apply(chexpert, policy(uncertain, not_mentioned, finding)).counts()
    table = TABLE_1[finding]
    expected = {
        "negative": table[0] + (uncertain == "zeros") * table[-1] + (not_mentioned == "zeros") * table[-2],
        "positive": table[1] + (uncertain == "ones") * table[-1] + (not_mentioned == "ones") * table[-2],
        **({"uncertain": table[-1]} if uncertain == "multi_class" else {}),
    }
    assert class_counts == expected
    if (finding, not_mentioned, uncertain) in TABLES_6_7:
        printed = TABLES_6_7[finding, not_mentioned, uncertain]
        assert (class_counts["positive"], class_counts["negative"]) == printed


ALL_REPORTS = np.array([[POSITIVE, 0], [NEGATIVE, 0], [UNCERTAIN, 0], [NOT_MENTIONED, 0]])


@pytest.mark.parametrize("split", ["val", "test", "test_site"])
def test_evaluation_keeps_certain_labels(split: str) -> None:
    """With U-Ones and NM as 1 all training images get labels; val and test retain two certain images."""
    images = reported(np.vstack([ALL_REPORTS, ALL_REPORTS]), split=np.repeat(["train", split], 4))
    retained = label_policy.apply(images, policy("ones", "ones"))
    assert retained.label.tolist() == [1, 0, 1, 1, 1, 0]
    assert retained.split is not None
    assert retained.split.tolist() == ["train"] * 4 + [split] * 2
    assert notes(retained) == [
        "label_policy: 2 of 4 images for evaluation left out, Pneumothorax uncertain or not mentioned"
    ]
    assert retained.reported_labels is None
    assert retained.classes == ("negative", "positive")


@pytest.mark.parametrize("split", [None, [""] * 4])
def test_source_without_a_split_is_labeled_by_the_policy(split: list[str] | None) -> None:
    """Before a later division the policy applies to all images, and a note reports the consequence."""
    images = reported(ALL_REPORTS, split=None if split is None else np.array(split))
    retained = label_policy.apply(images, policy("multi_class", "exclude"))
    assert retained.label.tolist() == [1, 0, 2]
    assert retained.classes == ("negative", "positive", "uncertain")
    assert notes(retained) == [
        "label_policy: images that the source gives no split are labeled by the policy, in test too: "
        "uncertain multi_class, not mentioned exclude",
        "label_policy: 1 of 4 images for training left out, Pneumothorax uncertain (multi_class) "
        "or not mentioned (exclude)",
    ]


def test_policy_reads_the_named_finding() -> None:
    """The column of the named finding gives the labels, here the second."""
    images = reported(np.array([[1, 0], [0, 1]]), split=np.full(2, "train"))
    retained = label_policy.apply(images, policy(finding="Pleural Effusion"))
    assert retained.label.tolist() == [0, 1]


def test_policy_that_leaves_no_image_is_an_error() -> None:
    """Reports without certain labels, all excluded, give an error and not an empty set."""
    with pytest.raises(DataError, match="none is labeled for 'Pneumothorax'"):
        label_policy.apply(reported(np.full((3, 2), UNCERTAIN)), policy("ignore"))


def test_finding_that_the_source_lacks() -> None:
    """The error for a misspelled finding suggests the right name."""
    with pytest.raises(UnknownNameError, match="Did you mean 'Pneumothorax'") as error:
        label_policy.apply(reported(ALL_REPORTS), policy(finding="pneumothorax"), where="scenario.labels")
    assert error.value.where == "scenario.labels: finding"


def test_source_without_reports() -> None:
    """The error for a source with labels alone names sources.<source>.skip_steps."""
    with pytest.raises(DataError, match="no reports") as error:
        label_policy.apply(labeled([0, 1]), policy())
    assert "sources.<source>.skip_steps" in error.value.remedy


def test_self_trained_equals_ignore_before_the_teacher() -> None:
    """The labels are those of ignore, the card counts uncertain images, and both parts make the whole."""
    report = np.vstack([ALL_REPORTS] * 3)
    split = np.repeat(["train", "test", "reserve"], 4)
    images = reported(report, split=split)
    pseudo_labeled, ignored = (label_policy.apply(images, policy(u)) for u in ("self_trained", "ignore"))
    waiting = label_policy.uncertain_images(images, policy("self_trained"))
    assert pseudo_labeled.image_id.tolist() == ignored.image_id.tolist()
    assert pseudo_labeled.label.tolist() == ignored.label.tolist()
    assert pseudo_labeled.card["self_trained"] == 2 == len(waiting)
    assert "self_trained" not in ignored.card
    assert waiting.image_id.tolist() == ["i2", "i10"]
    training = set(images.image_id[np.isin(split, ["train", "reserve"])])
    retained = set(pseudo_labeled.image_id) & training
    assert retained | set(waiting.image_id) == training
    assert not retained & set(waiting.image_id)


def test_teacher_labels_the_uncertain() -> None:
    """Probability 0.5 or more is positive; soft labels sum to 1, and certain images keep 0 and 1."""
    images = reported(np.vstack([ALL_REPORTS] * 2), split=np.full(8, "train"))
    rule = policy("self_trained", "exclude")
    train, waiting = label_policy.apply(images, rule), label_policy.uncertain_images(images, rule)
    pseudo_labeled = label_policy.with_pseudo_labels(waiting, np.array([0.5, 0.1]))
    assert pseudo_labeled.label.tolist() == [1, 0]
    assert pseudo_labeled.soft == pytest.approx(np.array([[0.5, 0.5], [0.9, 0.1]]))
    whole = label_policy.join_pseudo_labeled(train, pseudo_labeled)
    assert whole.label.tolist() == [1, 0, 1, 0, 1, 0]
    assert whole.soft is not None
    assert whole.soft[:4].tolist() == [[0, 1], [1, 0], [0, 1], [1, 0]]
    assert len(label_policy.join_pseudo_labeled(train, pseudo_labeled.select([]))) == 4


@pytest.mark.parametrize("probability", [[0.5], [0.5, 1.2], [0.5, float("nan")], [[0.5], [0.2]]])
def test_teacher_must_give_probabilities(probability: list[Any]) -> None:
    """The teacher must return one number in [0, 1] per image."""
    images = reported(np.full((2, 2), UNCERTAIN))
    waiting = label_policy.uncertain_images(images, policy("self_trained"))
    with pytest.raises(DataError, match="pseudo-labels"):
        label_policy.with_pseudo_labels(waiting, np.array(probability))


def test_teacher_never_sees_patients_of_other_splits() -> None:
    """Only uncertain images of patients in train, or in no split, may be trained on."""
    report = np.vstack([ALL_REPORTS] * 60)
    patient = np.array([f"p{k // 8:03d}" for k in range(len(report))])  # two of each report per patient
    patient[-8:-4] = "solo"
    report[-8:-4] = UNCERTAIN
    images = reported(report, patient_id=patient, image=np.arange(len(report) * 16, dtype=np.uint32)
        .view(np.uint8).reshape(len(report), 8, 8))  # fmt: skip
    rules: dict[str, Rule] = {"labels": policy("self_trained")}
    splits = divide(scenario.before_split(rules)(images), SplitRule(), seed=0)
    change = scenario.uncertain_before_split(rules)
    assert change is not None
    usable = label_policy.of_training_patients(change(images), splits)
    assert usable.patients() == splits.train.patients() | {"solo"}
    prove_disjoint(replace(splits, train=concatenate([splits.train, usable])))


def test_uncertain_images_pass_the_other_rules() -> None:
    """View and mask apply to uncertain images; without self_trained there is no such function."""
    images = reported(
        np.vstack([ALL_REPORTS] * 2),
        view=np.repeat(["PA", "LATERAL"], 4),
        split=np.full(8, "train"),
        image=np.full((8, 4, 4), 9, np.uint8),
    )
    rules = parse_rules(
        {
            "view": {"rule": "view", "keep": "frontal"},
            "labels": policy("self_trained").model_dump(),
            "mask": {"rule": "mask", "shape": "inverted_joint"},
        }
    )
    change = scenario.uncertain_before_split(rules)
    assert change is not None
    waiting = change(images)
    assert waiting.image_id.tolist() == ["i2"]
    assert waiting.image[0].min() == 0
    assert scenario.uncertain_before_split({"labels": policy("ones")}) is None


# mask


@pytest.mark.parametrize("shape", ["square", "separate", "joint", "inverted_joint"])
@pytest.mark.parametrize("size", [16, 64, 65, 224])
def test_masks_are_symmetric(shape: Any, size: int) -> None:
    """Every mask equals its mirror image, shows some pixels and hides some."""
    shown = mask.shown_by(shape, size, size)
    assert np.array_equal(shown, shown[:, ::-1])
    assert 0.1 < shown.mean() < 0.9


def test_square_is_that_of_the_paper() -> None:
    """At (389, 320) pixels the centered square is 300 by 300."""
    shown = mask.shown_by("square", 320, 389)
    rows, columns = np.flatnonzero(shown.any(1)), np.flatnonzero(shown.any(0))
    assert (len(rows), rows[0]) == (300, 10)
    assert len(columns) in (299, 300, 301)  # 389 is odd, so a centered 300 is not whole pixels
    assert shown.sum() == len(rows) * len(columns)


@pytest.mark.parametrize("size", [32, 64, 128, 256])
def test_masks_relate_as_the_paper_says(size: int) -> None:
    """Separate is two parts with a gap, joint also covers the gap, and inverted is the complement."""
    from scipy import ndimage

    separate, joint = (mask.shown_by(s, size, size) for s in ("separate", "joint"))  # type: ignore[arg-type]
    assert ndimage.label(separate)[1] == 2
    assert ndimage.label(joint)[1] == 1
    assert not (separate & ~joint).any()
    assert np.diff(np.flatnonzero(joint[size // 2])).max() == 1
    assert not separate[:, size // 2].any()
    assert np.array_equal(mask.shown_by("inverted_joint", size, size), ~joint)


def test_mask_shows_the_lungs_of_phantoms() -> None:
    """The joint mask includes the lungs: the darkest quarter of the thorax of the mean healthy phantom."""
    from benchmark.datasets.phantom import chest

    drawn = [chest.draw("healthy", seed=2, index=i, size=128) for i in range(12)]
    mean = np.mean([p.image for p in drawn], axis=0)
    middle = mean[30:80, 20:108]
    dark = np.zeros((128, 128), bool)
    dark[30:80, 20:108] = middle < np.quantile(middle, 0.25)
    assert (mask.shown_by("joint", 128, 128) & dark).sum() > 0.98 * dark.sum()


@pytest.mark.parametrize(
    ("finding", "least"),
    [("pneumothorax", 0.98), ("nodule", 0.98), ("effusion", 0.88), ("cardiomegaly", 0.92)],
)
def test_findings_stay_visible_under_the_joint_mask(finding: str, least: float) -> None:
    """On average over 60 frontal phantoms the mask shows at least this share of a finding's pixels."""
    from benchmark.phantoms.radiograph import thorax

    shown = mask.shown_by("joint", 64, 64)
    drawn = (thorax.draw((finding,), seed=1, index=i, size=64, view=("PA", "AP")[i % 2]) for i in range(60))
    differing = [
        study.mask > 0 for study in drawn if study.mask.any()
    ]  # the smallest effusions are below a pixel
    assert len(differing) > 55
    assert np.mean([(shown & pixels).sum() / pixels.sum() for pixels in differing]) > least


def test_mask_is_applied_when_a_pixel_is_read() -> None:
    """The rule reads no image. Later reads are black where hidden and unchanged where shown."""
    calls: list[int] = []
    original = np.random.default_rng(1).integers(1, 256, (5, 32, 32), dtype=np.uint8)

    def read(rows: np.ndarray) -> np.ndarray:
        calls.append(len(rows))
        return original[rows]

    images = replace(labeled([0, 1, 0, 1, 0]), image=LazyImages(read, original.shape))
    masked = mask.apply(images, Mask(rule="mask", shape="separate"))
    assert calls == []
    shown = mask.shown_by("separate", 32, 32)
    assert np.array_equal(masked.image[3], np.where(shown, original[3], 0))
    assert calls == [1]
    in_memory = mask.apply(replace(images, image=original), Mask(rule="mask", shape="separate"))
    assert in_memory.content_hash() == masked.content_hash()


def test_no_mask_changes_nothing() -> None:
    """Shape none returns the same set."""
    images = labeled([0, 1])
    assert mask.apply(images, Mask(rule="mask")) is images


def test_mask_on_lateral_images_is_noted() -> None:
    """The lung polygons of frontal images apply to lateral ones too, and a note counts them."""
    images = labeled([0, 1, 1], view=np.array(["PA", "LATERAL", "Lateral"]))
    assert notes(mask.apply(images, Mask(rule="mask", shape="joint"))) == [
        "mask: 2 lateral images got the lung mask of frontal images"
    ]
    assert notes(mask.apply(images, Mask(rule="mask", shape="square"))) == []


# imbalance and fraction


def many(counts: dict[int, int], per_patient: int = 1) -> ImageSet:
    label = [k for k, n in counts.items() for _ in range(n)]
    return labeled(label, [f"p{k}-{i // per_patient:03d}" for k, n in counts.items() for i in range(n)])


def imbalance(keep: dict[str, int]) -> Imbalance:
    return Imbalance(rule="imbalance", keep=keep)


@settings(max_examples=40, deadline=None)
@given(
    sizes=st.lists(st.integers(1, 6), min_size=3, max_size=30),
    share=st.floats(0.05, 1),
    seed=st.integers(0, 2**31),
)
def test_imbalance_is_as_close_as_whole_patients_allow(sizes: list[int], share: float, seed: int) -> None:
    """The count stays within the limit, no omitted patient would fit, and other classes are unchanged."""
    label = [0] * 5 + [1] * sum(sizes)
    patient = [f"o{k}" for k in range(5)] + [f"p{k}" for k, n in enumerate(sizes) for _ in range(n)]
    images = labeled(label, patient)
    wanted = max(min(sizes), round(share * sum(sizes)))
    retained = amount.imbalance(images, imbalance({"b": wanted}), seed=seed)
    assert retained.counts()["a"] == 5
    room = wanted - retained.counts()["b"]
    assert room >= 0
    assert all(n > room for k, n in enumerate(sizes) if f"p{k}" not in retained.patients())
    assert all(
        (images.patient_id == p).sum() == (retained.patient_id == p).sum() for p in retained.patients()
    )


def test_imbalance_is_exact_and_nested_with_one_image_per_patient() -> None:
    """The counts are exact, ten are among fifty of the same seed, and another seed draws others."""
    images = many({0: 300, 1: 200, 2: 100})
    ten, fifty = (amount.imbalance(images, imbalance({"b": n, "c": 2 * n}), seed=1) for n in (10, 50))
    assert ten.counts() == {"a": 300, "b": 10, "c": 20}
    assert set(ten.image_id) < set(fifty.image_id)
    other = amount.imbalance(images, imbalance({"b": 10, "c": 20}), seed=2)
    assert set(other.image_id) != set(ten.image_id)
    assert notes(ten) == [
        "imbalance: retained for training: b 10 of 200 images, 10 of 200 patients; "
        "c 20 of 100 images, 20 of 100 patients"
    ]


def test_imbalance_leaves_a_patients_other_classes() -> None:
    """For a patient with two classes, only images of the named class are dropped."""
    images = labeled([0, 1] * 20, [f"p{k // 2}" for k in range(40)])
    retained = amount.imbalance(images, imbalance({"b": 3}), seed=0)
    assert retained.counts() == {"a": 20, "b": 3}


def test_multi_label_imbalance() -> None:
    """An image with the class is dropped with its other classes; the note counts what remains of each."""
    label = np.zeros((60, 2), np.uint8)
    label[:40, 0] = 1
    label[20:50, 1] = 1
    images = replace(labeled([0] * 60), label=label, classes=("a", "b"))
    retained = amount.imbalance(images, imbalance({"a": 10}), seed=0)
    assert retained.counts()["a"] == 10
    assert len(retained) == 30
    assert retained.counts()["b"] == 10 + retained.label[:, 0][retained.label[:, 1] == 1].sum()


@pytest.mark.parametrize(
    ("keep", "error", "problem"),
    [
        ({"b": 21}, DataError, "'b': requests 21 training images, there are 20"),
        ({"b": 3}, DataError, "every patient has more .the smallest has 4"),
        ({"B": 3}, UnknownNameError, "unknown class 'B'"),
    ],
)
def test_impossible_imbalance_is_an_error(keep: dict[str, int], error: type[Exception], problem: str) -> None:
    """Too many images, fewer than one patient has, or an unknown class are never rounded silently."""
    with pytest.raises(error, match=problem):
        amount.imbalance(many({0: 20, 1: 20}, per_patient=4), imbalance(keep), seed=0)


@pytest.mark.parametrize(("share", "patients"), [(0.25, 3), (0.5, 5), (0.75, 8), (1.0, 10), (0.01, 1)])
def test_fraction_is_of_patients(share: float, patients: int) -> None:
    """The share of ten patients of the class is rounded half up, at least one; other patients stay."""
    images = many({0: 12, 1: 40}, per_patient=4)
    retained = amount.fraction(images, Fraction(rule="fraction", of="b", keep=share), seed=3)
    assert len(retained.of_class(1).patients()) == patients
    assert retained.counts() == {"a": 12, "b": 4 * patients}
    note = f"fraction: retained for training: b {4 * patients} of 40 images, {patients} of 10 patients"
    assert notes(retained) == ([note] if share < 1 else [])


def test_fractions_are_nested() -> None:
    """A half retains all images of a quarter."""
    images = many({0: 12, 1: 40})
    retained = [
        set(amount.fraction(images, Fraction(rule="fraction", of="b", keep=k), seed=5).image_id)
        for k in (0.25, 0.5, 0.75, 1.0)
    ]
    assert retained[0] < retained[1] < retained[2] < retained[3]


# sites


def test_other_sites_become_a_test() -> None:
    """Images of other sites go to test_site; a patient of both sites stays with the training site only."""
    images = labeled(
        [0, 1, 0, 1, 0, 1],
        ["p", "q", "r", "s", "p", "t"],
        site=np.array(["Ulm", "Ulm", "Bonn", "Bonn", "Bonn", "Kiel"]),
    )
    moved = sites.apply(images, Sites(rule="sites", train=("Ulm",)))
    assert moved.image_id.tolist() == ["i0000", "i0001", "i0002", "i0003", "i0005"]
    assert moved.split is not None
    assert moved.split.tolist() == ["", "", "test_site", "test_site", "test_site"]
    assert notes(moved) == [
        "sites: 1 images of 1 patients left out of test_site, since the training sites saw these patients too"
    ]
    two = sites.apply(images, Sites(rule="sites", train=("Ulm", "Kiel")))
    assert two.split is not None
    assert two.split.tolist() == ["", "", "test_site", "test_site", ""]


def test_given_splits_stay_at_the_training_sites() -> None:
    """The source's split of a training site is unchanged; that of another site is replaced."""
    images = labeled(
        [0, 1, 0], site=np.array(["Ulm", "Ulm", "Bonn"]), split=np.array(["train", "test", "val"])
    )
    moved = sites.apply(images, Sites(rule="sites", train=("Ulm",)))
    assert moved.split is not None
    assert moved.split.tolist() == ["train", "test", "test_site"]


@pytest.mark.parametrize(
    ("site", "train", "error", "problem"),
    [
        (None, "Ulm", DataError, "3 of 3 images have no known site"),
        (["Ulm", "", "Bonn"], "Ulm", DataError, "1 of 3 images have no known site"),
        (["Ulm", "Ulm", "Bonn"], "Uln", UnknownNameError, "Did you mean 'Ulm'"),
        (["Ulm", "Ulm", "Ulm"], "Ulm", DataError, "leaves no patient for test_site"),
    ],
)
def test_invalid_sites_are_errors(site: Any, train: str, error: type[Exception], problem: str) -> None:
    """Blank sites, a site without images and a missing other site each have their error."""
    images = labeled([0, 1, 0], site=None if site is None else np.array(site))
    with pytest.raises(error, match=problem):
        sites.apply(images, Sites(rule="sites", train=(train,)))


# together


def chexpert_like(seed: int = 0, patients: int = 60) -> ImageSet:
    """Return three images per patient, with two views, two sites and reports of all four kinds."""
    rng = np.random.default_rng(seed)
    n = 3 * patients
    patient = np.repeat([f"p{k:03d}" for k in range(patients)], 3)
    home = np.repeat(np.where(rng.random(patients) < 0.7, "Ulm", "Bonn"), 3)
    return reported(
        rng.choice([1, 0, -1, -2], (n, 2), p=[0.35, 0.35, 0.15, 0.15]),
        patient_id=patient,
        view=np.tile(["PA", "AP", "LATERAL"], patients),
        site=home,
        image=rng.integers(1, 256, (n, 16, 16), dtype=np.uint8),
    )


STEPS: dict[str, dict[str, Any]] = {
    "view": {"rule": "view", "keep": "frontal"},
    "sites": {"rule": "sites", "train": ["Ulm"]},
    "labels": {"rule": "label_policy", "finding": "Pneumothorax", "uncertain": "ignore"},
    "mask": {"rule": "mask", "shape": "joint"},
}


def test_order_of_rules_does_not_matter() -> None:
    """All orders with sites before the label policy give the same images, labels, splits and pixels."""
    images = chexpert_like()
    hashes = set()
    for order in permutations(STEPS):
        rules = parse_rules({name: STEPS[name] for name in order})
        if order.index("sites") < order.index("labels"):
            hashes.add(scenario.before_split(rules)(images).content_hash())
        else:
            with pytest.raises(TaskError, match="comes after a label_policy"):
                scenario.before_split(rules)
    assert len(hashes) == 1


def test_self_trained_excludes_subsampling() -> None:
    """Imbalance and fraction are refused by name: the teacher would bring back the dropped images."""
    few = {"rule": "fraction", "of": "positive", "keep": 0.5}
    rules = parse_rules({"labels": policy("self_trained").model_dump(), "few": few})
    for change in (scenario.before_split, scenario.uncertain_before_split):
        with pytest.raises(TaskError, match="conflicts with 'labels'"):
            change(rules)
    scenario.before_split(parse_rules({"labels": policy("ignore").model_dump(), "few": few}))
    everyone = parse_rules({"labels": policy("self_trained").model_dump(), "few": {**few, "keep": 1.0}})
    assert scenario.uncertain_before_split(everyone) is not None


def test_scenario_from_images_to_splits() -> None:
    """All six rules on one source: frontal, certain tests, a separate site, few positives in train."""
    rules = parse_rules(
        {
            **STEPS,
            "rare": {"rule": "imbalance", "keep": {"positive": 8}},
            "few": {"rule": "fraction", "of": "negative", "keep": 0.5},
        }
    )
    changed = scenario.before_split(rules)(chexpert_like())
    splits = divide(changed, SplitRule(), seed=0)
    prove_disjoint(splits)
    train = scenario.on_train(rules, seed=0)(splits.train)
    assert train.counts()["positive"] in (7, 8)
    before, after = (len(s.of_class(0).patients()) for s in (splits.train, train))
    assert after == int(before / 2 + 0.5)
    assert set(splits.more_tests) == {"test_site"}
    assert set(splits.test.site) == {"Ulm"}
    assert set(splits.more_tests["test_site"].site) == {"Bonn"}
    assert set(splits.test.view) <= {"PA", "AP"}
    steps = [note.split(":")[0] for note in notes(train)]
    assert steps == ["scenario.view", "scenario.labels", "scenario.labels", "scenario.labels",
        "scenario.rare", "scenario.few"]  # fmt: skip


def test_no_rules_change_nothing() -> None:
    """The functions of an empty scenario return the same set."""
    images = labeled([0, 1])
    assert scenario.before_split({})(images) is images
    assert scenario.on_train({}, seed=0)(images) is images


def test_every_rule_of_the_schema_is_implemented() -> None:
    """Each rule of the schema runs either before the division or on train, never both."""
    kinds = set(Rule.__origin__.__args__)  # type: ignore[attr-defined]
    assert set(scenario.BEFORE) | set(scenario.AFTER) == kinds
    assert not set(scenario.BEFORE) & set(scenario.AFTER)


def test_examples_of_the_documentation() -> None:
    """Every YAML block of docs/scenarios.md is valid in a task; together they show all rules."""
    text = (ROOT / "docs" / "scenarios.md").read_text(encoding="utf-8")
    blocks = [yaml.safe_load(block.split("```")[0]) for block in text.split("```yaml\n")[1:]]
    assert len(blocks) == 4
    shown = set()
    for block in blocks:
        tiny = load_task(str(TINY)).model_dump()
        for name, changed in block.get("profiles", {}).items():
            tiny["profiles"][name] |= changed
        sources = {**tiny["sources"], **block.get("sources", {})}
        task = Task(**{**tiny, **block, "sources": sources, "profiles": tiny["profiles"]})
        shown |= {rule.rule for rule in task.scenario.values()}
    assert shown == {"view", "label_policy", "mask", "imbalance", "fraction", "sites"}


def test_rules_on_real_radiographs(packs: Path) -> None:
    """On covid-chestxray all images are frontal, the mask shows the lungs, and the class counts match."""
    images = covid_chestxray.images(
        covid_chestxray.Params(root=packs / "covid-chestxray", allow_missing=True),
        classes=("covid19", "bacterial"),
        image_size=64,
        reserve_per_class=1,
        seed=0,
    )
    rules = parse_rules(
        {
            "view": {"rule": "view", "keep": "frontal"},
            "mask": {"rule": "mask", "shape": "joint"},
            "rare": {"rule": "imbalance", "keep": {"bacterial": 6}},
        }
    )
    changed = scenario.before_split(rules)(images)
    assert len(changed) == len(images)
    shown = mask.shown_by("joint", 64, 64)
    some, masked = np.asarray(images.image[:20]), np.asarray(changed.image[:20])
    assert np.array_equal(masked[:, shown], some[:, shown])
    assert not masked[:, ~shown].any()
    train = scenario.on_train(rules, seed=0)(divide(changed, SplitRule(test=0.1, val=0.1), seed=0).train)
    assert 1 <= train.counts()["bacterial"] <= 6


def test_a_fraction_keeps_a_patient_with_a_still_image_and_one_with_clips():
    """A quarter of four patients with a still and eight with clips is one and two of them, never none."""
    n = 12
    base = blobs({"pneumonia": n, "healthy": 3})
    clip = np.array([""] * 4 + [f"clip{i}" for i in range(n - 4)] + [""] * 3)
    images = replace(base, clip=clip)
    for seed in range(20):
        retained = scenario.on_train(
            {"few": Fraction(rule="fraction", of="pneumonia", keep=0.25)}, seed=seed
        )(images)
        clips = retained.clip[retained.label == 0]
        assert ((clips == "").sum(), (clips != "").sum()) == (1, 2)
