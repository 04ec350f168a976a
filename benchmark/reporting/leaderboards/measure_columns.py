"""Columns of a leaderboard with the measures of the images."""

from functools import cached_property
from typing import TYPE_CHECKING

from benchmark.plugins.metric import enough_images
from benchmark.reporting.formats import measure_parts, measure_title, percent
from benchmark.stages.records import Measure, MeasureCard

if TYPE_CHECKING:
    from benchmark.reporting.leaderboards.board_parts import BoardRow

MEASURE_ORDER = ("fid", "kid", "ms", "gan")


class MeasureColumns:
    """The part of a board that lays out the image measures of its ``rows``."""

    if TYPE_CHECKING:

        @cached_property
        def rows(self) -> list["BoardRow"]:
            """The rows of the board."""

    @cached_property
    def measures(self) -> list[str]:
        """Names of the image measures, in the order of the columns."""
        names = {n for row in self.rows for n, m in row.manifest.measures.items() if enough_images(n, m.n)}
        order = {kind: k for k, kind in enumerate(MEASURE_ORDER)}
        return sorted(names, key=lambda n: (order.get(n.partition("_")[0], len(order)), n))

    def measure_values(self, name: str) -> dict[str, Measure]:
        """A measure by row, where it is of enough images."""
        own = {r.name: r.manifest.measures.get(name) for r in self.rows}
        return {row: measure for row, measure in own.items() if measure and enough_images(name, measure.n)}

    def measure_cards(self, name: str) -> list[MeasureCard]:
        """The different cards of a metric, by row; none where older bundles give the measure."""
        cards = [m.card for m in self.measure_values(name).values() if m.card]
        return [card for i, card in enumerate(cards) if card not in cards[:i]]

    def measure_title(self, name: str) -> str:
        """Title of a measure, with its extractor."""
        return measure_title(name, next(iter(self.measure_cards(name)), None))

    def measure_head(self, name: str) -> tuple[str, str]:
        """Title of a measure's column, and the note below it.

        The note has the extractor, the number of images where it is the same for all rows, and a warning
        where the rows have different versions or parameters of the metric.
        """
        cards = self.measure_cards(name)
        title, qualifier = measure_parts(name, next(iter(cards), None))
        sizes = {m.n for m in self.measure_values(name).values()}
        size = f"n {sizes.pop()}" if len(sizes) == 1 else ""
        differ = len({(card.version, str(card.params)) for card in cards}) > 1
        parts = (qualifier, size, "versions differ" if differ else "")
        return title, " · ".join(part for part in parts if part)

    @property
    def measure_terms(self) -> list[tuple[str, str]]:
        """Titles and descriptions of the metrics, for the glossary."""
        cards = [card for name in self.measures for card in self.measure_cards(name)[:1]]
        return [(card.title, f"{card.description} {card.citation}".strip()) for card in cards]

    @property
    def copies_note(self) -> str:
        """The share expected of new patients, where it is the same for all rows."""
        gates = [row.manifest.memorization for row in self.rows]
        expected = {gate.expected for gate in gates if gate}
        return f"expected {percent(expected.pop(), 0)}" if len(expected) == 1 else "share of images"
