"""A lesion that a user requests, and its reading from the command line."""

from __future__ import annotations

import dataclasses
from typing import Annotated, Any, Literal, get_args

from pydantic import Field, ValidationError
from pydantic.dataclasses import dataclass

from benchmark.errors import GeneratorError

Laterality = Literal["left", "right", "both"]
Zone = Literal["upper", "middle", "lower"]
Size = Literal["small", "moderate", "large"]
Severity = Literal["mild", "moderate", "severe"]
SIDES, ZONES, SIZES, SEVERITIES = (get_args(kind) for kind in (Laterality, Zone, Size, Severity))
Area = Annotated[float, Field(gt=0, lt=1)]
EXPECTED = {
    "side": ", ".join(SIDES), "zone": ", ".join(ZONES), "severity": ", ".join(SEVERITIES),
    "size": ", ".join(SIZES) + ", or a share of the image such as 0.02",
}  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class LesionRequest:
    """One lesion of one image; what is None follows a training image.

    Attributes:
        finding: a label of the generator.
        side: of the patient, whose left is on the right of the image.
        zone: third of the lungs' height in which the center of the lesion lies.
        size: a third of the training lesions of the finding by area, or the area as a share of the image.
        severity: grade in the words of a sentence. Without a size it also chooses the third of the areas.
    """

    finding: str
    side: Laterality | None = None
    zone: Zone | None = None
    size: Size | Area | None = None
    severity: Severity | None = None

    @property
    def attributes(self) -> dict[str, Any]:
        """The requested attributes beside the finding, by name."""
        return {name: value for name in EXPECTED if (value := getattr(self, name)) is not None}

    @property
    def third(self) -> int | None:
        """Number of the third of the areas, 0 to 2; None for a stated area or none."""
        if self.size is None:
            return None if self.severity is None else SEVERITIES.index(self.severity)
        return SIZES.index(self.size) if isinstance(self.size, str) else None


def read_lesion(text: str) -> LesionRequest:
    """Read a lesion such as ``finding=nodule,side=left,zone=upper,size=0.01``.

    Raises:
        GeneratorError: names the field, and the values that it takes.
    """
    where, names = f"lesion '{text}'", [field.name for field in dataclasses.fields(LesionRequest)]
    values: dict[str, str] = {}
    for part in text.split(","):
        name, equals, value = (piece.strip() for piece in part.partition("="))
        if not equals or not value or name not in names or name in values:
            problem = f"'{part}' is not one of {', '.join(f'{n}=...' for n in names)}, each at most once"
            raise GeneratorError(where, problem, "Example: finding=nodule,side=left,zone=upper.")
        values[name] = value
    if "finding" not in values:
        raise GeneratorError(where, "names no finding", "Begin with finding=...")
    try:
        return LesionRequest(**values)  # type: ignore[arg-type]
    except ValidationError as error:
        name = str(error.errors()[0]["loc"][0])
        problem = f"{name} is '{values[name]}', expected {EXPECTED[name]}"
        raise GeneratorError(where, problem, "Choose one of these.") from None
