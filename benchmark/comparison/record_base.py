"""The base of all records of a comparison: frozen, with canonical numbers and a JSON form."""

from typing import Annotated, Any, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from benchmark.utils import rounding


def _canonical(value: float) -> float:
    return rounding.canonical_float(value)


Number = Annotated[float, AfterValidator(_canonical)]  # rounded once, when the record is made


class Record(BaseModel):
    """A frozen record that refuses unknown fields.

    Every float is a ``Number``, so records, the decisions that rest on them and the pages that show them are
    the same on every processor.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, serialize_by_alias=True)

    def to_json(self) -> dict[str, Any]:
        """Return JSON values: the keys and shape of ``comparison.json``."""
        return self.model_dump(mode="json")

    @classmethod
    def from_json(cls, values: Any) -> Self:
        """Return the record of these JSON values.

        Raises:
            pydantic.ValidationError: a field is missing, unknown or of another type.
        """
        return cls.model_validate(values)


def is_none(value: Any) -> bool:
    """Return whether a field is left out of the JSON."""
    return value is None


class Estimate(Record):
    """An estimate with its two-sided interval of level 1 - alpha, or with the reason why it has none."""

    estimate: Number
    low: Number | None
    high: Number | None
    reason: str | None = Field(None, exclude_if=is_none)
