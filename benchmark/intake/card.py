"""The card of a submission: its authors, license, training data, attempts and what it saw of the test."""

import re
import unicodedata
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field

from benchmark.errors import SubmissionError
from benchmark.intake.untrusted import as_submission_error, validate_file
from benchmark.tasks.parsing import parse, read_yaml
from benchmark.utils.naming import NAME

MAX_BYTES = 100_000  # of a card
MOST_ATTEMPTS = 1_000_000
# Unicode categories of characters that are invisible or reverse the text after them
INVISIBLE = {"Cc", "Cf", "Co", "Cs", "Cn"}
REFERENCE = r"""^$|^https?://[^\s<>"'`\\^{}|]+$|^(doi:)?10\.[0-9]{4,9}/[^\s<>"'`\\]+$"""
ACCESS = re.compile(r"(none|images|labels|both)(?:: *(\S.*))?", re.DOTALL)
PAGE = "docs/submit.md explains every field."


def _visible(text: str) -> str:
    """Strip a text; refuse an empty one and invisible characters other than tabs and line ends."""
    odd = next((c for c in text if c not in "\n\t" and unicodedata.category(c) in INVISIBLE), None)
    if odd is not None:
        raise ValueError(f"holds the control character U+{ord(odd):04X}")
    if not (text := text.strip()):
        raise ValueError("is empty")
    return text


def _access(text: str) -> str:
    """Require one of four words, and an explanation after all but ``none``."""
    match = ACCESS.fullmatch(text)
    if match is None:
        raise ValueError("expected none, or images, labels or both with an explanation: 'images: ...'")
    if match[1] != "none" and match[2] is None:
        raise ValueError(f"is '{match[1]}' without an explanation: write '{match[1]}: ...'")
    return text


def _empty_text(value: Any) -> Any:
    """Read an empty YAML value as an empty text."""
    return "" if value is None else value


Name = Annotated[str, Field(pattern=f"^{NAME}$")]
Line = Annotated[str, Field(max_length=200), AfterValidator(_visible)]
Text = Annotated[str, Field(max_length=2000), AfterValidator(_visible)]
Reference = Annotated[str, BeforeValidator(_empty_text), Field(max_length=500, pattern=REFERENCE)]


class _Card(BaseModel):
    """The fields of every card."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: Name
    title: Line
    authors: Annotated[tuple[Line, ...], Field(min_length=1, max_length=100)]
    paper: Reference = ""
    code: Reference = ""
    license: Line
    training_data: Text


class SubmissionCard(_Card):
    """The author's description of a submission; shown beside its row, and not verified.

    Attributes:
        name: of the row: a-z, 0-9 and _.
        title: of the row, for readers.
        authors: the people responsible, as a name, a handle, or either with an ORCID or an e-mail address.
            The first one is the contact, and the author whose attempts are counted.
        paper, code: a web address (http or https), a DOI, or empty.
        license: of the images or the generator, as an SPDX identifier or in words.
        training_data: every dataset that the generator was trained on, including the task's.
        pretraining_data: initial weights, and all data that they learned from; ``none`` for random ones.
        attempts: configurations that the authors tried for this row and board, this one included; those of
            their other rows count there.
        test_access: ``none``, or ``images``, ``labels`` or ``both`` and an explanation: what of the test
            patients influenced the submission.
        hardware: hardware and hours.
    """

    pretraining_data: Text
    attempts: Annotated[int, Field(ge=1, le=MOST_ATTEMPTS, strict=True)]
    test_access: Annotated[Text, AfterValidator(_access)]
    hardware: Text

    @property
    def access(self) -> Literal["none", "images", "labels", "both"]:
        """The part of the test patients that the authors had."""
        match = ACCESS.fullmatch(self.test_access)
        assert match is not None
        return match[1]  # type: ignore[return-value]


class CardOfSchema5(_Card):
    """The card of a bundle of schema 5, which declares neither attempts nor access to the test."""

    pretrained_weights: Text
    compute: Text


@as_submission_error()
def read_card(path: Path) -> SubmissionCard:
    """Read ``submission.yaml``.

    Raises:
        SubmissionError: not a plain file, too large, not plain YAML, fields are missing (all are named), or
            one is unknown (with a "did you mean") or invalid.
    """
    validate_file(path, MAX_BYTES, "Give a submission.yaml.")
    content = read_yaml(path)
    fields = SubmissionCard.model_fields.items()
    if missing := [name for name, field in fields if field.is_required() and name not in content]:
        unknown = [str(name)[:40] for name in content if name not in SubmissionCard.model_fields][:3]
        odd = f"; unknown fields: {', '.join(unknown)}" if unknown else ""
        raise SubmissionError(str(path), f"lacks {', '.join(missing)}{odd}", PAGE)
    card: SubmissionCard = parse(SubmissionCard, content, str(path))
    return card
