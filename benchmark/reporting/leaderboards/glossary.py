"""The terms of a leaderboard, in a few sentences each."""

from collections.abc import Sequence

from benchmark.reporting.leaderboards.board import Board

Term = tuple[str, str]  # a term and its meaning

FOLDS = (
    "Fold",
    "One of the parts into which the patients are divided; a fold's model is not trained on its patients.",
)
MCNEMAR = (
    "McNemar p",
    "Probability of an equally uneven split of the images that only one of row and real_only classifies "
    "correctly (+ gained, − lost), if both were equally good; corrected for the number of rows.",
)
TERMS = {
    "Point": "A hundredth of a metric that ends at 1: one percentage point of accuracy, or 0.01 of F1 or "
    "AUROC.",
    "Interval": "Confidence interval: it covers the true value in the stated share of repetitions with new "
    "test patients and new trainings.",
    "Detectable": "Smallest true difference that this comparison detects with the stated power; smaller ones "
    "are usually missed.",
    "Candidate, reference": "A candidate is a generator or an augmentation that the board judges. A "
    "reference is a control, whose result is known in advance; it gets no rank.",
    "Rank": "1 + the number of candidates that the tests find better, directly or through a chain. "
    "Candidates of one rank are tied: no test finds a difference between them.",
    "Equivalent": "Two one-sided tests show that the true difference lies within the margin. Without that "
    "result nothing is claimed: the absence of a significant difference does not show equality.",
    "Pareto front": "Rows above real_only that no other row in the plot dominates in both respects, by their "
    "estimates; neighbors on the front need not differ significantly.",
    "Verified, self-reported": "Verified: the project repeated a share of the trainings, with a plausible "
    "result; the project's rows too, so nobody independent need have checked them. Self-reported: no "
    "repeated training is on record.",
    "FID, KID": "Distances between synthetic and real images in the features of the named extractor; lower "
    "is closer. They depend on the number of images n. Beside them, as “real”, stands the same figure for "
    "two halves of the real images that share no patient.",
    "MS-SSIM": "Mean similarity of pairs of images of one class; a value well above that of real images "
    "shows little variety.",
    "GAN-test": "Performance on the synthetic images of classifiers trained on real images alone. Beside it, "
    "as “real”, stands their performance on real test images. Far above it, the images are easier than real "
    "ones; far below, they do not show their labels.",
    "Filter pass rate": "With a quality filter: the share of generated images that classifiers of real "
    "images assign to the requested class; the others are dropped. Beside it, as “real”, stands the share of "
    "real images.",
    "Copies": "Share of synthetic images that lie nearer to a training image than nearly all images of new "
    "patients do. A share clearly above the expected one shows copied patients: the row is gated and gets no "
    "rank. Faint copies pass that threshold one by one, and are gated since clearly more than half of them "
    "are nearest to a training patient, among as many unseen ones.",
    "real_only": "Control: no added images.",
    "oversample": "Control: no added images; rare classes are drawn more often.",
    "class_weights": "Control: no added images; rare classes have a larger weight in the loss.",
    "duplicate_real": "Control: copies of training images instead of synthetic ones.",
    "traditional": "Control: classically augmented training images instead of synthetic ones.",
    "oracle": "Control: additional true images that no other row uses; the ceiling.",
    "copycat": "Control: near-copies of training images, which the memorization gate must catch.",
    "noise": "Control: images with a plausible histogram and no anatomy.",
}


def glossary(boards: Sequence[Board]) -> list[Term]:
    """The terms that leaderboards use, each once: their metrics first.

    A metric with a narrower meaning on one board (F1 of one class) has all its meanings in one entry. A
    metric of synthetic images that ``TERMS`` does not explain has the description of its plug-in.
    """
    each = [board.comparison.settings for board in boards]
    terms = [(m.title, m.meaning) for own in each for m in (*own.metrics, *own.quality_metrics)]
    terms += [FOLDS] if any(own.folds > 1 for own in each) else []
    terms += TERMS.items()
    explained = {title for term in TERMS for title in term.split(", ")}
    terms += [term for board in boards for term in board.measure_terms if term[0] not in explained]
    terms += [MCNEMAR] if any(own.kind != "multilabel" for own in each) else []
    meanings: dict[str, list[str]] = {}
    for title, meaning in terms:
        if meaning not in (known := meanings.setdefault(title, [])):
            known.append(meaning)
    return [(title, " Or, on another board: ".join(own)) for title, own in meanings.items()]
