"""Spellings of a missing value, one list for every table and header that the suite reads."""

# Without regard to case: what pandas.read_csv takes for missing; further marks of R, SAS, Stata and
# spreadsheets; words of public tables (nd: not disclosed)
MISSING = frozenset({
    "", "#n/a", "#n/a n/a", "#na", "-1.#ind", "-1.#qnan", "-nan", "1.#ind", "1.#qnan", "<na>", "n/a", "na",
    "nan", "none", "null", "n.a.", "n.a", ".", "-", "--", "---", "\u2013", "\u2014", "?", "??", "???",
    "(null)", "<null>", "#value!", "#ref!", "#name?", "#null!", "#div/0!", "#num!", "nd", "n.d.", "unk",
    "unknown", "undefined", "missing", "not available", "not known", "not stated", "not disclosed",
})  # fmt: skip
NAMES = frozenset({"Na", "Null"})  # in this case they are people's names


def is_missing(text: str) -> bool:
    """Return whether a text stands for a missing value.

    >>> [is_missing(text) for text in ("", "NA", "n/a", "Na", "NULL-3", "0")]
    [True, True, True, False, False, False]
    """
    return text not in NAMES and text.strip().lower() in MISSING


def known(text: str) -> str:
    """Return a text, blank where it stands for a missing value."""
    return "" if is_missing(text) else text


def missing_as(text: str) -> str:
    """Return the problem of a missing text, with its spelling."""
    return f"is missing: '{text}'" if text else "is missing"
