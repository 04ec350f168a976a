"""The card of a submission: its authors, license and training data."""

import unicodedata
from pathlib import Path
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field

from benchmark.intake.untrusted import as_submission_error, validate_file
from benchmark.tasks.parsing import parse, read_yaml
from benchmark.utils.naming import NAME

MAX_BYTES = 100_000  # of a card
# Unicode categories of characters that are invisible or reverse the text after them
INVISIBLE = {"Cc", "Cf", "Co", "Cs", "Cn"}
REFERENCE = r"""^$|^https?://[^\s<>"'`\\^{}|]+$|^(doi:)?10\.[0-9]{4,9}/[^\s<>"'`\\]+$"""


def _visible(text: str) -> str:
    """Strip a text; refuse an empty one and invisible characters other than tabs and line ends."""
    odd = next((c for c in text if c not in "\n\t" and unicodedata.category(c) in INVISIBLE), None)
    if odd is not None:
        raise ValueError(f"holds the control character U+{ord(odd):04X}")
    if not (text := text.strip()):
        raise ValueError("is empty")
    return text


def _empty_text(value: Any) -> Any:
    """Read an empty YAML value as an empty text."""
    return "" if value is None else value


Name = Annotated[str, Field(pattern=f"^{NAME}$")]
Line = Annotated[str, Field(max_length=200), AfterValidator(_visible)]
Text = Annotated[str, Field(max_length=2000), AfterValidator(_visible)]
Reference = Annotated[str, BeforeValidator(_empty_text), Field(max_length=500, pattern=REFERENCE)]


class SubmissionCard(BaseModel):
    """The author's description of a submission; shown beside its row, and not verified.

    Attributes:
        name: of the row: a-z, 0-9 and _.
        title: of the row, for readers.
        authors: the people responsible.
        paper, code: a web address (http or https), a DOI, or empty.
        license: of the images or the generator, as an SPDX identifier or in words.
        training_data: every dataset that the generator was trained on, including the task's.
        pretrained_weights: initial weights; ``none`` for random initialization.
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


@as_submission_error()
def read_card(path: Path) -> SubmissionCard:
    """Read ``submission.yaml``.

    Raises:
        SubmissionError: not a plain file, too large, not plain YAML, or a field is missing, unknown (with a
            "did you mean") or invalid.
    """
    validate_file(path, MAX_BYTES, "Give a submission.yaml.")
    card: SubmissionCard = parse(SubmissionCard, read_yaml(path), str(path))
    return card
