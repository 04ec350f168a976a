"""The pages of one leaderboard."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from benchmark.bundles.io import Bundle, read_bundles
from benchmark.bundles.schema import ClassifierCard
from benchmark.comparison.compare import compare
from benchmark.comparison.records import Comparison
from benchmark.errors import SubmissionError
from benchmark.reporting.formats import classifier_summary
from benchmark.reporting.leaderboards.board import Board
from benchmark.reporting.leaderboards.publish import write_board
from benchmark.utils.rounding import canonical
from support.board_folders import without_costs
from support.make_bundles import VARIANTS, make_bundles

KINDS = ("md", "json", "html")


def compared(bundles: list[Bundle]) -> Comparison:
    """Return the comparison, computed as in the pipeline."""
    return compare((b.manifest.record(), b.predictions) for b in bundles)


def pages(bundles: list[Bundle], out: Path, comparison: Comparison | None = None) -> dict[str, str]:
    """Return the three pages as text."""
    written = write_board(Board(bundles, comparison or compared(bundles)), out)
    return {k: p.read_text() for k, p in written.items()}


def altered(bundle: Bundle, **fields: Any) -> Bundle:
    """Return the bundle with other fields in its manifest."""
    record = bundle.manifest.record()
    for name, value in fields.items():
        record[name] = {**record[name], **value} if isinstance(value, dict) and value else value
    return replace(bundle, manifest=type(bundle.manifest).model_validate(record))


@pytest.fixture(scope="module")
def bundles(tmp_path_factory) -> list[Bundle]:
    """Nine rows, two brackets, three seeds, 250 and 217 images."""
    return read_bundles(make_bundles(tmp_path_factory.mktemp("b"), test_counts=(50,) * 5))


@pytest.fixture(scope="module")
def comparison(bundles) -> Comparison:
    """The comparison of the bundles."""
    return compared(bundles)


@pytest.fixture(scope="module")
def shown(bundles, comparison, tmp_path_factory) -> dict[str, str]:
    """The pages of the bundles."""
    return pages(bundles, tmp_path_factory.mktemp("p"), comparison)


def test_same_bundles_same_bytes(bundles, shown, tmp_path):
    """Pages do not depend on the order of bundles or on the time."""
    again = pages(bundles[::-1], tmp_path)
    assert again == shown


def test_other_costs_change_nothing_else(bundles, shown, comparison, tmp_path):
    """Costs differ between runs: pages without them are equal, pages with them are not."""
    slower = [altered(b, costs={"fit_seconds": 77.7, "peak_memory_mb": 123456.0}) for b in bundles]
    again = pages(slower, tmp_path, comparison)
    for kind in KINDS:
        assert again[kind] != shown[kind]
        assert without_costs(again[kind]) == without_costs(shown[kind])
    assert not any("77.7" in without_costs(again[kind]) for kind in KINDS)


class Outward(HTMLParser):
    """Collects the resources that a page would load, and checks that its tags are balanced."""

    VOID = {"meta", "img", "br"}

    def __init__(self) -> None:
        super().__init__()
        self.loads: list[str] = []
        self.open: list[str] = []
        self.scripts = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Record sources and depth."""
        self.loads += [v or "" for k, v in attrs if k in ("src", "href", "srcset", "action")]
        self.scripts += tag == "script"
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Ignore a self-closing tag."""

    def handle_endtag(self, tag: str) -> None:
        """Close the last open tag."""
        assert self.open.pop() == tag


def test_the_page_needs_nothing_from_outside(shown):
    """Only data URIs are loaded, links stay within the page, no style is imported, and tags are balanced."""
    parser = Outward()
    parser.feed(shown["html"])
    assert parser.open == []
    assert parser.loads
    assert all(source.startswith(("data:image/png;base64,", "#")) for source in parser.loads)
    assert "@import" not in shown["html"]
    assert "url(" not in shown["html"]


HOSTILE = "</script><script>alert(1)</script><img src=x onerror=alert(2)> | **b** [c](d)\nnext `e`"


def test_hostile_texts_are_shown_not_obeyed(bundles, tmp_path):
    """HTML, scripts, table bars, links and line breaks of a submission remain text."""
    card = {"title": HOSTILE, "description": HOSTILE, "citation": HOSTILE, "params": {HOSTILE: HOSTILE}}
    bad = [altered(b, row=card, question=HOSTILE, hardware={HOSTILE: HOSTILE}) for b in bundles]
    bad[1] = replace(
        altered(bad[1], status="failed", error=HOSTILE, measures={}, results={}), predictions=None
    )
    texts = pages(bad, tmp_path)
    parser = Outward()
    parser.feed(texts["html"])
    assert parser.scripts == 1
    assert "<img src=x" not in texts["html"]
    assert "<script" not in texts["md"]
    assert "<img" not in texts["md"]
    assert "[c](d)" not in texts["md"]
    main = texts["md"].split("## Leaderboard")[1].split("## Controls")[0]
    widths = {len(re.findall(r"(?<!\\)\|", line)) for line in main.splitlines() if line.startswith("| ")}
    assert len(widths) == 1  # every line of the table has the same number of cells


def test_json_holds_everything_and_no_nan(bundles, shown, comparison):
    """The JSON has rows, figures, findings and provenance, with sorted keys and eight-digit numbers."""
    record = json.loads(shown["json"], parse_constant=lambda name: pytest.fail(name))
    assert set(record["rows"]) == {b.manifest.row.name for b in bundles} == set(record["costs"])
    assert list(record) == sorted(record)
    expected = comparison.primary["ddpm"].metrics["balanced_accuracy"]
    metric = record["rows"]["ddpm"]["figures"]["balanced_accuracy"]
    assert metric["estimate"] == pytest.approx(expected.estimate, rel=1e-7)
    assert record["data"]["proof"]


def test_rounding_keeps_integers_and_eight_digits():
    """The last bits of a sum, which depend on threads, are rounded away."""
    assert canonical({"a": [0.1 + 0.2, 3, True, None, "x"]}) == {"a": [0.3, 3, True, None, "x"]}


def test_main_figures_are_on_both_pages(shown, comparison):
    """Both pages have mean and difference with interval, FID with extractor, n and floor, and the copy
    rate."""
    figures = comparison.primary["stylegan"]
    own, real = figures.metrics["balanced_accuracy"], figures.versus["real_only"]["balanced_accuracy"]
    for kind in ("html", "md"):
        page = shown[kind].replace("\\", "")
        assert f"{100 * own.estimate:.1f} %" in page
        assert f"[{100 * own.low:.1f}, {100 * own.high:.1f}]" in page
        assert f"{100 * real.estimate:+.1f}".replace("-", "−") in page
        for text in ("phantom_cxr_v1", "n 600", "real 2.10", "21.5", "±", "97.0 %", "Kruskal-Wallis"):
            assert text in page


def test_phantom_results_are_labeled(bundles, shown, comparison, tmp_path):
    """The top of the page states phantom data; results on real data have no such notice."""
    assert shown["html"].index("Phantom results.") < shown["html"].index("Findings</h2>")
    assert "Phantom results." in shown["md"][:600]
    real = pages([altered(b, data_kind="real") for b in bundles], tmp_path, comparison)
    assert "Phantom results." not in real["html"] + real["md"]


def test_a_gated_row_gets_no_rank(bundles, shown, tmp_path):
    """A generator that copies is struck out, last, and named in the findings, whatever its accuracy."""
    copies = {"rate": 0.5, "interval": [0.47, 0.53], "gated": True}
    caught = [altered(b, memorization=copies) if b.manifest.row.name == "stylegan" else b for b in bundles]
    record = json.loads(pages(caught, tmp_path)["json"])
    assert record["rows"]["stylegan"]["rank"] is None
    assert record["order"][:2] == ["ddpm", "stylegan"]  # candidates come before the references
    assert record["rows"]["ddpm"]["rank_among_candidates"] == 1
    assert record["rows"]["oracle"]["rank_among_candidates"] is None
    assert any("stylegan copies training images and gets no rank" in f["text"] for f in record["findings"])
    assert json.loads(shown["json"])["rows"]["duplicate_real"]["rank"] is not None


def test_a_failed_row_shows_its_error(tmp_path):
    """A failed row shows its error in the table, and the other rows have their figures."""
    folder = make_bundles(
        tmp_path / "b", test_counts=(10,) * 5, paper_counts=None, failed={"ddpm": "NaN loss"}
    )
    texts = pages(read_bundles(folder), tmp_path / "p")
    assert "Failed: NaN loss" in texts["html"]
    assert "`ddpm` failed: NaN loss" in texts["md"]
    assert "published size" not in texts["html"] + texts["md"]
    assert "1 row failed and has no figures: ddpm." in texts["md"]


def test_a_task_that_cannot_measure_is_reported(bundles, tmp_path):
    """If the oracle is not better than real_only, a sentence explains the consequence."""
    by_name = {b.manifest.row.name: b for b in bundles}
    table = by_name["real_only"].predictions
    assert table is not None
    weak = [table.assign(bracket=b, run="oracle") for b in (100, 250)]
    by_name["oracle"] = replace(by_name["oracle"], predictions=pd.concat(weak, ignore_index=True))
    texts = pages(list(by_name.values()), tmp_path)
    assert "This task cannot measure an effect at this size" in texts["html"]
    assert "This task cannot measure an effect at this size" in texts["md"]


def test_a_comparison_of_other_bundles_is_refused(bundles, comparison, tmp_path):
    """A comparison with other bundles than the page's is refused."""
    with pytest.raises(SubmissionError, match="Compare again"):
        write_board(Board(bundles[:-1], comparison), tmp_path)
    assert not list(tmp_path.iterdir())


