"""The protocols of reader studies, as the papers describe them.

- ``scores``: quality 1 to 5 and plausibility 1 to 3 of 25 synthetic images of each class and model, without
  real ones (Schaudt et al. 2023, section 4.2).
- ``grids``: the real images in six grids of six, each real with probability 1/2 (Segal et al. 2021, 4.4).
- ``pairs``: the real image of each of 20 pairs (the same section).
- ``fake``: real or synthetic, 32 images of each model (Zhang et al. 2023, at Table 4). The paper names no
  real images; as many real ones are added, since a reader who always answers fake would detect every image.
- ``turing``: real or synthetic with the reader's confidence, and acceptability on a five-point scale from
  definitely unacceptable to definitely acceptable (Papadopoulos and Georgiou 2024, Lesion preservation
  metrics, and Clinician validation, whose rule asks for 80 % of acceptable images by a majority of readers).
  The paper names no number of images, nor points of the confidence: 25 of each class, and five.
"""

from dataclasses import dataclass
from typing import Literal

Name = Literal["scores", "grids", "pairs", "fake", "turing"]
GRIDS, CELLS, PAIRS = 6, 6, 20  # Segal et al. 2021, section 4.4
REAL_SHARE = 0.5  # the same: of a cell of a grid


@dataclass(frozen=True)
class Question:
    """A question about an image.

    Attributes:
        column: of the CSV file.
        answers: label by value of the column.
        optional: may be left out, such as the plausibility of a finding where there is none.
    """

    column: str
    text: str
    answers: dict[str, str]
    optional: bool = False


QUALITY = Question(
    "quality",
    "Quality: anatomy whole and to scale, sharp and correct contours",
    {"1": "1 lowest", "2": "2", "3": "3", "4": "4", "5": "5 highest"},
)
PLAUSIBILITY = Question(
    "plausibility",
    "Plausibility of the finding",
    {"1": "1 completely inappropriate", "2": "2 partly characteristic", "3": "3 characteristic"},
    optional=True,
)
REAL_OR_FAKE = Question(
    "real_or_fake", "Is this an image of a patient?", {"real": "real", "fake": "synthetic"}
)
CONFIDENCE = Question(
    "confidence", "Confidence", {"1": "1 guess", "2": "2", "3": "3", "4": "4", "5": "5 certain"}
)
ACCEPTABILITY = Question(
    "acceptability",
    "Is the image clinically acceptable?",
    {
        "1": "1 definitely unacceptable", "2": "2 unacceptable", "3": "3 undecided", "4": "4 acceptable",
        "5": "5 definitely acceptable",
    },
)  # fmt: skip


@dataclass(frozen=True)
class Protocol:
    """A protocol.

    Attributes:
        questions: of every image; of grids and pairs the one that choosing answers.
        per_class: synthetic images of each class and model, or None.
        per_model: synthetic images of a model, spread over the classes, or None.
        real: real images are shown too.
        shows_class: the reader is told the class that an image should show.
    """

    name: Name
    title: str
    questions: tuple[Question, ...]
    per_class: int | None
    per_model: int | None
    real: bool
    shows_class: bool


PROTOCOLS = {
    p.name: p
    for p in (
        Protocol("scores", "Quality and plausibility", (QUALITY, PLAUSIBILITY), 25, None, False, True),
        Protocol("grids", "Choose every real image", (REAL_OR_FAKE,), None, None, True, False),
        Protocol("pairs", "Choose the real image", (REAL_OR_FAKE,), None, None, True, False),
        Protocol("fake", "Real or synthetic", (REAL_OR_FAKE,), None, 32, True, False),
        Protocol(
            "turing", "Real, and acceptable?", (REAL_OR_FAKE, CONFIDENCE, ACCEPTABILITY), 25, None,
            True, True,
        ),
    )
}  # fmt: skip
