"""The HTML site with all boards on one page; test_board_page.py has the parts of one board."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from html.parser import HTMLParser
from itertools import pairwise

import pytest

from benchmark.errors import SubmissionError
from benchmark.reporting.leaderboards.board import Board
from benchmark.reporting.leaderboards.build import pages
from benchmark.reporting.leaderboards.html import TEMPLATES
from benchmark.reporting.leaderboards.row_details import link
from benchmark.reporting.leaderboards.trade_offs import front_sentence, marks
from support.example_boards import CARD, FIRST, SECOND, altered, board, boards, first

HOSTILE = "</script><script>alert(1)</script><!--<img src=x onerror=alert(2)>\"'><b>"


class Reader(HTMLParser):
    """Collects ids, references to ids, links and tags, and checks that tags are balanced."""

    VOID = ("meta", "img", "br", "input")

    def __init__(self, page: str) -> None:
        super().__init__()
        self.ids: list[str] = []
        self.named: list[str] = []
        self.links: list[str] = []
        self.levels: list[int] = []
        self.tags: Counter[str] = Counter()
        self.open: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Record the tag's attributes."""
        values = dict(attrs)
        self.ids += [values["id"] or ""] if "id" in values else []
        self.named += [values["aria-labelledby"] or ""] if "aria-labelledby" in values else []
        self.links += [v or "" for k, v in attrs if k in ("src", "href", "srcset", "action")]
        self.levels += [int(tag[1])] if re.fullmatch("h[1-6]", tag) else []
        self.tags[tag] += 1
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Ignore a self-closing tag."""

    def handle_endtag(self, tag: str) -> None:
        """Close the last open tag."""
        assert self.open.pop() == tag


def site_of(boards: Sequence[Board]) -> str:
    """Return the HTML page of all boards."""
    return pages(boards)["index.html"]


@pytest.fixture(scope="module")
def page() -> str:
    """The site of the two boards."""
    return site_of(boards())


def test_the_page_is_complete_and_self_contained(page):
    """Tags are balanced, ids are unique, references exist, and nothing is loaded from elsewhere.

    The only external address is the link to a submission's paper.
    """
    read = Reader(page)
    assert read.open == []
    assert max(Counter(read.ids).values()) == 1
    assert set(read.named) <= set(read.ids)
    inside = {target[1:] for target in read.links if target.startswith("#")}
    assert inside <= set(read.ids)
    outward = [t for t in read.links if not t.startswith(("#", "images/"))]
    assert outward == ["https://example.org/paper?a=1&b=2"]
    assert "url(" not in page
    assert "@import" not in page
    visible = re.sub(r"<script>.*?</script>", "", page, flags=re.DOTALL)
    assert not re.search(r"\b(nan|NaN|None|Undefined|inf)\b", visible)


def test_headings_skip_no_level(page):
    """The page has one first-level heading, and headings skip no level on the way down."""
    levels = Reader(page).levels
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(b <= a + 1 for a, b in pairwise(levels))


def test_same_boards_same_bytes_in_any_order(page):
    """The page depends only on the boards."""
    assert site_of(boards()[::-1]) == page


def test_every_board_and_every_row_is_there(page):
    """Each board has a link in the chooser, and each row has a card."""
    read = Reader(page)
    assert {FIRST, SECOND} <= set(read.ids)
    assert {f"#{FIRST}", f"#{SECOND}"} <= set(read.links)
    cards = {i for i in read.ids if "--row-" in i}
    assert cards == {f"{b.name}--row-{x.manifest.row.name}" for b in boards() for x in b.bundles}


def test_every_row_is_in_the_table_over_the_boards(page):
    """Candidates come first; a board without the row shows a dash, and a row that was not run is marked."""
    table = page[page.index('aria-label="Difference to real_only of every row on every board"') :].split(
        "</table>"
    )[0]
    names = re.findall(r'data-v="([a-z_]+)">', table)
    assert names == ["ddpm", "stylegan", "duplicate_real", "noise", "oracle", "real_only", "traditional"]
    by_name = dict(zip(names, re.findall(r"<tr><th scope=\"row\".*?</tr>", table, re.DOTALL), strict=True))
    real = boards()[0].comparison.primary["ddpm"].versus["real_only"]
    shown = f"{100 * real['balanced_accuracy'].estimate:+.1f}".replace("-", "−")
    assert f'href="#{FIRST}--row-ddpm"' in by_name["ddpm"]
    assert shown in by_name["ddpm"]
    assert "gated" in by_name["stylegan"]
    assert "not run" in by_name["stylegan"]
    assert "–" in by_name["traditional"]
    assert by_name["real_only"].count("baseline") == 2


def test_phantom_results_are_named_before_anything_else(page):
    """One board of two has phantom data: the top shows the count, and only that board has the full notice."""
    assert page.index("1 board of 2 is phantom results") < page.index("data-board=")
    parts = page.split("data-board=")[1:]
    assert ["Phantom results." in part for part in parts] == [True, False]


def test_the_head_shows_profile_and_hardware(page):
    """The head of a board has its profile and its hardware."""
    assert re.search(r"<b>demo</b> profile, on cpu, 2 cores|<b>demo</b> profile, on cpu", page)
    assert "<b>lite</b> profile" in page


def test_hostile_texts_stay_text():
    """Titles, parameters, errors, standings and notes of a bundle never become markup or script."""
    card = {"title": HOSTILE, "description": HOSTILE, "citation": HOSTILE, "params": {HOSTILE: HOSTILE}}
    bad = [altered(b, row=card, question=HOSTILE, hardware={HOSTILE: HOSTILE}) for b in first()]
    card_of_author = {**CARD, "title": HOSTILE, "authors": [HOSTILE], "license": HOSTILE, "hardware": HOSTILE}
    card_of_author["name"] = bad[1].manifest.row.name
    bad[1] = altered(bad[1], submission_type="generator", submission=card_of_author)
    bad[0] = replace(
        altered(bad[0], status="failed", error=HOSTILE, measures={}, results={}), predictions=None
    )
    initial = board(FIRST, bad)
    standing = replace(next(iter(initial.standings.values())), signer=HOSTILE, detail=HOSTILE)
    page = site_of([replace(initial, standings=dict.fromkeys(initial.standings, standing))])
    read = Reader(page)
    assert read.open == []
    assert read.tags["script"] == 1
    assert read.tags["img"] == sum(b.grid is not None for b in bad)
    assert "<!--<img" not in page
    outward = [t for t in read.links if not t.startswith(("#", "images/"))]
    assert outward == [CARD["paper"]]


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("https://example.org/a?b=c&d", "https://example.org/a?b=c&amp;d"),
        ("doi:10.3390/bioengineering10121421", "https://doi.org/10.3390/bioengineering10121421"),
        ("10.1000/x", "https://doi.org/10.1000/x"),
        ("javascript:alert(1)", None),
        ("data:text/html,x", None),
        ("https://a.org/\"onclick='x'", None),
        ("see https://a.org", None),
    ],
)
def test_only_web_addresses_and_dois_become_links(text, address):
    """Any other text of a card is shown unchanged."""
    result = link(text)
    assert (f'href="{address}"' in result) if address else result == text


def test_one_board_per_name():
    """An empty list and a repeated name are refused."""
    with pytest.raises(SubmissionError, match="different names"):
        site_of([])
    with pytest.raises(SubmissionError, match="different names"):
        site_of([boards()[0]] * 2)


def rows_of(page: str, name: str) -> list[str]:
    """Return the rows of a board's leaderboard table."""
    part = page.split(f'data-board="{name}"')[1]
    return re.findall(r"<tr class=\"(?:reference|generator).*?</tr>", part.split("</table>")[0], re.DOTALL)


