"""Shared parts of the sources that draw with ``phantoms.radiograph``: drawing a cohort, its columns."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from benchmark.datasets.phantom._common import LICENSE, data_card, draw_on_demand
from benchmark.images.image_set import ImageSet
from benchmark.phantoms.radiograph import thorax
from benchmark.phantoms.radiograph.cohort import CohortTable
from benchmark.phantoms.radiograph.counter_rng import GRADE, uniforms

REFERENCE_PIXELS = 256  # boxes are measured in a drawing of the image's size, or of this size if smaller


@dataclass(frozen=True, eq=False)
class CohortDrawing:
    """A cohort and the findings that its images show.

    Attributes:
        names: of ``thorax.FINDINGS``, one per column of ``visible``.
        visible: (N, D) bool.
        devices: (N,) bool, with or without lines and tubes; None: drawn at random.
        minimum_severity: by finding; severities are then uniform from there to 1. Other findings have the
            severities of :mod:`thorax`.
    """

    table: CohortTable
    names: Sequence[str]
    visible: np.ndarray
    seed: int
    devices: np.ndarray | None = None
    minimum_severity: Mapping[str, float] = field(default_factory=dict)

    def draw(self, index: int, size: int) -> thorax.Radiograph:
        """Draw the image at this position of the table."""
        table = self.table
        study = int(table.study[index])
        chance = uniforms(self.seed, GRADE, study, 1, len(self.names))[0]
        severity: dict[str, float | None] = {}
        for k in np.flatnonzero(self.visible[index]).tolist():
            low = self.minimum_severity.get(self.names[k])
            severity[self.names[k]] = None if low is None else float(low + (1 - low) * chance[k])
        return thorax.draw(
            severity,
            seed=self.seed,
            index=study,
            size=size,
            patient=int(table.patient[index]),
            sex=str(table.sex[index]),
            age=int(table.age[index]),
            view=str(table.view[index]),
            site=str(table.site[index]),
            devices=None if self.devices is None else bool(self.devices[index]),
        )

    def images(self, indices: Iterable[int], size: int) -> list[np.ndarray]:
        """Draw several images."""
        return [self.draw(int(index), size).image for index in indices]

    def with_box(self, index: int, size: int, finding: str) -> tuple[thorax.Radiograph, np.ndarray]:
        """A reference drawing, and the box (4,) of a finding in pixels of an image of ``size``."""
        pixels = min(size, REFERENCE_PIXELS)
        drawn = self.draw(index, pixels)
        lesion = next(lesion for lesion in drawn.lesions if lesion.finding == finding)
        return drawn, bounding_box(lesion.mask) * (size / pixels)

    def image_set(
        self, size: int, *, source: str, version: str, notes: Sequence[str] = (), **labels: Any
    ) -> ImageSet:
        """Image set with the columns of the table; ``labels`` gives classes, label, prompt and so on."""
        table = self.table
        number = np.char.zfill(table.study.astype(str), 8)
        lateral = np.where(table.view == "LATERAL", "L", "")
        image, mask = draw_on_demand(lambda index: self.draw(index, size), len(table), size)
        return ImageSet(
            image=image,
            mask=mask,
            image_id=np.char.add(np.char.add(f"phantom-{self.seed}-", number), lateral),
            patient_id=np.char.add(f"phantom-{self.seed}-p", np.char.zfill(table.patient.astype(str), 8)),
            origin=np.full(len(table), f"real:{source}"),
            site=table.site,
            view=table.view,
            age=table.age,
            sex=table.sex,
            license=np.full(len(table), LICENSE),
            split=table.split,
            card=data_card(source, version, self.seed, notes=list(notes)),
            **labels,
        )


def prompts(start: str, words: Sequence[str], named: np.ndarray, otherwise: str) -> np.ndarray:
    """(N,) one sentence per row of ``named`` (N, K) bool; equal rows share one string."""
    code = named @ (1 << np.arange(named.shape[1], dtype=np.int64))
    _, first, which = np.unique(code, return_index=True, return_inverse=True)
    texts = [
        f"{start} {', '.join(words[k] for k in np.flatnonzero(named[row]).tolist())}."
        if named[row].any()
        else otherwise
        for row in first
    ]
    return np.array(texts, dtype=object)[which]


def bounding_box(mask: np.ndarray) -> np.ndarray:
    """(4,) float32 left, top, width, height of the non-zero pixels of (S, S); NaN without any."""
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    if not len(rows):
        return np.full(4, np.nan, np.float32)
    left, top = columns[0], rows[0]
    return np.array([left, top, columns[-1] - left + 1, rows[-1] - top + 1], np.float32)