def test_one_generator_and_the_baseline_are_enough(tmp_path):
    """Without other controls and with one bracket, pages are complete and state which claims are open."""
    folder = make_bundles(
        tmp_path / "b", rows=("real_only", "ddpm"), test_counts=(10,) * 5, paper_counts=None, seeds=(0, 1)
    )
    texts = pages(read_bundles(folder), tmp_path / "p")
    assert "There is no row 'oracle'" in texts["md"]
    assert "no result" in texts["html"]


@pytest.fixture(scope="module")
def others(tmp_path_factory) -> dict[str, dict[str, str]]:
    """Return the pages of a binary, a multi-label and a cross-validated task, two seeds each."""
    texts = {}
    for name in ("binary", "multilabel", "folds"):
        folder = tmp_path_factory.mktemp(name)
        failed = {"stylegan": "no generator named 'dreambooth' is installed"} if name == "binary" else None
        rows = ("real_only", "oracle", "noise", "ddpm", "stylegan")
        folder_of = make_bundles(folder / "b", rows, variant=VARIANTS[name], seeds=(0, 1), failed=failed)
        texts[name] = pages(read_bundles(folder_of), folder / "p")
    return texts


@pytest.mark.parametrize("name", ["binary", "multilabel", "folds"])
def test_pages_of_every_kind_are_whole(others, name):
    """Tags are balanced, tables are rectangular, and no figure is missing or NaN."""
    parser = Outward()
    parser.feed(others[name]["html"])
    assert parser.open == []
    for kind in KINDS:
        assert not re.search(r"\b(nan|NaN|None|Undefined)\b", others[name][kind])
    tables = re.findall(r"(?:^\|.*\n)+", others[name]["md"], re.MULTILINE)
    assert len(tables) >= 5
    for table in tables:
        assert len({len(re.findall(r"(?<!\\)\|", line)) for line in table.splitlines()}) == 1


