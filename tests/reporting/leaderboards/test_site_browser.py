"""The site in a headless browser, at desktop and phone widths."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from benchmark.reporting.leaderboards.build import pages
from support.example_boards import FIRST, SECOND, boards

playwright = pytest.importorskip(
    "playwright.sync_api", reason="playwright is not installed: pip install .[dev]"
)
NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
BROWSER = next((path for name in NAMES if (path := shutil.which(name))), None)
pytestmark = pytest.mark.skipif(BROWSER is None, reason=f"no browser on the path: none of {', '.join(NAMES)}")
SIZES = {"desk": (1400, 900), "phone": (375, 812)}


@pytest.fixture(scope="module")
def address(tmp_path_factory) -> str:
    """The page as a file URL."""
    path: Path = tmp_path_factory.mktemp("site") / "index.html"
    path.write_text(pages(boards())["index.html"], encoding="utf-8")
    return path.as_uri()


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """A headless browser, without a sandbox only as root, as Chromium requires."""
    root = hasattr(os, "geteuid") and os.geteuid() == 0
    arguments = ["--disable-gpu", *(["--no-sandbox"] if root else [])]
    with playwright.sync_playwright() as driver:
        launched = driver.chromium.launch(executable_path=BROWSER, args=arguments)
        yield launched
        launched.close()


def ending(text: str) -> re.Pattern[str]:
    """Return the addresses with this ending."""
    return re.compile(re.escape(text) + "$")


class Visit:
    """An open page with its external requests and its console messages."""

    def __init__(
        self, browser: Any, address: str, size: str = "desk", script: bool = True, **more: Any
    ) -> None:
        width, height = SIZES[size]
        self.context = browser.new_context(
            viewport={"width": width, "height": height},
            java_script_enabled=script,
            reduced_motion="reduce",  # no smooth scrolling
            **more,
        )
        self.requests: list[str] = []
        self.complaints: list[str] = []
        self.context.route("**/*", self._only_files)
        self.page = self.context.new_page()
        self.page.set_default_timeout(5000)
        self.page.on("console", lambda m: self.complaints.append(m.text) if m.type != "log" else None)
        self.page.on("pageerror", lambda e: self.complaints.append(str(e)))
        self.page.goto(address)

    def _only_files(self, route: Any) -> None:
        if route.request.url.startswith("file://"):
            route.continue_()
        else:
            self.requests.append(route.request.url)
            route.abort()

    def rows(self, board: str = FIRST) -> list[str]:
        """Return the names of the visible rows from top to bottom."""
        rows = self.page.locator(f'[id="{board}"] table.rows tbody tr:visible')
        return list(rows.evaluate_all("rows => rows.map(r => r.dataset.name)"))

    def head(self, title: str, board: str = FIRST) -> Any:
        """Return the header of a column of the leaderboard."""
        button = self.page.get_by_role("button", name=title, exact=True)
        return self.page.locator(f'[id="{board}"] table.rows thead th').filter(has=button)

    def shown(self) -> list[str]:
        """Return the visible boards."""
        return list(self.page.locator("[data-board]:visible").evaluate_all("all => all.map(b => b.id)"))

    def overflow(self) -> int:
        """Return by how many pixels the page is wider than the window."""
        return int(self.page.evaluate("document.documentElement.scrollWidth - window.innerWidth"))


@pytest.fixture
def visit(browser, address) -> Iterator[Any]:
    """Open pages; afterwards check that no page made a request or logged an error."""
    visits: list[Visit] = []

    def open_page(size: str = "desk", part: str = "", **more: Any) -> Visit:
        visits.append(Visit(browser, address + part, size, **more))
        return visits[-1]

    yield open_page
    for each in visits:
        each.context.close()
        assert each.requests == []
        assert each.complaints == []


def by_measure(name: str) -> list[str]:
    """Return the rows of the first board by a measure of their bundles, smallest first."""
    measures = {b.manifest.row.name: b.manifest.measures.get(name) for b in boards()[0].bundles}
    return sorted((n for n, m in measures.items() if m), key=lambda n: measures[n].value)


def by_mean() -> list[str]:
    """Return the rows of the first board by the mean of the primary metric, largest first."""
    figures = boards()[0].comparison.primary
    return sorted(figures, key=lambda n: -figures[n].metrics["balanced_accuracy"].estimate)


@pytest.mark.parametrize("size", SIZES)
def test_sorting_by_mouse_follows_the_bundles(visit, size):
    """The first click on FID sorts the lowest first, the second the highest; rows without a value are
    last."""
    view = visit(size)
    expected, count = by_measure("fid_phantom_cxr_v1"), len(view.rows())
    view.head("FID").get_by_role("button").click()
    assert view.head("FID").get_attribute("aria-sort") == "ascending"
    assert view.rows()[: len(expected)] == expected
    view.head("FID").get_by_role("button").click()
    assert view.head("FID").get_attribute("aria-sort") == "descending"
    assert view.rows()[: len(expected)] == expected[::-1]
    assert len(view.rows()) == count


@pytest.mark.parametrize("size", SIZES)
def test_sorting_by_keyboard(visit, size):
    """Enter and Space on a focused header act like a click; only one column is marked as sorted."""
    view = visit(size)
    view.head("Balanced accuracy").get_by_role("button").focus()
    view.page.keyboard.press("Enter")
    assert view.rows() == by_mean()
    view.page.keyboard.press("Space")
    assert view.rows() == by_mean()[::-1]
    assert view.page.locator(f'[id="{FIRST}"] table.rows th[aria-sort]').count() == 1


def test_every_column_sorts_its_numbers(visit):
    """One click sorts a column of numbers in the direction of its header, with empty cells last."""
    view = visit()
    heads = view.page.locator(f'[id="{FIRST}"] table.rows thead th[data-kind=number]')
    for i in range(heads.count()):
        heads.nth(i).get_by_role("button").click()
        column = heads.nth(i).evaluate("h => h.cellIndex")
        cells = view.page.locator(f'[id="{FIRST}"] table.rows tbody tr').evaluate_all(
            f"rows => rows.map(r => r.cells[{column}]?.dataset.v ?? '')"
        )
        values = [float(v) for v in cells if v != ""]
        down = heads.nth(i).get_attribute("aria-sort") == "descending"
        assert values == sorted(values, reverse=down)
        assert all(v == "" for v in cells[len(values) :])


@pytest.mark.parametrize("size", SIZES)
def test_filters_and_their_count(visit, size):
    """Rows are filtered by name, role, standing and gate; the count is announced, and hidden rows of a tie
    are named."""
    view = visit(size)
    everything = view.rows()
    group = view.page.get_by_role("group", name="Filter the rows")
    count = group.locator("output")
    assert count.get_attribute("aria-live") == "polite"
    assert count.inner_text() == f"{len(everything)} rows"
    group.get_by_label("Role").select_option("generator")
    assert set(view.rows()) == {"stylegan", "ddpm"}
    assert count.inner_text().startswith(f"2 of {len(everything)} rows; ranks are of all rows")
    group.get_by_label("only not gated").check()
    assert view.rows() == ["ddpm"]
    tied = boards()[0].comparison.ranking.rows["ddpm"].tied_with
    for name in tied:
        assert name in count.inner_text()
    group.get_by_label("Standing").select_option("self-reported")
    assert view.rows() == []
    group.get_by_role("button", name="Show all").click()
    assert view.rows() == everything
    group.get_by_label("Name").fill("REAL")
    assert set(view.rows()) == {"real_only", "duplicate_real"}


@pytest.mark.parametrize("size", SIZES)
def test_the_chosen_board_is_in_the_address(visit, size):
    """One board is visible at a time; the address names it, restores it, and the back button returns."""
    view = visit(size)
    assert view.shown() == [FIRST]
    if size == "phone":
        view.page.get_by_label("Board", exact=True).select_option(SECOND)
    else:
        view.page.locator(".boards a").nth(1).focus()
        view.page.keyboard.press("Enter")
    view.page.locator(f'[id="{SECOND}"]').wait_for()
    assert view.shown() == [SECOND]
    playwright.expect(view.page).to_have_url(ending("#" + SECOND))
    again = visit(size, "#" + SECOND)
    assert again.shown() == [SECOND]
    view.page.go_back()
    view.page.locator(f'[id="{FIRST}"]').wait_for()
    assert view.shown() == [FIRST]


def test_an_address_within_a_board_opens_that_board(visit):
    """A link to a section of the second board opens it; an unknown one shows the first board."""
    assert visit(part=f"#{SECOND}--controls").shown() == [SECOND]
    assert visit(part="#nothing").shown() == [FIRST]


@pytest.mark.parametrize("size", SIZES)
def test_provenance_opens_and_closes(visit, size):
    """A row's name opens its card and Escape closes it; focus and scroll position return."""
    view = visit(size)
    name = view.page.locator(f'[id="{FIRST}"] table.rows a.title', has_text="ddpm")
    name.focus()
    before = view.page.evaluate("scrollY")
    view.page.keyboard.press("Enter")
    card = view.page.get_by_role("dialog")
    card.wait_for()
    text = card.inner_text()
    for expected in ("Apache-2.0", "verified", "SHA256:abc", "5b1f5b1f", "0, 1", "Copies", "torch 2.15.0"):
        assert expected in text
    assert view.overflow() <= 0
    view.page.keyboard.press("Escape")
    playwright.expect(name).to_be_focused()
    assert not card.is_visible()
    assert view.page.evaluate("scrollY") == before
    playwright.expect(view.page).to_have_url(ending("#" + FIRST))
    assert "torch" in view.page.locator(f'[id="{FIRST}--row-ddpm"]').text_content()  # back in place


