"""Error model of the labels in radiology reports, as in CheXpert.

A report mentions a finding as positive, uncertain or negative, or does not mention it. The frequency of each
label is that of Table 1 of Lan 2023 (thesis, Utrecht). Their accuracy is chosen here:
``ReportingRates.positive`` is the share of the positive reports whose image has the finding, and so on.
Together they determine the joint distribution of truth and label, hence prevalence and P(label | truth).

``python -m benchmark.phantoms.radiograph.reports`` prints the table of the data card.
"""

from dataclasses import dataclass

import numpy as np

from benchmark.images.image_set import NEGATIVE, NOT_MENTIONED, POSITIVE, UNCERTAIN

REPORTED_LABELS = (POSITIVE, UNCERTAIN, NEGATIVE, NOT_MENTIONED)  # column order of Table 1
TRAINING_IMAGES = 223_414  # the sum of each row of Table 1: CheXpert's training images


@dataclass(frozen=True)
class ReportingRates:
    """Frequency of each label in the reports on one finding, and prevalence of the finding given the label.

    Attributes:
        counts: positive, uncertain, negative, not mentioned; images of Lan 2023, Table 1.
        positive, uncertain, negative, unmentioned: share of these images that have the finding. Chosen.
    """

    counts: tuple[int, int, int, int]
    positive: float
    uncertain: float
    negative: float
    unmentioned: float

    def joint(self) -> np.ndarray:
        """(2, 4) joint probability of truth (absent, present) and label (``REPORTED_LABELS``); sums to 1."""
        label = np.array(self.counts) / sum(self.counts)
        present = np.array([self.positive, self.uncertain, self.negative, self.unmentioned])
        return np.stack([label * (1 - present), label * present])

    @property
    def prevalence(self) -> float:
        """Share of the images that have the finding."""
        return float(self.joint()[1].sum())

    def probabilities(self) -> np.ndarray:
        """(2, 4) P(label | absent) and P(label | present); rows sum to 1."""
        joint = self.joint()
        return np.asarray(joint / joint.sum(1, keepdims=True))


# All shares are chosen. "Uncertain" is true more often for atelectasis and edema, where the policy U-Ones is
# known to work well. Reports often rule out pneumothorax explicitly, hence its third count.
REPORTING_RATES = {
    "Enlarged Cardiomediastinum": ReportingRates((10_798, 12_403, 21_638, 178_575), 0.85, 0.40, 0.04, 0.03),
    "Cardiomegaly": ReportingRates((27_000, 8_087, 11_116, 177_211), 0.90, 0.45, 0.05, 0.04),
    "Lung Opacity": ReportingRates((105_581, 5_598, 6_599, 105_636), 0.93, 0.50, 0.05, 0.12),
    "Lung Lesion": ReportingRates((9_186, 1_488, 1_270, 211_470), 0.88, 0.40, 0.05, 0.01),
    "Edema": ReportingRates((52_246, 12_984, 20_726, 137_458), 0.90, 0.60, 0.04, 0.04),
    "Consolidation": ReportingRates((28_097, 27_742, 14_783, 152_792), 0.85, 0.35, 0.03, 0.03),
    "Pneumonia": ReportingRates((6_039, 18_770, 2_799, 195_806), 0.80, 0.35, 0.03, 0.02),
    "Atelectasis": ReportingRates((33_376, 33_739, 1_328, 154_971), 0.90, 0.65, 0.05, 0.06),
    "Pneumothorax": ReportingRates((19_448, 3_145, 56_341, 144_480), 0.92, 0.45, 0.01, 0.01),
    "Pleural Effusion": ReportingRates((86_187, 11_628, 35_396, 90_203), 0.94, 0.55, 0.03, 0.08),
    "Pleural Other": ReportingRates((3_523, 2_653, 316, 216_922), 0.85, 0.40, 0.05, 0.01),
    "Fracture": ReportingRates((9_040, 642, 2_512, 211_220), 0.90, 0.40, 0.03, 0.01),
    "Support Devices": ReportingRates((116_001, 1_079, 6_137, 100_197), 0.98, 0.50, 0.03, 0.05),
}
NO_FINDING = "No Finding"
NO_FINDING_COUNT = 22_381  # positive; all others are not mentioned
OBSERVATIONS = (NO_FINDING, *REPORTING_RATES)  # the order of Table 1 and of CheXpert's columns
DEVICES = OBSERVATIONS.index("Support Devices")  # not a pathology: compatible with "No Finding"


def sample_reported_labels(present: np.ndarray, chance: np.ndarray) -> np.ndarray:
    """Sample report labels given the truth and one random number per finding.

    "No Finding" is positive where no pathology is positive or uncertain (Lan 2023, 3.1); its share follows
    from the other findings and is not fitted to Table 1.

    Args:
        present: (N, 14) bool, the truth, columns as ``OBSERVATIONS``.
        chance: (N, 14) float in [0, 1).
    Returns:
        (N, 14) int8 of ``REPORTED_LABELS``.
    """
    labels = np.full(present.shape, NOT_MENTIONED, dtype=np.int8)
    for k, rates in enumerate(REPORTING_RATES.values(), start=1):
        steps = np.cumsum(rates.probabilities(), axis=1)[:, :3]
        below = chance[:, k, None] >= steps[present[:, k].astype(int)]
        labels[:, k] = np.array(REPORTED_LABELS, np.int8)[below.sum(1)]
    clean = ~pathology_columns(labels == POSITIVE).any(1) & ~pathology_columns(labels == UNCERTAIN).any(1)
    labels[clean, 0] = POSITIVE
    return labels


def pathology_columns(columns: np.ndarray) -> np.ndarray:
    """The columns of (N, 14) that exclude "No Finding"."""
    return np.delete(columns, [0, DEVICES], axis=1)


def expert_labels(present: np.ndarray) -> np.ndarray:
    """(N, 14) int8 error-free labels, positive or negative, as from expert readers."""
    return np.where(present, POSITIVE, NEGATIVE).astype(np.int8)


def error_model_table() -> str:
    """The error model as Markdown: prevalence, P(label | present), P(label | absent)."""
    head = "| finding | truly present | P(pos) | P(unc) | P(neg) | P(nm) | P(pos) | P(unc) | P(neg) | P(nm) |"
    lines = [
        "| | | given present | | | | given absent | | | |",
        "|---|---|---|---|---|---|---|---|---|---|",
        head,
    ]
    for name, rates in REPORTING_RATES.items():
        absent, present = rates.probabilities()
        numbers = " | ".join(f"{p:.4f}" for p in (*present, *absent))
        lines.append(f"| {name} | {rates.prevalence:.4f} | {numbers} |")
    return "\n".join(lines)


if __name__ == "__main__":
    print(error_model_table())
