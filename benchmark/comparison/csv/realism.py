"""Can readers tell synthetic images from real ones? Error rates and detection rates with intervals."""

from __future__ import annotations

from typing import Any

import numpy as np

from benchmark.statistics.between_runs import dunn, kruskal_wallis
from benchmark.statistics.crossed import share_interval, two_way_bootstrap, variance
from benchmark.statistics.weighted import ratio

REAL = "real"
NO_REAL = "no real image was shown"
Record = dict[str, Any]


def image_means(values: np.ndarray, image: np.ndarray) -> list[float]:
    """The mean over the readers of each image, images in sorted order."""
    code = np.unique(image, return_inverse=True)[1]
    return [float(v) for v in np.bincount(code, weights=values) / np.bincount(code)]


def realism(
    called_fake: np.ndarray,
    model: np.ndarray,
    reader: np.ndarray,
    image: np.ndarray,
    *,
    alpha: float,
    correction: str,
) -> Record:
    """How often readers were wrong about real and synthetic images.

    Args:
        called_fake: (n,) 1 where the reader answered fake, 0 for real.
        model: (n,) ``real`` or the generator of the image.
        reader, image: (n,).
    Returns:
        ``models[generator]`` with ``fake_detection`` (share of its images that were called fake: Zhang et
        al. 2023, Table 4), ``error_fake`` (1 minus that) and ``hype`` (the error rate over real and
        synthetic images with unlimited time, both kinds counting half: HYPE-infinity of Zhou et al. 2019,
        as in Segal et al. 2021, section 4.4); ``all`` with the same over all generators; ``error_real``,
        the share of real images that were called fake; each with ``estimate``, ``low``, ``high`` (new
        readers and images), ``bootstrap_low`` and ``bootstrap_high`` (the two-way bootstrap), or a
        ``reason``. ``kruskal_wallis`` and ``dunn`` over generators, on each image's share of readers who
        called it fake; with two generators Kruskal-Wallis is the test of the pair.
    """
    cells = _Answers(called_fake.astype(float), model == REAL, reader, image, alpha)
    generators = sorted(set(model) - {REAL})
    per_image = {g: image_means(called_fake[model == g], image[model == g]) for g in generators}
    overall = kruskal_wallis(per_image)
    return {
        "error_real": cells.rate(cells.real) if cells.real.any() else {"reason": NO_REAL},
        "models": {g: _figures(cells, model == g) for g in generators},
        "all": _figures(cells, ~cells.real) if generators else None,
        "kruskal_wallis": overall,
        "dunn": dunn(per_image, correction) if overall["p"] is not None else [],
    }


def _figures(cells: _Answers, fake: np.ndarray) -> Record:
    detected = cells.rate(fake)
    return {
        "fake_detection": detected,
        "error_fake": _complement(detected),
        "hype": cells.hype(fake) if cells.real.any() else {"reason": NO_REAL},
    }


def _complement(rate: Record) -> Record:
    """Of a share with its intervals, those of 1 minus it."""
    swapped = {
        "low": "high",
        "high": "low",
        "bootstrap_low": "bootstrap_high",
        "bootstrap_high": "bootstrap_low",
    }
    found = {k: rate[swapped.get(k, k)] for k in rate}
    return {k: 1 - v if v is not None and k in ("estimate", *swapped) else v for k, v in found.items()}


class _Answers:
    """The answers, with the intervals of what is computed from them.

    Args:
        called_fake: (n,) 0 or 1.
        real: (n,) bool.
    """

    def __init__(
        self, called_fake: np.ndarray, real: np.ndarray, reader: np.ndarray, image: np.ndarray, alpha: float
    ) -> None:
        self.called_fake, self.real, self.reader, self.image = called_fake, real, reader, image
        self.alpha = alpha

    def rate(self, chosen: np.ndarray) -> Record:
        """Share of some of the answers that say fake."""
        return self._share([(chosen, self.called_fake)])

    def hype(self, fake: np.ndarray) -> Record:
        """Mean of the error rates on some synthetic and on all real images."""
        return self._share([(fake, 1 - self.called_fake), (self.real, self.called_fake)])

    def _share(self, parts: list[tuple[np.ndarray, np.ndarray]]) -> Record:
        """The mean of the shares of several sets of answers."""
        chosen = np.any([own for own, _ in parts], axis=0)
        influence = np.zeros(len(chosen))
        shares = []
        for own, value in parts:
            share = float(value[own].mean())
            influence[own] = (value[own] - share) / own.sum() / len(parts)
            shares.append(share)

        def statistic(weight: np.ndarray) -> np.ndarray:
            full = np.zeros((len(weight), len(chosen)))
            full[:, chosen] = weight
            return np.mean(
                [ratio(full[:, own] @ value[own], full[:, own].sum(1)) for own, value in parts], axis=0
            )

        reader, image = self.reader[chosen], self.image[chosen]
        found = variance(influence[chosen], reader, image, self.real[chosen].astype(int))
        record = share_interval(float(np.mean(shares)), found, self.alpha).record()
        limits = two_way_bootstrap(statistic, reader, image, alpha=self.alpha)
        if limits:
            record["bootstrap_low"], record["bootstrap_high"] = limits
        return record
