"""Parts of the project's docstrings."""

from benchmark.api.reference.docstrings import Docstring


def sample(label, seed=0, count=1):
    """Draw ``count`` images.

    The same seed gives the same images.

    Args:
        label: of the images, or
            one label: the rarest.
        seed, count: whole numbers.
    Returns:
        (N, S, S) uint8 images.
    Raises:
        BenchmarkError: no such label.
    """


def test_a_docstring_is_divided_into_text_and_sections():
    """Text stays, literals get one backtick, continued lines join, names of one line share its text."""
    doc = Docstring.of(sample)
    assert doc.text == "Draw `count` images.\n\nThe same seed gives the same images."
    assert doc.entries("Args") == {
        "label": "of the images, or one label: the rarest.",
        "seed": "whole numbers.",
        "count": "whole numbers.",
    }
    assert doc.bullets().splitlines()[-2:] == [
        "- Returns (N, S, S) uint8 images.",
        "- Raises `BenchmarkError`: no such label.",
    ]


def test_a_docstring_without_sections_has_no_bullets():
    """One line of text is the whole docstring."""
    doc = Docstring.of(test_a_docstring_without_sections_has_no_bullets)
    assert doc.text == "One line of text is the whole docstring."
    assert doc.bullets() == ""
