"""The Markdown and JSON pages of all boards."""

from __future__ import annotations

import json
import re
from dataclasses import replace

import pytest

from benchmark.bundles.standing import Standing
from benchmark.intake.card import SubmissionCard
from benchmark.reporting.leaderboards.board import Board
from benchmark.reporting.leaderboards.build import pages, read_boards
from benchmark.reporting.leaderboards.sentences import variance
from support.board_folders import BOARD, edit, make_board_folder, verify
from support.keys import MAINTAINER, STRANGER

HOSTILE = "</script><script>alert(1)</script> | **b** [c](d)\n# head `e` $(rm) '"


@pytest.fixture(scope="module")
def boards(tmp_path_factory) -> list[Board]:
    """Two boards of one task: demo, with a verified row and two signed ones, and lite."""
    root = tmp_path_factory.mktemp("boards")
    demo = make_board_folder(root)
    lite = make_board_folder(root, "cxr_pneumonia-lite")
    for row in lite.iterdir():
        edit(row, profile="lite", protocol_hash="beef" * 16)
    verify(demo / "ddpm")
    STRANGER.sign(demo / "real_only" / "bundle.json")
    MAINTAINER.sign(demo / "duplicate_real" / "bundle.json")
    return read_boards(root, workers=1)


@pytest.fixture(scope="module")
def site_pages(boards) -> dict[str, str]:
    """The pages of the boards."""
    return pages(boards)


def section(page: str, title: str) -> str:
    """Return the text under a heading."""
    return re.split(r"\n#+ ", page.split(f" {title}\n", 1)[1])[0]


def test_same_boards_same_bytes(boards, site_pages):
    """Pages do not depend on the order of boards, and there is one page per task."""
    assert pages(boards[::-1]) == site_pages
    assert sorted(site_pages) == ["README.md", "cxr_pneumonia.json", "cxr_pneumonia.md", "index.html"]


def test_a_task_has_its_boards_one_after_the_other(site_pages):
    """A page has one title, a heading and an anchor per board, and one glossary."""
    page = site_pages["cxr_pneumonia.md"]
    heads = re.findall(r"^## (.*)$", page, re.MULTILINE)
    assert heads == [
        "Pneumonia in chest radiographs, demo",
        "Pneumonia in chest radiographs, lite",
        "Glossary",
    ]
    assert len(re.findall(r"^# ", page, re.MULTILINE)) == 1
    assert page.count("### Leaderboard") == 2
    assert page.count("- **Rank**") == 1
    for name in ("cxr_pneumonia-demo", "cxr_pneumonia-lite"):
        assert f'<a id="{name}"></a>' in page
        assert f"(#{name})" in page
        assert f"(index.html#{name})" in page


def test_every_row_has_its_standing(site_pages):
    """The standing is in the table beside the figures, and below with date, key and hash."""
    demo, lite = site_pages["cxr_pneumonia.md"].split('<a id="cxr_pneumonia-lite">')
    table = section(demo, "Leaderboard")
    assert "| **ddpm** | generator | verified |" in table
    assert "| **real\\_only** | reference | self-reported, signed |" in table
    assert "verified" not in section(lite, "Leaderboard")
    below = section(demo, "Standing of the rows")
    assert "Verified on 2026-11-21 with version 0.2.0" in below
    assert f"signed, key {STRANGER.fingerprint} of an unknown author" in below
    assert "the project, signed by max@example.org" in below
    assert "did not sign" in below
    assert "seeds (verify --deep) detects an inflation of a row by" in below


def test_candidates_and_references_have_a_table_each(site_pages):
    """References have no rank; one sentence says what a rank is, and no letters are left."""
    table = section(site_pages["cxr_pneumonia.md"], "Leaderboard")
    candidates, references = table.split("References:")
    assert re.findall(r"^\| (\S+) \| \*\*(\w+)", candidates, re.MULTILINE) == [("1", "ddpm")]
    ranks = re.findall(r"^\| (\S+) \| \*\*", references, re.MULTILINE)
    assert ranks == ["–", "–"]
    assert "1 + the number of candidates that the tests find better" in table
    assert "Letters" not in site_pages["cxr_pneumonia.md"]


def test_the_verdict_comes_first(site_pages):
    """A sentence answers the question before the table; the preamble and the machines follow it."""
    page = site_pages["cxr_pneumonia.md"]
    order = ["No generator beats copies of real images", "### Leaderboard", "### Findings", "### About this"]
    places = [page.index(text) for text in [*order, "Another machine gives another table", "### Controls"]]
    assert places == sorted(places)
    assert "No generator beats copies" in site_pages["README.md"]
    assert "Another machine gives another table" in site_pages["README.md"]


def test_the_statistics_are_those_of_the_comparison(boards, site_pages):
    """The page has power, equivalence, Friedman, variance, association, and every test of a row."""
    demo = site_pages["cxr_pneumonia.md"].split('<a id="cxr_pneumonia-lite">')[0].replace("\\", "")
    comparison = boards[0].comparison
    powers = section(demo, "Smallest detectable differences")
    for level, detectable in comparison.power.rows["ddpm"].items():
        assert f"With {100 * float(level):.0f} % power" in powers
        assert f" ±{100 * detectable:.1f} |" in powers
    same = comparison.primary["ddpm"].versus["real_only"]["balanced_accuracy"].equivalence
    line = next(li for li in section(demo, "Equivalence to real_only").splitlines() if "| ddpm" in li)
    assert line.startswith(f"| ddpm | not shown | {same.p:.3f} | {100 * same.rope.below:.0f} % |")
    tests = section(demo, "Tests over all rows")
    assert f"Kendall's W {comparison.friedman.kendall_w:.2f}" in tests
    assert all(f"{row} {rank:.2f}" in tests for row, rank in comparison.friedman.mean_ranks.items())
    assert variance(comparison.variance) in tests
    assert "No rank correlation for FID" in tests
    assert "| ddpm | McNemar by patient |" in tests


