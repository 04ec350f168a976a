"""Forced choices between a real and a synthetic image, and the rule of acceptable images."""

from typing import TYPE_CHECKING, Any

import numpy as np

from benchmark.comparison.csv.realism import REAL
from benchmark.statistics.crossed import share_interval, variance

if TYPE_CHECKING:
    import pandas as pd

PAIR = "pair"
ACCEPTABLE = 4  # of 1 to 5, from definitely unacceptable to definitely acceptable
REQUIRED = 0.8  # share of the synthetic images: Papadopoulos and Georgiou 2024, Clinician validation
Record = dict[str, Any]


def wrong_pair(answers: "pd.DataFrame") -> tuple[int, str] | None:
    """Return the first record of a pair that is none, and why: one real and one synthetic image, with one
    answer of each kind."""
    for (reader, pair), own in answers[answers[PAIR] != ""].groupby(["reader", PAIR], sort=False):
        place = int(own.index[0])
        if len(own) != 2 or (own["model"] == REAL).sum() != 1:
            return place, f"'{pair}' of reader '{reader}' is not one real and one synthetic image"
        if "real_or_fake" not in own or own["real_or_fake"].sum() != 1:
            return place, f"'{pair}' of reader '{reader}' has no choice of one image"
    return None


def forced_choices(answers: "pd.DataFrame", alpha: float) -> dict[str, Record] | None:
    """Return the share of pairs of which readers chose the real image, by generator and over ``all``.

    Source: Segal et al. 2021, section 4.4: 71 % (55 to 86) of 20 pairs, 8 readers; chance is 50 %.

    Args:
        answers: of a ``ReaderStudy``; None is returned without pairs.
    """
    paired = answers[answers[PAIR] != ""]
    if paired.empty:
        return None
    real = paired[paired["model"] == REAL].set_index(["reader", PAIR])
    fake = paired[paired["model"] != REAL].set_index(["reader", PAIR])["model"]
    table = real.join(fake.rename("generator")).reset_index()
    correct = 1 - table["real_or_fake"].to_numpy(float)
    chosen = {name: table["generator"].to_numpy() == name for name in sorted(set(table["generator"]))}
    chosen |= {"all": np.full(len(table), True)} if len(chosen) > 1 else {}
    return {
        name: _share(correct[mask], table["reader"].to_numpy()[mask], table[PAIR].to_numpy()[mask], alpha)
        for name, mask in chosen.items()
    }


def _share(values: np.ndarray, reader: np.ndarray, pair: np.ndarray, alpha: float) -> Record:
    share = float(values.mean())
    spread = variance((values - share) / len(values), reader, pair)
    return share_interval(share, spread, alpha).record()


def acceptance(answers: "pd.DataFrame") -> dict[str, dict[str, Record]]:
    """Return by generator and class the share of images that a majority of their readers finds acceptable.

    Source: Papadopoulos and Georgiou 2024, Clinician validation: at least 80 % of the synthetic images of
    each rare disease rated acceptable or higher by a majority of the reviewing radiologists.
    """
    given = answers.dropna(subset=["acceptability"])
    given = given[given["model"] != REAL]
    accepted = (given["acceptability"] >= ACCEPTABLE).groupby(
        [given["model"], given["class"], given["image"]]
    )
    majority = (accepted.mean() > 0.5).rename("accepted").reset_index()
    return {
        str(model): {str(name): _accepted(images) for name, images in own.groupby("class")["accepted"]}
        for model, own in majority.groupby("model")
    }


def _accepted(images: "pd.Series") -> Record:
    share = float(images.mean())
    return {"share": share, "images": len(images), "passes": bool(share >= REQUIRED)}
