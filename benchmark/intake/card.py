"""The card of a submission: who made it, of what, with what."""

from __future__ import annotations

import unicodedata
from pathlib import Path
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field

from benchmark.errors import SubmissionError, TaskError
from benchmark.tasks.parsing import parse, read_yaml

LARGEST = 100_000  # bytes of a card
HIDDEN = {"Cc", "Cf", "Co", "Cs", "Cn"}  # Unicode categories that show nothing, or turn what follows around
REFERENCE = r"""^$|^https?://[^\s<>"'`\\^{}|]+$|^(doi:)?10\.[0-9]{4,9}/[^\s<>"'`\\]+$"""


def _shown(text: str) -> str:
    """The text, stripped, if every character of it can be seen; a line may end."""
    odd = next((c for c in text if c not in "\n\t" and unicodedata.category(c) in HIDDEN), None)
    if odd is not None:
        raise ValueError(f"holds the control character U+{ord(odd):04X}")
    if not (text := text.strip()):
        raise ValueError("is empty")
    return text


def _absent(value: Any) -> Any:
    """An empty value of YAML as an empty text."""
    return "" if value is None else value


Name = Annotated[str, Field(pattern=r"^[a-z0-9_]+$", max_length=64)]
Line = Annotated[str, Field(max_length=200), AfterValidator(_shown)]
Text = Annotated[str, Field(max_length=2000), AfterValidator(_shown)]
Reference = Annotated[str, BeforeValidator(_absent), Field(max_length=500, pattern=REFERENCE)]


class SubmissionCard(BaseModel):
    """What a submission says of itself; shown beside its row, checked by nobody but its readers.

    Attributes:
        name: of the row: a-z, 0-9 and _.
        title: of the row, for people.
        authors: who answers for it.
        paper, code: a web address (http or https), a DOI, or empty.
        license: of the images or the generator, as an SPDX identifier or in words.
        training_data: every dataset that the generator was trained on, the task's own included.
        pretrained_weights: what it began from; ``none`` where it began at random.
        compute: hardware and hours.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: Name
    title: Line
    authors: Annotated[tuple[Line, ...], Field(min_length=1, max_length=100)]
    paper: Reference = ""
    code: Reference = ""
    license: Line
    training_data: Text
    pretrained_weights: Text
    compute: Text


def read_card(path: Path) -> SubmissionCard:
    """Read ``submission.yaml``.

    Raises:
        SubmissionError: not a plain file, too large, not plain YAML, or a field is missing, unknown (with a
            "did you mean") or not what it should be.
    """
    if path.is_symlink() or not path.is_file():
        raise SubmissionError(str(path), "is missing or not a plain file", "Give a submission.yaml.")
    if path.stat().st_size > LARGEST:
        raise SubmissionError(str(path), f"has {path.stat().st_size} bytes, at most {LARGEST} are read")
    try:
        card: SubmissionCard = parse(SubmissionCard, read_yaml(path), str(path))
    except TaskError as error:
        raise SubmissionError(error.where, error.problem, error.remedy) from None
    return card
