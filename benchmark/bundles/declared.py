"""Declarations of a row by its authors, or by the suite for the rows that it runs."""

from dataclasses import dataclass

from benchmark.bundles.schema import Manifest
from benchmark.intake.card import CardOfSchema5
from benchmark.utils.formatting import listed

SUITE_AUTHORS = "SynthThorax contributors"
NOT_DECLARED = "not declared"  # by a card of schema 5


@dataclass(frozen=True)
class Declared:
    """Author, attempts and data of a row; a text is ``not declared`` where the card has no such field.

    Attributes:
        author: the first of the authors, whose attempts are counted.
        attempts: None where they are not declared.
    """

    author: str
    attempts: int | None
    training_data: str
    pretraining_data: str
    test_access: str
    hardware: str

    @property
    def attempts_text(self) -> str:
        """The number of attempts, or that none is declared."""
        return NOT_DECLARED if self.attempts is None else str(self.attempts)


def declared(manifest: Manifest) -> Declared:
    """Return what a bundle declares."""
    card = manifest.submission
    if card is None:
        assets = listed(sorted(manifest.row.assets))
        learned = "reserve" if manifest.row.name == "oracle" else "training"
        named = [manifest.hardware.get(part) for part in ("gpu", "processor")]
        return Declared(
            author=SUITE_AUTHORS,
            attempts=manifest.attempts,
            training_data=f"the task's {learned} images",
            pretraining_data=assets or "none",
            test_access="none",
            hardware=", ".join(str(name) for name in named if name),
        )
    if isinstance(card, CardOfSchema5):
        old = (card.training_data, card.pretrained_weights, NOT_DECLARED, card.compute)
        return Declared(card.authors[0], None, *old)
    data = (card.training_data, card.pretraining_data, card.test_access, card.hardware)
    return Declared(card.authors[0], card.attempts, *data)
