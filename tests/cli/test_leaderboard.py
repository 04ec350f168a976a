"""The verb ``leaderboard`` over all boards: make, check and add."""

from __future__ import annotations

import json
import shutil
import zipfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from benchmark.bundles.io import read_bundle, write_bundle
from benchmark.cli.parser import main
from benchmark.comparison.reported import results
from benchmark.reporting.leaderboards.build import build_pages, stale_pages
from support.board_folders import BOARD, ROWS, TINY, edit, make_board_folder, verify
from support.make_bundles import make_bundles

PAGES = ["README.md", "cxr_pneumonia.json", "cxr_pneumonia.md", "index.html"]


@pytest.fixture(autouse=True)
def _unverified(monkeypatch):
    """The boards of these tests are invented: no check of ``verify`` could pass."""
    monkeypatch.setattr("benchmark.cli.leaderboards.require_no_fault", lambda folder, request, cache: None)


@pytest.fixture(scope="module")
def published(tmp_path_factory) -> Path:
    """A folder of leaderboards with one board of three rows, one of them verified, and its pages."""
    root = tmp_path_factory.mktemp("published")
    verify(make_board_folder(root) / "ddpm")
    assert main(["leaderboard", "--root", str(root)]) == 0
    return root


@pytest.fixture
def root(published, tmp_path) -> Path:
    """A copy that a test may change."""
    return Path(shutil.copytree(published, tmp_path / "leaderboards"))


@pytest.fixture
def bundles(tmp_path) -> Path:
    """The bundles of a run, with one row that the board does not have."""
    return make_bundles(tmp_path / "run" / "bundles", rows=("oracle", *ROWS), **TINY)


def listing(folder: Path) -> dict[str, bytes]:
    """Return every file below a folder with its content."""
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def check(root: Path) -> int:
    """Return the exit status of ``--check``, which must change no file."""
    before = listing(root)
    status = main(["leaderboard", "--root", str(root), "--check", "--workers", "1"])
    assert listing(root) == before
    return status


def test_pages_are_fresh_after_writing(root, capsys):
    """``--check`` passes without output, and writing the pages again changes nothing."""
    assert sorted(p.name for p in root.iterdir() if p.is_file()) == sorted([*PAGES, "maintainers"])
    before = listing(root)
    assert check(root) == 0
    assert capsys.readouterr().out == ""
    assert main(["leaderboard", "--root", str(root)]) == 0
    assert listing(root) == before


def test_stale_missing_and_surplus_pages_are_named(root, capsys):
    """Each gives a line, followed by the remedy; hand-written and hidden files are not pages."""
    with open(root / "README.md", "a") as handle:
        handle.write(" ")
    (root / "cxr_pneumonia.json").unlink()
    (root / "lus_limited.md").write_text("")
    (root / "allowed_signers").write_text("")
    (root / ".gitattributes").write_text("")
    assert check(root) == 1
    assert capsys.readouterr().out.splitlines() == [
        f"{root / 'README.md'}: stale",
        f"{root / 'cxr_pneumonia.json'}: missing",
        f"{root / 'lus_limited.md'}: surplus",
        f"Make the pages again: synththorax leaderboard --root {root}",
    ]


def test_surplus_files_are_named_and_not_removed(root, capsys):
    """Writing the pages removes no file."""
    (root / "lus_limited.md").write_text("mine")
    assert main(["leaderboard", "--root", str(root)]) == 0
    assert f"no leaderboard has the page {root / 'lus_limited.md'}: remove it" in capsys.readouterr().out
    assert (root / "lus_limited.md").read_text() == "mine"


def changed(path: Path, at: int, by: int) -> None:
    """Change one byte of a file."""
    content = bytearray(path.read_bytes())
    content[at % len(content)] ^= by
    path.write_bytes(bytes(content))


@pytest.fixture(scope="module")
def faults(published) -> Callable[[], list[str]]:
    """A function that returns the faults of the current pages, for the original bundles."""
    contents = build_pages(published)
    return lambda: stale_pages(published, contents)


@settings(max_examples=150, deadline=None)
@given(name=st.sampled_from(PAGES), at=st.integers(0, 10**7), by=st.integers(1, 255))
def test_any_change_of_a_page_is_detected(published, faults, name, at, by):
    """Changing any byte of any page is detected."""
    path = published / name
    before = path.read_bytes()
    try:
        changed(path, at, by)
        assert faults() == [f"{path}: stale"]
    finally:
        path.write_bytes(before)


