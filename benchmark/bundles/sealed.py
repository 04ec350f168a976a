"""The result of a row on the sealed test of a season, as its verification record states it."""

from pydantic import Field, FiniteFloat, PositiveInt

from benchmark.bundles.schema import Part, Sha256
from benchmark.bundles.seasons import Name

DOES_NOT_HOLD = "does not hold on the sealed test"


class SealedResult(Part):
    """A row's primary metric on *test* and on the sealed test, by the same networks.

    Attributes:
        commitment: of the season to the seed of the sealed test.
        seeds: of the networks.
        images, patients: of the sealed test.
        test, sealed: the metric, mean over the networks.
        gain_test, gain_sealed: over ``real_only`` with the same seeds; the metric itself for that row.
        difference: of the gains, *test* less sealed, with its interval of level 1 - ``alpha``, or with a
            reason why it has none.
        holds: False if ``low`` is above 0: the gain on *test* does not carry over to other patients.
    """

    season: Name
    commitment: Sha256
    seeds: tuple[int, ...] = Field(min_length=1)
    images: PositiveInt
    patients: PositiveInt
    test: FiniteFloat
    sealed: FiniteFloat
    gain_test: FiniteFloat
    gain_sealed: FiniteFloat
    difference: FiniteFloat
    low: FiniteFloat | None
    high: FiniteFloat | None
    alpha: FiniteFloat = Field(gt=0, lt=1)
    reason: str | None = Field(None, max_length=300)
    holds: bool | None

    @property
    def estimate(self) -> float:
        """The difference of the gains, under the name of an interval's estimate."""
        return self.difference
