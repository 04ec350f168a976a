"""Train on some sites and test on the others separately. Papadopoulos and Georgiou, Table 2."""

from dataclasses import replace

import numpy as np

from benchmark.errors import DataError, unknown_name
from benchmark.images.image_set import ImageSet
from benchmark.tasks.rules import Sites

SPLIT = "test_site"


def apply(images: ImageSet, rule: Sites, *, where: str = "sites") -> ImageSet:
    """Move the images of all other sites to the split ``test_site``, without patients seen at both.

    Raises:
        UnknownNameError: a site that no image is from.
        DataError: images of unknown site, or no patient left for ``test_site``.
    """
    site = np.full(len(images), "") if images.site is None else images.site
    unknown = int((site == "").sum())
    if unknown:
        problem = f"{unknown} of {len(images)} images have no known site"
        raise DataError(where, problem, "Fill in the sites, or name the step in sources.<source>.skip_steps.")
    known = sorted(set(site.tolist()))
    for name in rule.train:
        if name not in known:
            raise unknown_name("site", name, known, f"{where}: train")
    home = np.isin(site, rule.train)
    both = ~home & np.isin(images.patient_id, images.patient_id[home])
    away = ~home & ~both
    if not away.any():
        raise DataError(f"{where}: train", f"leaves no patient for {SPLIT}", "Name fewer sites.")
    split = np.full(len(images), "") if images.split is None else images.split
    moved = replace(images, split=np.where(away, SPLIT, split)).select(~both)
    if both.any():
        people = len(np.unique(images.patient_id[both]))
        moved = moved.noted(
            f"{where}: {int(both.sum())} images of {people} patients left out of {SPLIT}, "
            "since the training sites saw these patients too"
        )
    return moved
