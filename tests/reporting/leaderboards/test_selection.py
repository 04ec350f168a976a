"""Attempts, access to the test and the sealed test on a board."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from benchmark.bundles.sealed import SealedResult
from benchmark.reporting.leaderboards.board import Board
from benchmark.reporting.leaderboards.html import site_page
from benchmark.reporting.leaderboards.json_record import dump, task_record
from benchmark.reporting.leaderboards.markdown import task_page
from benchmark.statistics.selection import expected_maximum
from support.example_boards import CARD, FIRST, VERIFIED, altered, board, first


def submitted(**cards: dict[str, Any]) -> Board:
    """Return the example board with some rows submitted, each with changes of the card."""
    bundles = [
        altered(b, submission_type="samples", submission={**CARD, "name": b.manifest.row.name, **cards[name]})
        if (name := b.manifest.row.name) in cards
        else b
        for b in first()
    ]
    return board(FIRST, bundles)


def finding(shown: Board, row: str) -> str:
    return " ".join(f.text for f in shown.findings if f.text.startswith(f"{row} is one of"))


def test_one_attempt_gains_nothing_by_luck():
    """A row of a single attempt has neither a finding nor a text beside its effect."""
    shown = submitted(ddpm={"attempts": 1})
    assert shown.selections["ddpm"].luck == 0
    assert not finding(shown, "ddpm")
    assert "by luck" not in task_page([shown])


def test_luck_is_shown_beside_the_effect():
    """The forecast is the expected maximum times the standard error between attempts."""
    shown = submitted(ddpm={"attempts": 20})
    se = shown.comparison.attempt_se["ddpm"]
    assert se is not None
    luck = shown.selections["ddpm"].luck
    assert luck == pytest.approx(expected_maximum(20) * se, rel=1e-6)
    text = f"best of 20: +{100 * luck:.1f} by luck"
    assert text in task_page([shown])
    assert text in site_page([shown])
    assert f"the best of 20 equal ones would gain {100 * luck:.1f} points by luck" in finding(shown, "ddpm")


def test_a_gain_within_luck_is_called_so():
    """With enough attempts every gain lies within luck, and with two a large one does not."""
    gain = submitted().difference(next(r for r in submitted().rows if r.name == "ddpm"))
    assert gain is not None
    many = submitted(ddpm={"attempts": 1_000_000})
    luck = many.selections["ddpm"].luck
    assert luck is not None
    within = finding(many, "ddpm").endswith("over real_only lies within that.")
    assert within == (0 < gain.estimate <= luck)


def test_rows_of_one_author_count_together():
    """Under other spellings too; each row counts at least once."""
    shown = submitted(
        ddpm={"authors": ["Ann Lee"], "attempts": 3}, stylegan={"authors": ["LEE, \u0410nn"], "attempts": 4}
    )
    assert shown.selections["ddpm"].attempts == shown.selections["stylegan"].attempts == 7
    assert shown.selections["ddpm"].rows == ("ddpm", "stylegan")
    assert "attempts of Ann Lee, which are behind 2 rows" in finding(shown, "ddpm")
    apart = submitted(ddpm={"authors": ["Ann Lee"]}, stylegan={"authors": ["Bob Ray"]})
    assert [apart.selections[n].attempts for n in ("ddpm", "stylegan")] == [1, 1]


def test_tuned_rows_of_the_suite_count_their_trials():
    """A row of the suite counts by itself, with the trials of its study."""
    bundles = [altered(b, attempts=30) if b.manifest.row.name == "ddpm" else b for b in first()]
    shown = board(FIRST, bundles)
    assert shown.selections["ddpm"].attempts == 30
    assert shown.selections["stylegan"].attempts == 1
    assert "ddpm is one of 30 attempts of SynthThorax contributors" in finding(shown, "ddpm")


@pytest.mark.parametrize(
    ("access", "words"),
    [
        ("images: chosen by their FID", "had access to the test images"),
        ("labels: all of them", "had access to the test labels"),
        ("both: by mistake", "had access to the test images and labels"),
    ],
)
def test_access_to_the_test_costs_the_rank(access: str, words: str):
    """The row stands below the ranked ones, struck out, with the reason."""
    shown = submitted(ddpm={"test_access": access})
    row = next(r for r in shown.rows if r.name == "ddpm")
    assert (row.place, row.unranked, row.struck) == (None, words, "test access")
    assert all(r.place is None for r in shown.rows[shown.rows.index(row) :])
    page = task_page([shown])
    assert "~~ddpm~~ test access" in page
    assert f"ddpm {words} and gets no rank" in page
    assert access in page


def test_every_declaration_is_shown():
    """The Markdown page has a column for each; JSON has them for rows of the suite too."""
    page = task_page([submitted(ddpm={"attempts": 5, "pretraining_data": "ImageNet", "hardware": "2 GPUs"})])
    line = next(li for li in page.splitlines() if li.startswith("| **ddpm** | A diffusion model"))
    assert line.endswith("| The task's training images. | ImageNet | 5 | none | 2 GPUs |")
    record = json.loads(dump(task_record([submitted()])))
    assert record["boards"][FIRST]["rows"]["stylegan"]["declared"]["author"] == "SynthThorax contributors"


def sealed(holds: bool) -> SealedResult:
    low, difference = (0.02, 0.07) if not holds else (-0.03, 0.01)
    return SealedResult(
        season="2027", commitment="0" * 64, seeds=(1,), images=100, patients=90, test=0.7, sealed=0.62,
        gain_test=0.06, gain_sealed=-0.01, difference=difference, low=low, high=0.12, alpha=0.05, holds=holds,
    )  # fmt: skip


@pytest.mark.parametrize("holds", [True, False])
def test_both_results_of_a_sealed_test_stand_beside_each_other(holds: bool):
    """A row whose gain does not carry over is marked in the table, in a finding and in its details."""
    shown = board(FIRST, first(), {"ddpm": replace(VERIFIED, sealed=sealed(holds))})
    page, site = task_page([shown]), site_page([shown])
    assert "| ddpm | 2027 | 90 | 70.0 % | 62.0 % |" in page
    for text in (page, site):
        assert ("does not hold on the sealed test" in text) is not holds
    assert (
        json.loads(dump(task_record([shown])))["boards"][FIRST]["standings"]["ddpm"]["sealed"]["patients"]
        == 90
    )
