"""The generated page of a task is up to date."""

from __future__ import annotations

import pytest

from benchmark.tasks.loading import load_task, task_names
from benchmark.tasks.pages import index, page, write_pages
from support.samples import ROOT


@pytest.mark.parametrize("name", task_names())
def test_pages_are_up_to_date(name):
    """docs/tasks equals the output of ``tasks --pages docs/tasks``."""
    remedy = "Run: python -m benchmark tasks --pages docs/tasks"
    assert (ROOT / "docs" / "tasks" / f"{name}.md").read_text(encoding="utf-8") == page(load_task(name)), (
        remedy
    )


def test_index_is_up_to_date():
    """The index names every task, and no page is left of a removed task."""
    folder = ROOT / "docs" / "tasks"
    assert (folder / "README.md").read_text(encoding="utf-8") == index([load_task(n) for n in task_names()])
    assert {p.stem for p in folder.glob("*.md")} == {*task_names(), "README"}


def test_a_page_has_the_protocol(tmp_path):
    """The page has question, choices, brackets, a classifier, a figure of the paper and a deviation."""
    written = {p.name: p.read_text() for p in write_pages(tmp_path)}
    text = written["cxr_pneumonia.md"]
    task = load_task("cxr_pneumonia")
    for phrase in (
        task.question,
        "77.60 to 78.71",
        "efficientnet_b1",
        "10000",
        task.deviations[0],
        "Table 9",
    ):
        assert phrase in text


def test_a_bar_in_a_text_does_not_break_the_table():
    """A vertical bar in a cell is escaped."""
    task = load_task("cxr_pneumonia").model_copy(update={"classes": ("a|b", "c")})
    assert "a\\|b, c" in page(task)
