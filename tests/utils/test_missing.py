"""Spellings of a missing value."""

import pytest

from benchmark.utils.missing import is_missing, known


def test_every_spelling_of_pandas_is_missing():
    """The list contains all that ``pandas.read_csv`` takes for missing by default."""
    from pandas._libs.parsers import STR_NA_VALUES

    assert [text for text in STR_NA_VALUES if not is_missing(text)] == []


@pytest.mark.parametrize(
    "text", ["NA", "na", "n/A", " NA ", "NULL", "None", "-", "?", "UNKNOWN", "#N/A", "nd"]
)
def test_further_spellings(text):
    """Marks of other programs and words count too, in any case."""
    assert is_missing(text)
    assert known(text) == ""


@pytest.mark.parametrize("text", ["Na", "Null", "NULL-3", "NA1", "0", "000", "anonymous", "P-", "Nana"])
def test_names_and_ids_are_not_missing(text):
    """Names, and ids that contain such a word, are values."""
    assert known(text) == text