def test_every_row_shows_its_standing(page):
    """A row is verified and signed, changed, or self-reported; the card has the verifier and the date."""
    by_name = {re.search('data-name="([^"]+)', r)[1]: r for r in rows_of(page, FIRST)}
    assert 'data-standing="verified"' in by_name["ddpm"]
    assert ">signed<" in by_name["ddpm"]
    assert 'data-standing="changed"' in by_name["stylegan"]
    assert 'data-standing="self-reported"' in by_name["noise"]
    assert "signed, key SHA256:abc" in page
    assert "Checked on 2026-11-01 with release 0.1.0." in page


def test_a_submission_shows_its_type_and_its_authors(page):
    """The type is beside the standing; the row's card has the submission card."""
    by_name = {re.search('data-name="([^"]+)', r)[1]: r for r in rows_of(page, SECOND)}
    assert "submitted samples" in by_name["ddpm"]
    assert "submitted" not in by_name["oracle"]
    for text in (
        "A. Author and B. Author",
        "CC-BY-4.0",
        "1 GPU, 3 hours",
        "submitted samples, evaluated by the suite",
    ):
        assert text in page


def test_rows_have_the_data_of_filters_and_ties(page):
    """Every row has role, gate and rank; the gated generator has no rank and is not on the front."""
    (gated,) = [r for r in rows_of(page, FIRST) if 'data-gated="yes"' in r]
    assert 'data-name="stylegan"' in gated
    assert 'data-rank=""' in gated
    assert gated.startswith('<tr class="generator gated')
    drawn = marks(boards()[0], {row.name: 1.0 for row in boards()[0].rows}, {})
    hollow = {m.name for m in drawn if m.gated}
    assert hollow == {"stylegan", "duplicate_real"}
    assert not {m.name for m in drawn if m.front} & {"stylegan", "duplicate_real", "oracle", "noise"}


