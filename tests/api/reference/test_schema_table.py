"""Models as tables of Markdown."""

from typing import Annotated, Any, Literal

import pytest
from pydantic import BaseModel, Field

from benchmark.api.reference.schema_table import kind, members, rows, table


class Inner(BaseModel):
    """A part."""

    share: float = 0.5


class Outer(BaseModel):
    """A whole."""

    name: str
    parts: dict[str, Inner] = {}
    mode: Literal["a", "b"] | None = None
    sizes: tuple[int, ...] = (1, 2)


@pytest.mark.parametrize(
    ("annotation", "words"),
    [
        (str | None, "text or null"),
        (tuple[int | float, ...], "list of whole number or number"),
        (dict[str, tuple[Any, ...]], "map of text to list of any"),
        (Annotated[bool, Field()], "true or false"),
        (Inner, "[Inner](#inner)"),
    ],
)
def test_types_are_words(annotation, words):
    """A type is shown in words, and a model as a link."""
    assert kind(annotation) == words


def test_a_model_is_a_table_of_its_fields():
    """A field has its values, its meaning and its default; an empty default is not shown."""
    shown = table(("field", "value", "meaning", "default"), rows(Outer, {"name": "a | b\nwith <c>"}))
    assert shown.splitlines()[2:] == [
        "| `name` | text | a \\| b with &lt;c> | required |",
        "| `parts` | map of text to [Inner](#inner) |  |  |",
        "| `mode` | `a`, `b` or null |  |  |",
        "| `sizes` | list of whole number |  | `1, 2` |",
    ]


def test_members_are_the_models_within():
    """A model comes first, and each model of its fields once."""
    assert members(Outer) == [Outer, Inner]