def test_profile_and_hardware_are_on_the_page(site_pages):
    """They stand with the source and the image size; a phantom board says so before its table."""
    page = site_pages["cxr_pneumonia.md"]
    about = section(page, "About this board")
    assert "Profile **demo**, source phantom.chest, 32 pixels" in about
    assert "Run on cpu 2 cores, gpu –, cpu, bfloat16 (3 rows)" in about
    assert page.index("Phantom results.") < page.index("### Leaderboard")


def test_commands_name_task_profile_source_and_choices(boards):
    """The command has the choices in the board's name; real data need a folder."""
    demo = boards[0]
    chosen = replace(demo, name=f"{BOARD}-mix.unit=deficit-weights=imagenet")
    page = pages([chosen])["cxr_pneumonia.md"]
    assert (
        "python -m benchmark run --task cxr_pneumonia --profile demo --source phantom.chest "
        "--scenario mix.unit=deficit --weights imagenet --generators ddpm "
    ) in page
    real = [replace(b, manifest=b.manifest.model_copy(update={"data_kind": "real"})) for b in demo.bundles]
    assert "--root PATH" in pages([replace(demo, bundles=real)])["cxr_pneumonia.md"]


def test_json_has_every_board_and_every_hash(boards, site_pages):
    """The JSON has each board's figures and the hashes of the files in and beside each bundle."""
    record = json.loads(site_pages["cxr_pneumonia.json"], parse_constant=lambda name: pytest.fail(name))
    assert set(record["boards"]) == {"cxr_pneumonia-demo", "cxr_pneumonia-lite"}
    demo = record["boards"][BOARD]
    assert set(demo["rows"]) == {"ddpm", "duplicate_real", "real_only"}
    assert demo["standings"]["ddpm"]["status"] == "verified"
    assert set(demo["standings"]["ddpm"]["sha256"]) == {"bundle.json", "verified.json", "verified.json.sig"}
    assert set(demo["standings"]["real_only"]["sha256"]) == {"bundle.json", "bundle.json.sig"}
    assert demo["standings"]["real_only"]["sha256"] == dict(boards[0].hashes["real_only"])


def test_the_index_counts_rows_and_verified_ones(site_pages):
    """A board's line has its title, verdict, images, rows, verified rows and links."""
    lines = [line for line in site_pages["README.md"].splitlines() if line.startswith("| Pneumonia")]
    assert [line.split(" | ")[2:5] for line in lines] == [["phantom", "3", "1"], ["phantom", "3", "0"]]
    assert "(cxr_pneumonia.md#cxr_pneumonia-lite)" in lines[1]


def test_hostile_texts_are_shown_not_obeyed(boards):
    """HTML, headings, table bars, links, backticks and shell code of a bundle remain text."""
    card = {"question": HOSTILE, "source": HOSTILE, "citation": HOSTILE, "device": HOSTILE}
    board = boards[0]
    bad = [replace(b, manifest=b.manifest.model_copy(update=card)) for b in board.bundles]
    odd = {name: Standing("self-reported", "unsigned", "", HOSTILE) for name in board.standings}
    page = pages([replace(board, bundles=bad, standings=odd)])["cxr_pneumonia.md"]
    commands = section(page, "Reproduction")
    assert "<script" not in page.replace(commands, "")
    assert "[c](d)" not in page.replace(commands, "")
    assert not re.search(r"^#+ head", page, re.MULTILINE)
    assert commands.count("`") == 6  # only those of the fence
    assert len(commands.strip().splitlines()) == 4
    table = section(page, "Standing of the rows")
    assert {len(re.findall(r"(?<!\\)\|", li)) for li in table.splitlines() if li[:1] == "|"} == {8}


def test_submissions_are_listed(boards, site_pages):
    """The page lists the type and card of submissions; without any there is no such section."""
    assert "Submissions" not in site_pages["cxr_pneumonia.md"]
    card = SubmissionCard(
        name="ddpm", title="Mine | yours", authors=("A. One", "B. Two"), code="https://example.org/c",
        license="MIT", training_data="the task's", pretraining_data="none", attempts=1,
        test_access="none", hardware="1 hour",
    )  # fmt: skip
    rows = [
        replace(b, manifest=b.manifest.model_copy(update={"submission_type": "samples", "submission": card}))
        if b.manifest.row.name == "ddpm"
        else b
        for b in boards[0].bundles
    ]
    page = pages([replace(boards[0], bundles=rows)])["cxr_pneumonia.md"]
    assert "| samples |" in section(page, "Standing of the rows")
    line = (
        "| **ddpm** | Mine \\| yours | A. One, B. Two | – | https://example.org/c | MIT | the task's | none |"
    )
    assert line in section(page, "Submissions")


def test_a_question_cannot_be_a_heading(boards):
    """A text that begins with a number sign is shown unchanged."""
    bad = [replace(b, manifest=b.manifest.model_copy(update={"question": "# x"})) for b in boards[0].bundles]
    assert "\n\\# x\n" in pages([replace(boards[0], bundles=bad)])["cxr_pneumonia.md"]
