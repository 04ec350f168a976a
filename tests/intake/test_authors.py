"""One person under several spellings is one author."""

from __future__ import annotations

import pytest

from benchmark.intake.authors import grouped, identity, same_author

ONE, OTHER = "0000-0002-1825-0097", "0000-0001-5109-3700"  # examples of ORCID's documentation


@pytest.mark.parametrize(
    ("a", "b"),
    [
        ("Ann Lee", "  ann   LEE "),
        ("Ann Lee", "Lee, Ann"),
        ("Ann Lee", "Änn Lée"),
        ("Ann Lee", "\u0410nn L\u0435\u0435"),  # a Cyrillic A, two Cyrillic e
        ("Ann Lee", "\u0391nn Lee"),  # a Greek Alpha
        ("Ann Lee", "Ａｎｎ Ｌｅｅ"),
        ("bill_0", "BIII-O"),
        (f"Ann Lee ({ONE})", f"A. Lee https://orcid.org/{ONE}"),
        (f"Ann Lee ({ONE})", "Ann Lee"),
        ("Ann <ann@example.org>", "somebody else <Ann@Example.org>"),
    ],
)
def test_spellings_of_one_author(a: str, b: str):
    """Case, spacing, order, accents and lookalikes do not count; an ORCID or an address joins two names."""
    assert same_author(identity(a), identity(b))


@pytest.mark.parametrize(
    ("a", "b"),
    [
        ("Ann Lee", "Ann Ray"),
        (f"Ann Lee ({ONE})", f"Ann Lee ({OTHER})"),
        ("Ann Lee (0000-0002-1825-0098)", "Bob Ray (0000-0002-1825-0098)"),  # a wrong check digit
        ("李明", "王芳"),
    ],
)
def test_different_authors(a: str, b: str):
    """Two ORCIDs are two people, even of one name; a number with a wrong check digit is no ORCID."""
    assert not same_author(identity(a), identity(b))


def test_a_third_spelling_joins_two():
    """A name with an ORCID, the ORCID under another name, and the name alone are one person."""
    assert grouped(["Ann Lee", "Bob Ray", f"A. L. ({ONE})", f"ann lee {ONE}"]) == [0, 1, 0, 0]