FILES = ("bundle.json", "predictions.parquet", "samples/grid.png", "samples/images.parquet", "verified.json",
         "verified.json.sig")  # fmt: skip


def one_byte(published: Path, name: str, at: int, by: int) -> None:
    """Change one byte of a row's file; the bundle must be refused, or the pages be stale."""
    path = published / "results" / BOARD / "ddpm" / name
    before = path.read_bytes()
    try:
        changed(path, at, by)
        assert check(published) == 1
    finally:
        path.write_bytes(before)


ANY = {"name": st.sampled_from(FILES), "at": st.integers(0, 10**7), "by": st.integers(1, 255)}


@settings(max_examples=8, deadline=None, phases=(Phase.generate,))
@given(**ANY)
def test_any_change_of_a_bundle_is_detected(published, name, at, by):
    """Changing any byte of any file of a row is detected."""
    one_byte(published, name, at, by)


@pytest.mark.slow
@settings(max_examples=400, deadline=None, phases=(Phase.generate,))
@given(**ANY)
def test_any_of_many_changes_of_a_bundle_is_detected(published, name, at, by):
    """The same holds for 400 changes."""
    one_byte(published, name, at, by)


@pytest.mark.parametrize("name", ["ddpm", "ddpm/predictions.parquet", "ddpm/verified.json"])
def test_a_removed_row_or_file_is_detected(root, name):
    """A removed row makes a page stale; a removed file makes the bundle invalid or loses a standing."""
    path = root / "results" / BOARD / name
    shutil.rmtree(path) if path.is_dir() else path.unlink()
    assert check(root) == 1


def test_an_invalid_bundle_fails_the_check_by_name(root, capsys):
    """The error names the file and the field, without a traceback."""
    edit(root / "results" / BOARD / "ddpm", seeds=[0, 0])
    assert check(root) == 1
    assert "seeds holds a value twice" in capsys.readouterr().err


@pytest.mark.parametrize("change", [lambda v: v + 1e-6, lambda v: None])
def test_results_must_match_the_predictions(root, bundles, change, capsys):
    """A raised or omitted value is refused by name, on the board and before it is added."""
    where = "results.test.250.accuracy"
    for folder in (root / "results" / BOARD / "ddpm", bundles / "oracle"):
        faults = json.loads((folder / "bundle.json").read_text())["results"]
        accuracy = faults["test"]["250"].pop("accuracy")
        if (mean := change(accuracy["mean"])) is not None:
            faults["test"]["250"]["accuracy"] = {**accuracy, "mean": mean}
        edit(folder, results=faults)
    assert check(root) == 1
    assert f"bundle 'ddpm': {where}" in capsys.readouterr().err
    assert main(["leaderboard", "--root", str(root), "--add", str(bundles / "oracle")]) == 1
    assert f"bundle 'oracle': {where}" in capsys.readouterr().err


def test_a_run_is_added_whole(tmp_path, bundles):
    """All its rows join the board of its task and profile, and the pages are written."""
    root = tmp_path / "leaderboards"
    assert main(["leaderboard", "--root", str(root), "--add", str(bundles.parent)]) == 0
    assert listing(root / "results" / BOARD) == listing(bundles)
    assert check(root) == 0


def test_one_row_is_added(root, bundles):
    """A bundle joins the board with its protocol and data, whatever that board's name."""
    (root / "results" / BOARD).rename(root / "results" / f"{BOARD}-mix.unit=class")
    assert main(["leaderboard", "--root", str(root), "--add", str(bundles / "oracle")]) == 0
    assert (root / "results" / f"{BOARD}-mix.unit=class" / "oracle" / "bundle.json").is_file()
    assert "**oracle**" in (root / "cxr_pneumonia.md").read_text()
    assert check(root) == 0


def test_a_zip_is_added(root, bundles, tmp_path):
    """A zip is added as its folder would be."""
    archive = tmp_path / "oracle.zip"
    with zipfile.ZipFile(archive, "w") as handle:
        for name, content in listing(bundles / "oracle").items():
            handle.writestr(name, content)
    assert main(["leaderboard", "--root", str(root), "--add", str(archive)]) == 0
    assert listing(root / "results" / BOARD / "oracle") == listing(bundles / "oracle")


