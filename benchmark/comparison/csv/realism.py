"""Real-or-fake answers of readers: detection rates and error rates with intervals."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from benchmark.statistics.between_runs import dunn, kruskal_wallis
from benchmark.statistics.crossed import share_interval, two_way_bootstrap, variance
from benchmark.statistics.weighted import ratio

REAL = "real"
NO_REAL = "no real image was shown"
Record = dict[str, Any]


def image_means(values: np.ndarray, image: np.ndarray) -> list[float]:
    """Mean over the readers of each image, images in sorted order."""
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
    """Error rates of readers on real and synthetic images.

    Args:
        called_fake: (n,) 1 if the reader answered fake, 0 for real.
        model: (n,) ``real`` or the generator of the image.
        reader, image: (n,).
    Returns:
        ``models[generator]`` with ``fake_detection`` (share of its images that readers called fake: Zhang et
        al. 2023, Table 4), ``error_fake`` (1 minus that) and ``hype`` (the error rate over real and
        synthetic images with unlimited time, both kinds counting half: HYPE-infinity of Zhou et al. 2019,
        as in Segal et al. 2021, section 4.4); ``all`` with the same over all generators; ``error_real``,
        the share of real images that readers called fake; each with ``estimate``, ``low``, ``high`` (new
        readers and images), ``bootstrap_low`` and ``bootstrap_high`` (the two-way bootstrap), or a
        ``reason``. ``kruskal_wallis`` and ``dunn`` over generators, on each image's share of readers who
        called it fake; with two generators Kruskal-Wallis is the test of the pair.
    """
    answers = _Answers(called_fake.astype(float), model == REAL, reader, image, alpha)
    generators = sorted(set(model) - {REAL})
    per_image = {g: image_means(called_fake[model == g], image[model == g]) for g in generators}
    overall = kruskal_wallis(per_image)
    return {
        "error_real": answers.error_real(),
        "models": {g: answers.rates(model == g) for g in generators},
        "all": answers.rates(~answers.real) if generators else None,
        "kruskal_wallis": overall,
        "dunn": dunn(per_image, correction) if overall["p"] is not None else [],
    }


@dataclass(frozen=True, eq=False)
class _Answers:
    """The answers of all readers, each (n,)."""

    called_fake: np.ndarray  # 0 or 1
    real: np.ndarray  # bool
    reader: np.ndarray
    image: np.ndarray
    alpha: float

    def error_real(self) -> Record:
        return self._share((self.real, self.called_fake)) if self.real.any() else {"reason": NO_REAL}

    def rates(self, fake: np.ndarray) -> Record:
        """Rates on some of the synthetic images."""
        detected = self._share((fake, self.called_fake))
        hype: Record = {"reason": NO_REAL}
        if self.real.any():
            hype = self._share((fake, 1 - self.called_fake), (self.real, self.called_fake))
        return {"fake_detection": detected, "error_fake": _complement(detected), "hype": hype}

    def _share(self, *parts: tuple[np.ndarray, np.ndarray]) -> Record:
        """Mean over the parts, each (mask, values), of the mean value of the masked answers."""
        chosen = np.any([mask for mask, _ in parts], axis=0)
        influence = np.zeros(len(chosen))
        shares = [float(values[mask].mean()) for mask, values in parts]
        for (mask, values), share in zip(parts, shares, strict=True):
            influence[mask] = (values[mask] - share) / mask.sum() / len(parts)

        def statistic(weight: np.ndarray) -> np.ndarray:
            columns = [(weight[:, mask[chosen]], values[mask]) for mask, values in parts]
            return np.mean([ratio(w @ v, w.sum(1)) for w, v in columns], axis=0)

        reader, image = self.reader[chosen], self.image[chosen]
        spread = variance(influence[chosen], reader, image, self.real[chosen].astype(int))
        record = share_interval(float(np.mean(shares)), spread, self.alpha).record()
        if limits := two_way_bootstrap(statistic, reader, image, alpha=self.alpha):
            record["bootstrap_low"], record["bootstrap_high"] = limits
        return record


def _complement(rate: Record) -> Record:
    """Record of 1 minus a share."""
    opposite = {"estimate": "estimate", "low": "high", "bootstrap_low": "bootstrap_high"}
    opposite |= {high: low for low, high in opposite.items()}
    return {k: 1 - rate[opposite[k]] if k in opposite and v is not None else v for k, v in rate.items()}
