"""A third party's metric on a board: its column, its terms, its sentences and its versions."""

from __future__ import annotations

import re
from typing import Any

import pytest

from benchmark.reporting.formats import measure_parts, measure_title
from benchmark.reporting.leaderboards import html, markdown
from benchmark.reporting.leaderboards.board import Board
from support.example_boards import FIRST, altered, board, first

NAME = "my_metric_phantom_cxr_v1"
CARD = {
    "title": "Coverage <b>",
    "description": "Share of real images with a near synthetic one.",
    "citation": "Naeem et al. 2020",
    "version": "1",
    "params": {"k": 5},
    "extractor": "phantom_cxr_v1",
}


def with_metric(versions: dict[str, str], **card: Any) -> Board:
    """Return a board whose rows of these names have the metric, in these versions."""
    bundles = []
    for bundle in first():
        name = bundle.manifest.row.name
        if name in versions:
            figure = {"value": 0.731, "floor": 0.912, "n": 600, "direction": "maximize"}
            figure["card"] = {**CARD, **card, "version": versions[name]}
            bundle = altered(bundle, measures={**bundle.manifest.record()["measures"], NAME: figure})
        bundles.append(bundle)
    return board(FIRST, bundles)


@pytest.fixture(scope="module")
def shown() -> Board:
    return with_metric({"ddpm": "1", "stylegan": "1", "oracle": "1"})


def test_column_follows_those_of_the_suite(shown):
    """The column has the card's title, the value with its floor, and a dash in rows without it."""
    assert shown.measures[-1] == NAME
    page = markdown.run_page(shown)
    head = next(line for line in page.splitlines() if line.startswith("| Rank |"))
    assert head.endswith(r" Coverage &lt;b&gt; (phantom\_cxr\_v1) | Copies |")
    row = next(line for line in page.splitlines() if "**ddpm** | generator |" in line)
    assert "| 0.731 (real 0.912, n 600) |" in row
    assert head.count("|") == row.count("|")


def test_column_of_the_site_sorts_the_better_way_and_is_escaped(shown):
    """Higher is better, so the column sorts descending; a title from a bundle is text, not HTML."""
    page = html.run_page(shown)
    column = next(line for line in page.splitlines() if "Coverage &lt;b&gt;" in line and "<th" in line)
    assert "descending" in column
    assert "phantom_cxr_v1 · n 600" in column
    assert "Coverage <b>" not in page


def test_glossary_has_the_description(shown):
    """A metric that the glossary does not know has the description and the citation of its card."""
    assert "Share of real images with a near synthetic one. Naeem et al. 2020" in html.run_page(shown)
    known = with_metric({"ddpm": "1"}, title="FID")
    assert "Share of real images with a near synthetic one" not in html.run_page(known)


def test_association_has_the_title(shown):
    """The rank correlation with utility is stated under the title of the card."""
    assert re.search(r"No rank correlation for .*Coverage &lt;b&gt; \(phantom", markdown.run_page(shown))


def test_different_versions_are_stated():
    """Rows with other versions of a metric say so below the column's title."""
    assert with_metric({"ddpm": "1", "oracle": "2"}).measure_head(NAME)[1].endswith("versions differ")
    assert with_metric({"ddpm": "1", "oracle": "1"}).measure_head(NAME)[1] == "phantom_cxr_v1 · n 600"


def test_titles_of_bundles_without_cards():
    """Figures of other stages, and of older bundles, have their title by name."""
    assert measure_title("fid_phantom_cxr_v1") == "FID (phantom_cxr_v1)"
    assert measure_parts("gan_test_balanced_accuracy") == ("GAN-test", "balanced accuracy")
    assert measure_title("ms_ssim") == "MS-SSIM"
    assert measure_title("filter_pass_rate") == "Filter pass rate"
    assert measure_title("other") == "other"