@pytest.mark.parametrize("part", ["#" + FIRST, "#" + SECOND])
@pytest.mark.parametrize("script", [True, False])
def test_no_page_is_wider_than_a_phone(visit, part, script):
    """Tables scroll inside their boxes with the row's name visible; the page itself does not."""
    view = visit("phone", part, script=script)
    assert view.overflow() <= 0
    box = view.page.locator(f'[id="{part[1:]}"] .scroll').first
    box.evaluate("box => box.scrollLeft = 400")
    assert box.locator("tbody th.pin").first.bounding_box()["x"] >= 0


def test_without_script_all_boards_are_shown(visit):
    """Without scripts all boards are visible, links and cards work, and the controls are hidden."""
    view = visit(script=False)
    page = view.page
    assert page.locator("[data-board]:visible").count() == len(boards())
    assert page.locator(".filters:visible").count() == 0
    assert page.locator(".boards select:visible").count() == 0
    page.locator(".boards a").nth(1).click()
    playwright.expect(page).to_have_url(ending("#" + SECOND))
    page.locator(f'[id="{SECOND}--row-ddpm"] summary').click()
    assert page.locator(f'[id="{SECOND}--row-ddpm"] dl').first.is_visible()


def test_keyboard_reaches_the_board_at_once(visit):
    """The first Tab stop skips the chooser; the focused element is outlined."""
    view = visit()
    view.page.keyboard.press("Tab")
    assert view.page.evaluate("document.activeElement.className") == "skip"
    assert view.page.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid"
    view.page.keyboard.press("Enter")
    assert view.page.evaluate("document.activeElement.id") == "main"


def test_dark_where_the_reader_wants_it(visit):
    """The background follows the reader's color preference."""
    grounds = [
        visit(color_scheme=scheme).page.evaluate("getComputedStyle(document.body).backgroundColor")
        for scheme in ("light", "dark")
    ]
    assert grounds == ["rgb(252, 251, 248)", "rgb(18, 23, 28)"]
