"""The terms of a leaderboard, in one sentence each."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

TERMS: tuple[tuple[str, str], ...] = (
    (
        "Point",
        "A hundredth of a metric that ends at 1: one percentage point of accuracy, or 0.01 of F1 or AUROC.",
    ),
    (
        "Interval",
        "Range that covers the true value in the stated share of repetitions, with new test patients and "
        "new trainings.",
    ),
    (
        "Detectable",
        "Smallest true difference that this comparison would find with the stated power; smaller ones "
        "mostly go unseen.",
    ),
    (
        "Rank",
        "1 + the number of rows that are significantly better, directly or through a chain. Rows of one rank "
        "were not told apart; rows of different rank need not have been told apart from each other.",
    ),
    (
        "Letters",
        "Rows that share a letter were not told apart from each other. Unlike ranks, letters show every "
        "pair.",
    ),
    (
        "Critical difference",
        "Distance of mean ranks from which Nemenyi's test tells two rows apart. Rows are ranked within every "
        "training of the same seed and fold, and the ranks are averaged.",
    ),
    (
        "Equivalent",
        "Two one-sided tests show that the true difference lies within the margin. Where they do not, "
        "nothing is claimed: “not told apart” alone does not mean equal.",
    ),
    (
        "Pareto front",
        "Rows that no other row in the plot beats in both respects at once, by their estimates; neighbors on "
        "it need not differ significantly.",
    ),
    (
        "Verified, self-reported",
        "Verified: the figures came out again from the stored predictions, and a share of the trainings was "
        "repeated with a plausible result. Self-reported: no repeated training is on record.",
    ),
    (
        "McNemar p",
        "Chance of so uneven a split of the images that only one of row and real_only has right (+ gained, "
        "− lost), if both were equally good; adjusted for the number of rows.",
    ),
    (
        "FID, KID",
        "Distances between synthetic and real images in the features of the named extractor; lower is "
        "closer. They depend on n. Beside them, as “real”, stands the same figure for two halves of the "
        "real images that share no patient.",
    ),
    (
        "MS-SSIM",
        "Mean similarity of pairs of images of one class; well above that of real images, it means "
        "little variety.",
    ),
    (
        "Mirror",
        "The GAN-test: classifiers trained on real images alone read the synthetic ones; how often they "
        "find what was asked for. Beside it, as “real”, what they reach on real test images. Far above it, "
        "the images are easier than life; far below, they do not show what they are labeled with.",
    ),
    (
        "Plausible",
        "Where a quality filter is at work: the share of drawn images that classifiers of real images take "
        "for what was asked for; the others are dropped. Beside it, as “real”, the share of real images.",
    ),
    (
        "Copies",
        "Share of synthetic images that lie nearer to a training image than nearly all images of fresh "
        "patients do. Clearly more than expected means that patients are copied: the row is gated and "
        "gets no rank.",
    ),
    ("real_only", "Control: no added images."),
    ("oversample", "Control: no added images; rare classes are drawn more often."),
    ("class_weights", "Control: no added images; rare classes weigh more in the loss."),
    ("duplicate_real", "Control: copies of training images in place of synthetic ones."),
    ("traditional", "Control: classically augmented training images in place of synthetic ones."),
    ("oracle", "Control: fresh true images that no other row has seen; the ceiling."),
    ("copycat", "Control: near-copies of training images, which the memorization gate must catch."),
    ("noise", "Control: images with a plausible histogram and no anatomy."),
)
FOLDS = (
    "Fold",
    "One of the parts into which the patients are divided; the model of a fold has not seen its patients.",
)


def glossary(settings: Mapping[str, Any]) -> list[tuple[str, str]]:
    """The terms that a leaderboard uses: its metrics first, and none that its kind of task lacks."""
    unused = {"McNemar p"} if settings["kind"] == "multilabel" else set()
    found = [(metric["title"], metric["meaning"]) for metric in settings["metrics"]]
    titles = {title for title, _ in found}
    found += [
        (m["title"], m["meaning"]) for m in settings.get("quality_metrics", []) if m["title"] not in titles
    ]
    found += [FOLDS] if settings["folds"] > 1 else []
    return found + [(term, meaning) for term, meaning in TERMS if term not in unused]
