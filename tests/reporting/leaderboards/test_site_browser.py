"""The site in a headless browser, at desktop and phone widths."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from benchmark.reporting.leaderboards.build import pages
from benchmark.reporting.leaderboards.pictures import as_webp, pictures
from support.example_boards import FIRST, SECOND, boards

playwright = pytest.importorskip(
    "playwright.sync_api", reason="playwright is not installed: pip install .[dev]"
)
SIZES = {"desk": (1400, 900), "phone": (375, 812)}


@pytest.fixture(scope="module")
def address(tmp_path_factory) -> str:
    """The page as a file URL."""
    path: Path = tmp_path_factory.mktemp("site") / "index.html"
    path.write_text(pages(boards())["index.html"], encoding="utf-8")
    for name, png in pictures(boards()).items():
        (path.parent / name).parent.mkdir(exist_ok=True)
        (path.parent / name).write_bytes(as_webp(png))
    return path.as_uri()


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
        rows = self.page.locator(f'[id="{board}"] table.rows tbody tr:not(.band):visible')
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


def banded(names: list[str]) -> list[str]:
    """Return rows of the first board with the candidates before the references, else in their order."""
    candidates = [row.name for row in boards()[0].rows if row.kind != "reference"]
    return sorted(names, key=lambda name: name not in candidates)


def by_measure(name: str, down: bool = False) -> list[str]:
    """Return all rows of the first board by a measure of their bundles; those without it end a band."""
    measures = {b.manifest.row.name: b.manifest.measures.get(name) for b in boards()[0].bundles}
    known = sorted((n for n, m in measures.items() if m), key=lambda n: measures[n].value, reverse=down)
    return banded([*known, *(row.name for row in boards()[0].rows if not measures[row.name])])


def by_mean(up: bool = False) -> list[str]:
    """Return the rows of the first board by the mean of the primary metric, largest first."""
    figures = boards()[0].comparison.primary
    sign = 1 if up else -1
    return banded(sorted(figures, key=lambda n: sign * figures[n].metrics["balanced_accuracy"].estimate))


@pytest.mark.parametrize("size", SIZES)
def test_sorting_by_mouse_follows_the_bundles(visit, size):
    """The first click on FID sorts the lowest first, the second the highest; the bands stay apart."""
    view = visit(size)
    view.head("FID").get_by_role("button").click()
    assert view.head("FID").get_attribute("aria-sort") == "ascending"
    assert view.rows() == by_measure("fid_phantom_cxr_v1")
    view.head("FID").get_by_role("button").click()
    assert view.head("FID").get_attribute("aria-sort") == "descending"
    assert view.rows() == by_measure("fid_phantom_cxr_v1", down=True)


def test_sorting_by_keyboard(visit):
    """Enter and Space on a focused header act like a click; only one column is marked as sorted."""
    view = visit()
    view.head("Balanced accuracy").get_by_role("button").focus()
    view.page.keyboard.press("Enter")
    assert view.rows() == by_mean()
    view.page.keyboard.press("Space")
    assert view.rows() == by_mean(up=True)
    assert view.page.locator(f'[id="{FIRST}"] table.rows th[aria-sort]').count() == 1


def test_every_column_sorts_its_numbers(visit):
    """One click sorts a column of numbers in the direction of its header, with empty cells last."""
    view = visit()
    heads = view.page.locator(f'[id="{FIRST}"] table.rows thead th[data-kind=number]:visible')
    for i in range(heads.count()):
        heads.nth(i).get_by_role("button").click()
        column = heads.nth(i).evaluate("h => h.cellIndex")
        down = heads.nth(i).get_attribute("aria-sort") == "descending"
        for band in range(2):
            cells = (
                view.page.locator(f'[id="{FIRST}"] table.rows tbody')
                .nth(band)
                .evaluate(f"b => [...b.rows].slice(1).map(r => r.cells[{column}]?.dataset.v ?? '')")
            )
            values = [float(v) for v in cells if v != ""]
            assert values == sorted(values, reverse=down)
            assert all(v == "" for v in cells[len(values) :])


@pytest.mark.parametrize("size", SIZES)
def test_filters_and_their_count(visit, size):
    """Rows are filtered by name, kind, standing and gate; the count is announced, and hidden rows of a tie
    are named; a band without rows has no title."""
    view = visit(size)
    everything = view.rows()
    group = view.page.get_by_role("group", name="Filter the rows")
    count = group.locator("output")
    assert count.get_attribute("aria-live") == "polite"
    assert count.inner_text() == f"{len(everything)} rows"
    group.get_by_label("Kind").select_option("generator")
    assert view.rows() == ["ddpm", "stylegan"]
    assert view.page.locator(f'[id="{FIRST}"] tr.band:visible').all_inner_texts() == ["Candidates"]
    assert count.inner_text().startswith(f"2 of {len(everything)} rows; ranks are of all candidates")
    group.get_by_label("only not gated").check()
    assert view.rows() == ["ddpm"]
    group.locator("[data-filter=standing]").select_option("self-reported")
    assert view.rows() == []
    group.get_by_role("button", name="Show all").click()
    assert view.rows() == everything
    group.get_by_label("Name").fill("REAL")
    assert set(view.rows()) == {"real_only", "duplicate_real"}


def test_the_address_restores_the_table(visit):
    """Filters, sorting and columns go into the address; opened again it shows the same rows and columns."""
    view = visit()
    assert not view.page.url.partition("#")[2]
    group = view.page.get_by_role("group", name="Filter the rows")
    group.get_by_label("Kind").select_option("reference")
    view.head("FID").get_by_role("button").click()
    group.get_by_text("Columns").click()
    group.get_by_label("KID").check()
    group.get_by_label("Cost").uncheck()
    rows, state = view.rows(), view.page.url.partition("?")[2]
    assert "kind=reference" in state
    assert "sort=fid_phantom_cxr_v1&dir=ascending" in state
    again = visit(part=f"#{FIRST}?{state}")
    assert again.rows() == rows
    assert again.head("FID").get_attribute("aria-sort") == "ascending"
    assert (again.head("KID").is_visible(), again.head("Cost").is_visible()) == (True, False)
    assert visit(part=f"#{FIRST}?kind=nothing&sort=nothing&columns=nothing").rows() == [
        row.name for row in boards()[0].rows
    ]


def test_the_table_fits_a_desk(visit):
    """The default columns need no scrolling at 1,400 pixels; the picker shows the others."""
    view = visit()
    box = view.page.locator(f'[id="{FIRST}"] .scroll').first
    assert box.evaluate("b => b.scrollWidth - b.clientWidth") <= 0
    assert not view.head("MS-SSIM").is_visible()
    view.page.get_by_role("group", name="Filter the rows").get_by_text("Columns").click()
    box.locator("xpath=..").get_by_label("MS-SSIM").check()
    assert view.head("MS-SSIM").is_visible()


def test_the_csv_has_the_visible_rows_with_all_columns(visit):
    """Every figure has six digits, an interval its ends; rows that a filter hides are left out."""
    view = visit()
    group = view.page.get_by_role("group", name="Filter the rows")
    group.get_by_label("Kind").select_option("generator")
    with view.page.expect_download() as download:
        group.get_by_role("button", name="CSV").click()
    assert download.value.suggested_filename == f"{FIRST}.csv"
    with open(download.value.path(), encoding="utf-8") as handle:
        rows = {row["row"]: row for row in csv.DictReader(handle)}
    assert list(rows) == ["ddpm", "stylegan"]
    own = boards()[0].comparison.primary["ddpm"].metrics["balanced_accuracy"]
    for key, value in (("", own.estimate), ("_low", own.low), ("_high", own.high)):
        assert float(rows["ddpm"][f"balanced_accuracy{key}"]) == pytest.approx(value, rel=1e-5)
    measure = boards()[0].measure_values("fid_phantom_cxr_v1")["ddpm"]
    assert float(rows["ddpm"]["fid_phantom_cxr_v1"]) == pytest.approx(measure.value, rel=1e-5)
    assert (rows["ddpm"]["rank"], rows["stylegan"]["rank"], rows["ddpm"]["standing"]) == ("1", "", "verified")


def test_pictures_are_files_beside_the_page(visit):
    """A picture loads when it comes into view."""
    view = visit()
    picture = view.page.locator(f'[id="{FIRST}"] .grids img').first
    picture.scroll_into_view_if_needed()
    view.page.wait_for_function("p => p.complete && p.naturalWidth > 0", arg=picture.element_handle())
    assert picture.get_attribute("src").startswith("images/")


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
    for expected in ("Apache-2.0", "verified", "SHA256:abc", "0, 1", "Copies", "cpu, bfloat16"):
        assert expected in text
    assert view.overflow() <= 0
    view.page.keyboard.press("Escape")
    playwright.expect(name).to_be_focused()
    assert not card.is_visible()
    assert view.page.evaluate("scrollY") == before
    playwright.expect(view.page).to_have_url(ending("#" + FIRST))
    assert "bfloat16" in view.page.locator(f'[id="{FIRST}--row-ddpm"]').text_content()  # back in place


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
