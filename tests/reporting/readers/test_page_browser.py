"""A scripted reader in a headless browser, on desktop and phone: from the page to ``stats readers``."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmark.bundles.previews import png
from benchmark.comparison.csv.readers import analyze, read_study
from benchmark.reporting.readers.page import study_page
from benchmark.reporting.readers.protocols import PROTOCOLS
from benchmark.reporting.readers.study import make_study, needed

SIZES = {"desk": (1400, 900), "phone": (375, 812)}
CLASSES = ("healthy", "viral")


def page(folder: Path, protocol: str, per_class: int | None) -> tuple[Path, dict[str, str]]:
    """Write a study of two models, and return its path and the model of every image."""
    rng = np.random.default_rng(0)
    count, of_real = needed(PROTOCOLS[protocol], len(CLASSES), per_class)

    def pool(n: int) -> dict[str, list[bytes]]:
        return {c: [png(rng.integers(0, 255, (16, 16), np.uint8)) for _ in range(n)] for c in CLASSES}

    synthetic = {"ddpm": pool(count), "stylegan": pool(count)}
    study = make_study(PROTOCOLS[protocol], synthetic, pool(of_real), per_class, 0)
    path = folder / f"{protocol}.html"
    path.write_text(study_page(study, "tiny"), encoding="utf-8")
    return path, {image.name: image.model for image in study.images}


@pytest.fixture
def visit(browser) -> Iterator[Any]:
    """Open a page in a context that keeps its storage; no page may ask the network or log an error."""
    contexts, requests, complaints = [], [], []

    def open_page(path: Path, size: str = "desk", context: Any = None) -> Any:
        width, height = SIZES[size]
        if context is None:
            context = browser.new_context(viewport={"width": width, "height": height}, accept_downloads=True)
            contexts.append(context)
        opened = context.new_page()
        opened.set_default_timeout(60000)  # a busy machine is no fault of the page
        opened.on(
            "request",
            lambda r: None if r.url.startswith(("file:", "data:", "blob:")) else requests.append(r.url),
        )
        opened.on("pageerror", lambda e: complaints.append(str(e)))
        opened.on("console", lambda m: complaints.append(m.text) if m.type == "error" else None)
        opened.goto(path.as_uri())
        return opened

    yield open_page
    for context in contexts:
        context.close()
    assert requests == complaints == []


def begin(opened: Any, reader: str) -> None:
    opened.fill("#reader", reader)
    opened.keyboard.press("Enter")


def saved(opened: Any, path: Path) -> list[dict[str, str]]:
    with opened.expect_download() as download:
        opened.click("#export")
    download.value.save_as(path)
    with open(path, encoding="utf-8", newline="") as lines:
        return list(csv.DictReader(lines))


def test_scores_by_keyboard_are_saved_resumed_and_read(visit, tmp_path):
    """The reader gives 4 and 2 to every image by keys, closes the page after three and goes on; zoom and
    window change; the file is what ``stats readers`` reads."""
    path, models = page(tmp_path, "scores", 2)
    opened = visit(path)
    begin(opened, "reader one")
    order = []
    for k in range(8):
        if k == 3:
            context = opened.context
            opened.close()
            opened = visit(path, context=context)
            begin(opened, "reader one")
            assert opened.inner_text("#place").startswith("4 of 8, 3 done")
        order.append(opened.get_attribute(".view", "data-name"))
        assert opened.inner_text("#class").startswith("The image should show: ")
        opened.keyboard.press("+")
        assert "scale(1.2)" in opened.get_attribute(".view img", "style")
        opened.keyboard.press("4")
        opened.keyboard.press("0" if k == 0 else "2")
    assert opened.is_visible("#end")
    rows = saved(opened, tmp_path / "answers.csv")
    assert len(set(order)) == len(rows) == 8
    assert {row["image"]: row["model"] for row in rows} == models
    assert {row["quality"] for row in rows} == {"4"}
    assert sorted(row["plausibility"] for row in rows) == ["", *["2"] * 7]
    record = analyze(read_study(tmp_path / "answers.csv"))
    assert record["scores"]["quality"]["models"]["ddpm"]["mean"] == 4
    assert order != sorted(order)


def test_another_reader_sees_another_order(visit, tmp_path):
    """Both see every image; the first of one reader is drawn by the reader's name."""
    path, _ = page(tmp_path, "scores", 4)
    firsts = set()
    for reader in ("a", "b", "c", "d"):
        opened = visit(path)
        begin(opened, reader)
        firsts.add(opened.get_attribute(".view", "data-name"))
    assert len(firsts) > 1


@pytest.mark.parametrize("size", SIZES)
def test_pairs_are_chosen_by_touch_or_click(size, visit, tmp_path):
    """A reader who always chooses the real one is right in 20 of 20; nothing overflows a phone."""
    path, models = page(tmp_path, "pairs", None)
    opened = visit(path, size)
    begin(opened, "r1")
    for _ in range(20):
        names = opened.locator(".view").evaluate_all("all => all.map(v => v.dataset.name)")
        opened.click(f".view[data-name={next(n for n in names if models[n] == 'real')}]")
    assert opened.evaluate("document.documentElement.scrollWidth - window.innerWidth") <= 0
    assert len(saved(opened, tmp_path / "pairs.csv")) == 40
    record = analyze(read_study(tmp_path / "pairs.csv"))
    assert record["pairs"]["all"]["estimate"] == 1
    assert record["pairs"]["ddpm"]["images"] == 10
    assert record["realism"] is None


def test_a_grid_is_marked_and_the_rest_is_fake(visit, tmp_path):
    """A reader who marks every real image makes no error."""
    path, models = page(tmp_path, "grids", None)
    opened = visit(path, "phone")
    begin(opened, "r1")
    for _ in range(6):
        for name in opened.locator(".view").evaluate_all("all => all.map(v => v.dataset.name)"):
            if models[name] == "real":
                opened.click(f".view[data-name={name}]")
        opened.click("#next")
    assert opened.is_visible("#end")
    saved(opened, tmp_path / "grids.csv")
    realism = analyze(read_study(tmp_path / "grids.csv"))["realism"]
    assert realism["all"]["hype"]["estimate"] == 0
    assert realism["error_real"]["estimate"] == 0