def test_every_column_sorts_better_rows_first(page):
    """FID sorts ascending, since lower is better; the metric and its differences sort descending."""
    heads = re.findall(
        r'data-first="(\w+)" data-kind="\w+"[^>]*><button type="button">([^<]+)', rows_head(page, FIRST)
    )
    first_of = {title: order for order, title in heads}
    assert first_of["FID"] == first_of["Copies"] == first_of["Cost"] == first_of["Rank"] == "ascending"
    assert first_of["Balanced accuracy"] == first_of["vs real_only"] == "descending"
    assert rows_head(page, FIRST).count("<th ") == len(heads)  # none without a button


def rows_head(page: str, name: str) -> str:
    """Return the head of a board's leaderboard table."""
    part = page.split(f'data-board="{name}"')[1]
    return part[part.index("<thead>") : part.index("</thead>")]


def test_a_measure_where_more_is_better_sorts_descending():
    """The GAN-test and the share of plausible images sort descending."""
    gan_test = {"value": 0.7, "floor": 0.6, "n": 100, "direction": "maximize"}
    more = {"gan_test_balanced_accuracy": gan_test, "filter_pass_rate": gan_test}
    changed = [altered(b, measures=more) if b.manifest.measures else b for b in first()]
    head = rows_head(site_of([board(FIRST, changed)]), FIRST)
    assert re.search(r'data-first="descending" data-kind="number"[^>]*><button type="button">GAN-test', head)
    assert re.search(
        r'data-first="descending" data-kind="number"[^>]*><button type="button">Filter pass rate', head
    )


def luminance(color: str) -> float:
    """Return the relative luminance of #rrggbb. Source: WCAG 2.2, definition of relative luminance."""
    parts = [int(color[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts]
    return sum(w * c for w, c in zip((0.2126, 0.7152, 0.0722), linear, strict=True))


def contrast(a: str, b: str) -> float:
    """Return (L1 + 0.05) / (L2 + 0.05), 1 to 21. Source: WCAG 2.2, definition of contrast ratio."""
    lighter, darker = sorted((luminance(a), luminance(b)), reverse=True)
    return (lighter + 0.05) / (darker + 0.05)


def test_contrast_of_known_colors():
    """Black on white is 21; the gray #777777 on white just fails with 4.48."""
    assert contrast("#000000", "#ffffff") == pytest.approx(21)
    assert contrast("#777777", "#ffffff") == pytest.approx(4.48, abs=0.005)


HUES = [f"{kind}{number}" for kind in "cr" for number in range(10)]
TINTS = [f"{sign}{size}" for sign in ("up", "down") for size in (1, 2, 3)]
PAIRS = [
    *[("ink", back) for back in ("paper", "card", "wash", "row", "warn-wash", "accent-wash", *TINTS)],
    *[("soft", back) for back in ("paper", "card", "wash", "row")],
    *[("accent", back) for back in ("paper", "card", "wash", "row", "accent-wash")],
    *[(sign, back) for sign in ("up", "down") for back in ("paper", "card", "row")],
    ("up", "good-wash"), ("down", "bad-wash"), ("paper", "accent"), ("paper", "ink"),
]  # fmt: skip


@pytest.mark.parametrize("theme", [0, 1, 2], ids=["light", "dark", "print"])
def test_text_is_readable_on_its_background(theme):
    """Every pair of text and background in the style has a contrast of at least 4.5 (WCAG 2.2, 1.4.3)."""
    css = (TEMPLATES / "leaderboard.css").read_text()
    block = re.findall(r":root \{(.*?)\}", css, re.DOTALL)[theme]
    colors = dict(re.findall(r"--([a-z0-9-]+): (#[0-9a-f]{6})", block))
    for text, ground in PAIRS:
        assert contrast(colors[text], colors[ground]) >= 4.5, f"{text} on {ground}"


def test_a_row_on_the_front_is_above_doing_nothing():
    """A row below real_only is never on the front; a sentence reports an empty front."""
    initial = boards()[0]
    values = {row.name: 1.0 for row in initial.rows}
    assert all(m.estimate > 0 for m in marks(initial, values, {}) if m.front)
    assert not [m for m in marks(initial, values, {}, least=1.0) if m.front]
    assert "real_only alone" in front_sentence(marks(initial, values, {}, least=1.0))