def test_words_follow_the_primary_metric(others):
    """A task ranked by F1 reports points of F1, and shows the other metrics beside it."""
    for kind in ("html", "md"):
        page = others["binary"][kind]
        assert "points of F1" in page
        assert "noise has the lowest F1 of all rows" in page
        assert "points of balanced accuracy" not in page.split("All metrics")[0]
        for title in ("AUROC", "Cohen’s kappa", "Balanced accuracy", "All metrics", "McNemar"):
            assert title in page
        assert "“pneumothorax”" in page


def test_several_labels_leave_out_undefined_metrics(others):
    """The page has AUROC and F1 by class, no accuracy and no McNemar column; a note gives the reason."""
    for kind in ("html", "md"):
        page = others["multilabel"][kind]
        assert "AUROC of each class" in page
        assert "points of AUROC" in page
        assert "F1 0." in page
        assert "McNemar p" not in page
        assert "McNemar's test is left out" in page.replace("&#39;", "'")
        assert "ccuracy on" not in page
        assert "All metrics" not in page
        assert "are trained on these alone" in page


def test_folds_are_counted_and_explained(others):
    """Joined folds are not counted as trainings; the second site has its own table with a run per fold."""
    for kind in ("html", "md"):
        page = others["folds"][kind].replace("&#39;", "'")
        assert "1 classifier, 2 seeds, 5 folds joined" in page
        assert "joined into one run" in page
        assert "At another site" in page
        assert "fraction" in page  # the scenario, in the provenance
        assert "images per still image of pneumonia" in page
    record = json.loads(others["folds"]["json"])
    assert len(record["comparison"]["splits"]["test_site"]["runs"]) == 10


