"""Notes of a bundle on how its synthetic images came about."""

from benchmark.bundles.notes import share_notes


def test_shares_are_noted_by_class_over_all_fits():
    """Two fits with 3 of 4 and 1 of 4 Hernias give 4 of 8; a class without the share is left out."""
    cards = [
        {"Hernia": {"shares": {"codes": [3, 4]}}, "Mass": {"shares": {"codes": (5, 5)}}, "Edema": {}},
        {"Hernia": {"shares": {"codes": [1, 4]}}},
    ]
    assert share_notes("gan", cards) == ["gan: codes: 9 of 13; by class: Hernia 4 of 8, Mass 5 of 5"]
    assert share_notes("gan", [{"Hernia": {"title": "no share"}}, {}]) == []
