"""Threshold of a score at which sensitivity and specificity are largest together."""

import numpy as np

from benchmark.errors import SubmissionError


def youden_threshold(label: np.ndarray, scores: np.ndarray) -> float:
    """Return the score that maximizes Youden's J, sensitivity + specificity - 1, of ``scores >= threshold``.

    Of equal maxima it is the highest score.

    Args:
        label: (N,) 0 or 1, both present.
        scores: (N,) finite, higher for 1.
    Raises:
        SubmissionError: one of the two labels has no image.
    Source: Youden 1950, doi:10.1002/1097-0142(1950)3:1<32::AID-CNCR2820030106>3.0.CO;2-3; Segal et al. 2021,
        section 4.3.
    """
    from sklearn.metrics import roc_curve

    if not 0 < np.count_nonzero(label) < len(label):
        problem = "needs images with and without the label"
        raise SubmissionError("Youden's threshold", problem, "Give more images to val.")
    false_positives, sensitivity, thresholds = roc_curve(label, scores, drop_intermediate=False)
    best = 1 + int((sensitivity - false_positives)[1:].argmax())  # the first threshold is infinite
    return float(thresholds[best])