def test_subgroups_are_shown_and_small_ones_named(others):
    """Each group has a column with its size; a sentence names groups that are too small."""
    for kind in ("html", "md"):
        page = others["binary"][kind]
        assert "F1 by subgroup" in page
        for group in ("sex female", "age 80 and over", "view AP", "site B"):
            assert group in page
        assert re.search(r"Too small to evaluate: .*site C \(\d patients, fewer than 10 patients\)", page)
    assert "by subgroup" not in others["multilabel"]["html"]


def test_a_row_without_its_plug_in_was_not_run(others):
    """A row without its plug-in is marked as not run, not as failed, and its error names the missing
    package."""
    assert "Not run: no generator named &#39;dreambooth&#39; is installed" in others["binary"]["html"]
    assert "`stylegan` was not run: no generator named" in others["binary"]["md"]
    assert "1 row was not run, since its generator is not installed: stylegan." in others["binary"]["md"]
    assert "failed" not in others["binary"]["md"]


def test_the_weights_of_each_classifier_are_on_the_page(bundles, tmp_path):
    """The page shows from scratch, ImageNet with tag and hash, or a file with its hash, and the trained
    part."""
    scratch = bundles[0].manifest.record()["classifier_cards"][0]
    cards = [
        scratch,
        {**scratch, "name": "b", "weights": {"kind": "imagenet", "tag": "a1_in1k", "sha256": "ab" * 32}},
        {
            **scratch, "name": "c", "timm": "vgg16", "head": "pocovid", "trained": 3, "parameters": None,
            "weights": {"kind": "file", "sha256": "cd" * 32},
        },
        {**scratch, "name": "d", "parameters": {"total": 14_746_691, "trained": 2_392_963}},
    ]  # fmt: skip
    count = "; all of 4.92 M parameters trained"
    summaries = [classifier_summary(ClassifierCard.model_validate(card)) for card in cards]
    assert summaries == [
        f"resnet10 (timm resnet10t), from scratch{count}",
        f"b (timm resnet10t), ImageNet weights a1_in1k (sha256 abababababababab…){count}",
        "c (timm vgg16, head pocovid), weights of a file (sha256 cdcdcdcdcdcdcdcd…)",
        "d (timm resnet10t), from scratch; 2.39 M of 14.7 M parameters trained",
    ]
    written = pages(bundles, tmp_path)
    assert summaries[0] in written["html"]
    assert summaries[0] in written["md"].replace("\\", "")
    assert json.loads(written["json"])["classifier_cards"][0] == scratch