def test_a_row_is_replaced_only_on_request(root, bundles, capsys):
    """Without ``--replace`` no file changes; with it the old row is removed, verification included."""
    before, new = listing(root), bundles / "ddpm"
    edit(new, hardware={"cpu": "64 cores"})
    assert main(["leaderboard", "--root", str(root), "--add", str(new)]) == 1
    assert "already exists" in capsys.readouterr().err
    assert listing(root) == before
    assert main(["leaderboard", "--root", str(root), "--add", str(new), "--replace"]) == 0
    assert listing(root / "results" / BOARD / "ddpm") == listing(new)
    assert check(root) == 0


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"protocol_hash": "0" * 64}, "row 'oracle': protocol_hash"),
        ({"data": {"fingerprint": "0" * 60}}, "row 'oracle': data.fingerprint"),
        ({"image_size": 64}, "image_size"),
        ({"seeds": [0, 2]}, "seed"),
    ],
)
def test_a_row_of_another_protocol_is_not_added(root, bundles, fields, message, capsys):
    """The error names the field, and no file is written, not even for a valid row of the run."""
    before = listing(root)
    edit(bundles / "oracle", **fields)
    both = [str(bundles / "oracle"), str(make_noise(bundles.parent / "other"))]
    assert main(["leaderboard", "--root", str(root), "--board", BOARD, "--add", *both]) == 1
    assert message in capsys.readouterr().err
    assert listing(root) == before


def make_noise(folder: Path) -> Path:
    """Write a row that fits the board."""
    return make_bundles(folder, rows=("noise",), **TINY) / "noise"


def test_another_protocol_gets_a_new_board(root, bundles):
    """The new board is named by task, profile and the author's choices."""
    edit(bundles / "oracle", protocol_hash="0" * 64)
    new = f"{BOARD}-mix.unit=deficit"
    options = ["--board", new, "--add", str(bundles / "oracle"), "--workers", "1"]
    assert main(["leaderboard", "--root", str(root), *options]) == 0
    assert (root / "results" / new / "oracle").is_dir()
    assert check(root) == 0


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda t: t[t["image_id"] != "test-00003"], "lacks a prediction of 'test, fold 0, test-00003'"),
        (
            lambda t: t.replace({"image_id": {"test-00003": "x"}}),
            "lacks a prediction of 'test, fold 0, test-00003'",
        ),
        (lambda t: t.assign(patient_id="p"), "patient_id: of 'test, fold 0, test-00000' is p"),
        (lambda t: t.assign(label=(t["label"] + 1) % 5), "label: of 'test, fold 0, test-00000' is"),
    ],
)
def test_other_test_images_are_not_added(root, bundles, tmp_path, change, message, capsys):
    """A row tested on fewer, other or relabeled images is refused, and the error names the image."""
    bundle = read_bundle(bundles / "oracle")
    record = bundle.manifest.record()
    table = change(bundle.predictions)
    record["data"]["splits"]["test"]["images"] = table["image_id"].nunique()
    record["results"] = results(record, table)
    other = tmp_path / "other" / "oracle"
    write_bundle(other, record, table, bundle.grid, previews=bundle.previews)
    before = listing(root)
    assert main(["leaderboard", "--root", str(root), "--add", str(other)]) == 1
    assert message in capsys.readouterr().err
    assert listing(root) == before


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--add", "/not/there"], "/not/there: holds no bundle"),
        (["--check", "--add", "x"], "--check and --add exclude each other"),
        (["--bundles", "x", "--check"], "--check and --bundles exclude each other"),
        (["--bundles", "x", "--add", "y"], "--bundles and --add exclude each other"),
        (["--check", "--sign", "x"], "--check and --sign exclude each other"),
        (["--bundles", "x", "--verify"], "--bundles and --verify exclude each other"),
        (["--check", "maybe"], "should be a valid boolean"),
        (["--board", "../../etc", "--add", "OTHER"], "board ../../etc"),
        (["--board", "lus_limited-demo", "--add", "OTHER"], "holds rows of task 'cxr_pneumonia'"),
        (["--board", f"{BOARD}-x", "--add", "RUN"], f"has the protocol and the data of board '{BOARD}'"),
        (["--add", "RUN", "RUN"], "is given twice"),
    ],
)
def test_wrong_commands_are_refused_and_write_nothing(
    root, bundles, options, message, capsys, tmp_path_factory
):
    """The error is one line, and the folder and its surroundings are unchanged."""
    before = listing(root.parent)
    other = shutil.copytree(bundles / "oracle", tmp_path_factory.mktemp("other") / "oracle")
    edit(other, protocol_hash="0" * 64)
    folders = {"RUN": str(bundles.parent), "OTHER": str(other)}
    arguments = [folders.get(o, o) for o in options]
    assert main(["leaderboard", "--root", str(root), *arguments]) in (1, 2)
    assert message in capsys.readouterr().err
    assert listing(root.parent) == before


