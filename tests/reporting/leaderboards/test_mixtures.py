"""Sentences on rows and stages with different software or hardware, and their place on the pages."""

from dataclasses import replace

import pytest

from benchmark.bundles.io import read_bundle
from benchmark.bundles.schema import Provenance
from benchmark.comparison.compare import compare
from benchmark.reporting.leaderboards.board import Board
from benchmark.reporting.leaderboards.mixtures import mixtures
from support.make_bundles import make_bundles

ROWS = ("real_only", "duplicate_real", "oracle", "noise")


@pytest.fixture(scope="module")
def bundles(tmp_path_factory):
    folder = make_bundles(
        tmp_path_factory.mktemp("bundles"), rows=ROWS, test_counts=(20,) * 5, paper_counts=None
    )
    return [read_bundle(folder / name) for name in sorted(ROWS)]


def changed(manifest, **fields):
    return manifest.model_copy(update=fields)


def test_rows_of_one_machine_mix_nothing(bundles):
    """Rows with the same versions have no sentence; a property that only some rows name does not count."""
    manifests = [b.manifest for b in bundles]
    more = changed(manifests[0], hardware={**manifests[0].hardware, "memory": "24 GiB"})
    assert mixtures(manifests) == []
    assert mixtures([more, *manifests[1:]]) == []


def test_rows_that_differ_are_named(bundles):
    """Each value is followed by its rows; more than three are counted."""
    manifests = [b.manifest for b in bundles]
    other = changed(manifests[0], software={**manifests[0].software, "torch": "2.16.0"}, device="cuda")
    fifth = changed(manifests[1], row=manifests[1].row.model_copy(update={"name": "z"}))
    assert mixtures([other, *manifests[1:]]) == [
        "Rows mix torch: 2.16.0 (duplicate_real), 2.15.0 (noise, oracle and real_only).",
        "Rows mix device: cuda (duplicate_real), cpu (noise, oracle and real_only).",
    ]
    assert "2.15.0 (4 rows)" in mixtures([other, *manifests[1:], fifth])[0]


def test_stages_of_a_row_that_differ_are_named(bundles):
    """Rows with the same mixture share a sentence; a mixture that all rows have is none between rows."""
    mixed = Provenance(mixed={"torch": {"2.15.0": ("classify",), "2.16.0": ("data", "fit")}})
    rows = [
        changed(b.manifest, provenance=mixed, software={"torch": ["2.15.0", "2.16.0"]}) for b in bundles[:2]
    ]
    assert mixtures(rows) == [
        "Stages of duplicate_real and noise mix torch: 2.15.0 (classify), 2.16.0 (data and fit)."
    ]
    assert mixtures([*rows, bundles[2].manifest])[0] == (
        "Rows mix torch: 2.15.0 and 2.16.0 (duplicate_real and noise), 2.15.0 (oracle)."
    )


def test_unknown_software_is_stated(bundles):
    """Stored results without a record are named, with their rows."""
    old = Provenance(unrecorded=("classify", "fit"))
    assert mixtures([changed(bundles[0].manifest, provenance=old)]) == [
        "Software and hardware of classify and fit of duplicate_real are unknown: their stored results do "
        "not name them."
    ]


def test_the_board_has_the_sentences_among_its_notes(bundles):
    """A reader of the page sees that versions are mixed."""
    software = {**bundles[0].manifest.software, "torch": "2.16.0"}
    rows = [replace(bundles[0], manifest=changed(bundles[0].manifest, software=software)), *bundles[1:]]
    comparison = compare((b.manifest.record(), b.predictions) for b in rows)
    assert any(note.startswith("Rows mix torch: 2.16.0") for note in Board(rows, comparison).notes)


def test_a_generator_that_was_not_isolated_is_named(bundles):
    """Readers see whose code could read the test images; a sandboxed generator needs no sentence."""
    levels = ("process", "none", "bubblewrap", None)
    rows = [
        changed(bundle.manifest, provenance=Provenance(isolation=level))
        for bundle, level in zip(bundles, levels, strict=False)
    ]
    names = " and ".join(sorted(row.row.name for row in rows[:2]))
    assert mixtures(rows) == [
        f"The code of {names} ran without isolation: nothing kept it from the test images."
    ]
