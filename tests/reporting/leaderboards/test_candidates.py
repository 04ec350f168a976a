"""The verdict, ranks among candidates, results over the boards, colors, provenance and glossary."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from benchmark.comparison.row_records import Difference
from benchmark.reporting.leaderboards.board import Board, task_title
from benchmark.reporting.leaderboards.candidates import places
from benchmark.reporting.leaderboards.charts import family_signs, sign_of
from benchmark.reporting.leaderboards.colors import row_colors
from benchmark.reporting.leaderboards.glossary import glossary
from benchmark.reporting.leaderboards.html import site_page
from benchmark.reporting.leaderboards.over_tasks import over_tasks
from benchmark.reporting.leaderboards.provenance import provenance
from support.example_boards import FIRST, altered, board, boards, first

METRIC = "balanced_accuracy"


def against(initial: Board, base: str, **values: dict[str, Any]) -> Board:
    """Return the board with other differences of rows to a baseline in the primary metric."""
    record = initial.comparison.to_json()
    bracket = next(key for key in record["figures"]["test"] if int(key) == initial.bracket)
    for row, fields in values.items():
        record["figures"]["test"][bracket][row]["versus"][base][METRIC].update(fields)
    record["can_measure"] = True
    record["controls"] = []
    return replace(initial, comparison=type(initial.comparison).from_json(record))


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        (
            {"estimate": 0.03, "low": -0.01, "high": 0.054, "p_adjusted": 0.2},
            "No generator beats copies of real images; the largest gain that could have been missed is 5.4 "
            "points (ddpm).",
        ),
        (
            {"estimate": 0.03, "low": 0.01, "high": 0.054, "p_adjusted": 0.06},  # only uncorrected
            "No generator beats copies of real images; the largest gain that could have been missed is 5.4 "
            "points (ddpm).",
        ),
        (
            {"estimate": 0.03, "low": 0.01, "high": 0.054, "p_adjusted": 0.04},
            "ddpm (+3.0 points [+1.0, +5.4]) beats copies of real images.",
        ),
        (
            {"estimate": -0.03, "low": -0.05, "high": -0.01, "p_adjusted": 0.01},
            "No generator beats copies of real images, and no interval includes a gain.",
        ),
    ],
)
def test_the_verdict_follows_the_adjusted_test(fields, sentence):
    """The gated generator does not count, whatever its figures."""
    good = {"estimate": 0.3, "low": 0.2, "high": 0.4, "p_adjusted": 0.0001}
    assert against(boards()[0], "duplicate_real", ddpm=fields, stylegan=good).verdict.text == sentence


def test_there_is_no_verdict_if_the_board_cannot_measure():
    """The oracle that does not beat real_only says so instead."""
    comparison = boards()[0].comparison.model_copy(update={"can_measure": False})
    text = replace(boards()[0], comparison=comparison).verdict.text
    assert text.startswith("No verdict: not even additional true images beat real_only")


def test_references_do_not_count_for_the_rank_of_a_candidate():
    """Of three rows, each better than the next, the candidates are first and second without the reference."""
    ranking = boards()[0].comparison.ranking
    pairs = [
        pair.model_copy(update={"a": a, "b": b, "estimate": 0.1, "p_adjusted": 0.001})
        for pair, (a, b) in zip(
            ranking.pairs[:3], [("oracle", "x"), ("oracle", "y"), ("x", "y")], strict=True
        )
    ]
    row = next(iter(ranking.rows.values()))
    changed = ranking.model_copy(update={"rows": dict.fromkeys(("oracle", "x", "y"), row), "pairs": pairs})
    comparison = boards()[0].comparison.model_copy(update={"ranking": changed})
    assert places(comparison, {"x", "y"}) == {"x": 1, "y": 2}


def test_classical_augmentation_is_no_generator():
    """It is a candidate with a badge of its own, and no sentence calls it a generator."""
    bundles = [
        altered(b, row={"name": "lan_augmentation"}) if b.manifest.row.name == "ddpm" else b for b in first()
    ]
    shown = board(FIRST, bundles)
    row = next(r for r in shown.rows if r.name == "lan_augmentation")
    assert (row.kind, row.place) == ("augmentation", 1)
    assert '<span class="badge augmentation">augmentation</span>' in site_page([shown])


def test_colors_follow_the_adjusted_result():
    """A difference whose interval excludes zero has no color if its adjusted p is not below alpha."""
    initial = boards()[0]
    for p, sign in ((0.06, ""), (0.04, "up")):
        fields = {"estimate": 0.03, "low": 0.01, "high": 0.05, "p_adjusted": p}
        shown = against(initial, "real_only", ddpm=fields)
        assert sign_of(shown, shown.comparison.primary["ddpm"].versus["real_only"][METRIC]) == sign


def test_a_table_without_adjusted_results_is_corrected_as_a_family():
    """Of p = 0.02, 0.03 and 0.5 none is left after Holm: 0.06, 0.06, 0.5; 0.01 alone stays."""
    own = boards()[0].comparison.primary["ddpm"].versus["real_only"][METRIC]
    record = {name: getattr(own, name) for name in Difference.model_fields}

    def signs(*values: float) -> set[str]:
        each = {p: Difference.from_json({**record, "p": p, "estimate": -0.1}) for p in values}
        return set(family_signs(boards()[0], {**each, 1.0: None}).values())

    assert signs(0.02, 0.03, 0.5) == {""}
    assert signs(0.01) == {"down"}


def test_a_row_has_one_color_on_the_whole_page():
    """Colors follow the name: the same on both boards, different for the candidates of a page."""
    colors = row_colors(boards())
    assert colors == row_colors(boards()[::-1])
    assert colors["ddpm"] != colors["stylegan"]
    assert {c[0] for n, c in colors.items() if n in ("ddpm", "stylegan")} == {"c"}
    assert colors["oracle"].startswith("r")


def test_win_rates_count_the_other_ranked_candidates():
    """A gated candidate neither wins nor is beaten; of the baselines, only tests count."""
    rows = {row.name: row for row in over_tasks(boards())}
    assert rows["ddpm"].win_rate is None  # the only ranked candidate
    assert rows["stylegan"].judged == {"duplicate_real": 0, "real_only": 0}
    assert rows["ddpm"].judged["real_only"] == 2
    assert rows["oracle"].win_rate is None


def test_each_term_stands_once():
    """Meanings of one term that differ by board are joined."""
    terms = glossary(boards())
    names = [name for name, _ in terms]
    assert len(names) == len(set(names))
    assert any("Or, on another board" in meaning for _, meaning in terms)
    assert not any("someone else" in meaning for _, meaning in terms)


def test_titles_of_tasks():
    """A task of the suite has a title; any other is shown by its name in words."""
    assert task_title("cxr_pneumonia") == "Pneumonia in chest radiographs"
    assert task_title("my_task") == "my task"


def test_provenance_is_text():
    """Scenario and mix are phrases; no dictionary and no name of a field with an underscore is left."""
    mix = {"training": "add", "unit": "real_image", "classes": ["a", "b"], "filter": "none", "fit_on": "all",
           "ratio": 1.0, "surplus": 2.0}  # fmt: skip
    scenario = {"rare": {"rule": "imbalance", "keep": {"a": 50, "b": 20}}}
    texts = dict(provenance(board(FIRST, [altered(b, mix=mix, scenario=scenario) for b in first()])))
    assert texts["Scenario"] == "rare, rule imbalance: keep a 50 and b 20"
    assert texts["Synthetic images"] == "they join the real ones, counted per real image; for a and b alone."
    assert not any("{" in text or "surplus" in text for text in texts.values())
