"""Shares of the labels that one classifier sees in synthetic and in real images: mode dropping."""

from typing import ClassVar

import numpy as np
from pydantic import BaseModel, Field

from benchmark.plugins.metric import Direction, Need, Side, Sides, Value

version = "1"

card = {
    "title": "Label prevalence",
    "description": "Mean absolute difference of the labels' shares in synthetic and in real images, as the "
    "evaluators see them; a label that is rarer in synthetic images is a dropped mode.",
    "citation": "Segal et al. 2021, section 4.2 and Figure 6",
}
TAILS = (2.5, 97.5)  # percentiles


class Params(BaseModel, extra="forbid", frozen=True):
    """Parameters; every default cites its source."""

    resamples: int = Field(10_000, ge=100, description="bootstrap resamples; Segal et al. 2021, section 4.2")


class Metric:
    """Prevalence of every label by a common classifier, with bootstrap intervals over images.

    Both sides have as many images of each class, so a generator that draws what is requested has the shares
    of real images. With several evaluators the prevalence is their mean.
    """

    needs: ClassVar[set[Need]] = {"predicted_labels"}
    direction: ClassVar[Direction] = "minimize"
    sides: ClassVar[Sides] = "matched"

    def __init__(self, params: Params, device: str) -> None:
        self.resamples = params.resamples

    def measure(self, real: Side, fake: Side) -> Value:
        """Return the mean difference, and the prevalence and interval of every label in synthetic images.

        ``details`` counts the labels whose interval of the difference, synthetic minus real, lies below 0
        (``dropped``) and above it (``raised``).
        """
        rng = np.random.default_rng(0)
        shares, intervals, dropped, raised = {}, {}, 0, 0
        differences: list[float] = []
        for k, name in enumerate(fake.classes):
            (mean, draws), (of_real, real_draws) = (
                resampled(side.predicted_labels[:, :, k], self.resamples, rng) for side in (fake, real)
            )
            low, high = np.percentile(draws - real_draws, TAILS)
            dropped, raised = dropped + int(high < 0), raised + int(low > 0)
            shares[name], differences = mean, [*differences, abs(mean - of_real)]
            bounds = np.percentile(draws, TAILS)
            intervals[name] = float(bounds[0]), float(bounds[1])
        return Value(
            value=float(np.mean(differences)),
            per_class=shares,
            details={"dropped": dropped, "raised": raised},
            intervals=intervals,
        )


def resampled(seen: np.ndarray, resamples: int, rng: np.random.Generator) -> tuple[float, np.ndarray]:
    """Return the share of images with a label, and its (resamples,) bootstrap distribution.

    An image counts with the share of the evaluators that see the label, one of E + 1 levels. Images drawn
    with replacement fall on these levels as a multinomial variable, which is drawn in their place.

    Args:
        seen: (E, N) bool.
    """
    evaluators, images = seen.shape
    levels = np.arange(evaluators + 1) / evaluators
    counts = np.bincount(seen.sum(0), minlength=evaluators + 1)
    draws = rng.multinomial(images, counts / images, size=resamples) @ levels / images
    return float(counts @ levels / images), draws