def test_a_full_disk_leaves_the_board_as_it_was(root, bundles, monkeypatch, capsys):
    """If the last file cannot be written, the board gets no row of the run."""
    before, copied = listing(root), shutil.copyfile

    def full(source: Path, target: Path) -> None:
        if "oracle" in str(source) and source.name == "predictions.parquet":
            raise OSError(28, "No space left on device")
        copied(source, target)

    monkeypatch.setattr(shutil, "copyfile", full)
    assert main(["leaderboard", "--root", str(root), "--replace", "--add", str(bundles)]) == 1
    assert "No space left on device" in capsys.readouterr().err
    assert listing(root) == before


def test_pages_of_one_run(bundles):
    """``--bundles`` writes leaderboard.md, .json and .html beside the bundles."""
    assert main(["leaderboard", "--bundles", str(bundles)]) == 0
    files = sorted(p.name for p in bundles.parent.iterdir() if p.is_file())
    assert files == ["leaderboard.html", "leaderboard.json", "leaderboard.md"]
    record = json.loads((bundles.parent / "leaderboard.json").read_text())
    assert set(record["rows"]) == {"oracle", *ROWS}


def test_an_unchanged_board_is_not_compared_again(root, bundles, monkeypatch, capsys):
    """The second call takes it from the cache; with a changed row, or other code, it is compared again."""
    assert check(root) == 0
    assert "unchanged" in capsys.readouterr().err
    monkeypatch.setattr("benchmark.reporting.leaderboards.cache.code_hash", lambda: "other")
    assert check(root) == 0
    assert "compared" in capsys.readouterr().err
    edit(root / "results" / BOARD / "ddpm", hardware={"cpu": "64 cores"})
    assert check(root) == 1
    assert "compared" in capsys.readouterr().err


def test_a_damaged_entry_of_the_cache_counts_for_nothing(root, tmp_path, monkeypatch, capsys):
    """An edited comparison is computed again, so the pages are the same."""
    monkeypatch.setenv("SYNTHTHORAX_CACHE", str(tmp_path / "cache"))
    assert check(root) == 0
    (entry,) = (tmp_path / "cache" / "boards").iterdir()
    text = entry.read_text()
    assert "0.05" in text
    entry.write_text(text.replace("0.05", "0.06", 1))
    capsys.readouterr()
    assert check(root) == 0
    assert "compared" in capsys.readouterr().err


@pytest.mark.parametrize("where", ["pages", "commit"])
def test_an_interrupted_addition_changes_nothing(root, bundles, monkeypatch, where):
    """Stopped while pages are made or files are written, neither rows nor pages change."""
    before = listing(root)

    def stop(*arguments: object, **options: object) -> None:
        raise KeyboardInterrupt

    target = {"pages": "reporting.leaderboards.build.pages", "commit": "utils.files.uninterrupted"}[where]
    monkeypatch.setattr(f"benchmark.{target}", stop)
    with suppress(KeyboardInterrupt):
        assert main(["leaderboard", "--root", str(root), "--add", str(bundles / "oracle")]) != 0
    assert listing(root) == before


def test_pictures_are_compared_by_their_pixels(root, capsys):
    """A missing or other picture is stale; a row's old picture is removed when pages are made."""
    picture = next((root / "images").iterdir())
    content = picture.read_bytes()
    picture.write_bytes(content[:-40])
    (root / "images" / ("0" * 20 + ".webp")).write_bytes(content)
    assert check(root) == 1
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == f"{picture}: stale"
    assert lines[1].endswith("00000.webp: surplus")
    assert main(["leaderboard", "--root", str(root)]) == 0
    assert picture.read_bytes() == content
    assert check(root) == 0


def test_compare_writes_the_comparison_as_json(bundles, tmp_path):
    """The verb ``compare`` writes the record of every interval, test and rank."""
    assert main(["compare", "--bundles", str(bundles), "--out", str(tmp_path)]) == 0
    record = json.loads((tmp_path / "comparison.json").read_text())
    assert all(set(rows) == {"oracle", *ROWS} for rows in record["figures"]["test"].values())
