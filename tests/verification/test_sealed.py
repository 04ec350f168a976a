"""The sealed test: other patients of the same population, drawn from a secret seed."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from benchmark.bundles.seasons import SALT_BYTES, Secret, open_season
from benchmark.cli.parser import main
from benchmark.errors import SubmissionError
from benchmark.planning.request import RunRequest
from benchmark.planning.resolve import make_plan
from benchmark.stages.classify import ClassifyConfig
from benchmark.verification.data import RecomputedData
from benchmark.verification.sealed import check_source, draw_sealed, sealed_nodes
from support.samples import TINY
from support.sealed_rows import ATTACK, sealed_plan, sealed_result


def secret(seed: int) -> Secret:
    return Secret(season="2027", seed=seed, salt="ab" * SALT_BYTES)


def test_the_sealed_test_is_as_large_and_shares_no_patient(data: RecomputedData):
    """It has the classes and counts of *test*, and neither its patients nor its images."""
    public = data.folds[0]
    sealed = draw_sealed(data.plan, secret(2**62 + 1), public)
    assert sealed.counts() == public.test.counts()
    assert not sealed.patients() & public.test.patients()
    known = {image.tobytes() for image in np.asarray(public.test.image)}
    assert not known & {image.tobytes() for image in np.asarray(sealed.image[:])}


def test_the_seed_of_the_public_data_is_refused(data: RecomputedData):
    """A season that drew it would test on the public patients."""
    with pytest.raises(SubmissionError, match="shares a patient"):
        draw_sealed(data.plan, secret(0), data.folds[0])


def test_only_phantoms_have_a_sealed_test(data: RecomputedData):
    """A real dataset has no further patients."""
    from dataclasses import replace

    with pytest.raises(SubmissionError, match="a fixed number of real ones"):
        check_source(replace(data.plan, source="covid_chestxray"))


def test_the_networks_of_the_row_and_of_real_only_are_kept():
    """Both are trained with the drawn seeds alone, and nothing else of the board is computed."""
    plan = make_plan(RunRequest(task=str(TINY), device="cpu", precision="float32"))
    nodes = sealed_nodes(plan, "ddpm", [1])
    trained = [n for n in nodes if isinstance(n.config, ClassifyConfig)]
    assert {(n.row, n.seed) for n in trained} == {("ddpm", 1), ("real_only", 1)}
    assert all(n.config.keep_network for n in trained)  # type: ignore[attr-defined]
    assert {n.row for n in nodes} == {"", "ddpm", "real_only"}


def test_a_secret_without_a_season_verifies_nothing(suite_row: Path, tmp_path: Path, capsys):
    """The check names the season; nothing is trained."""
    path = tmp_path / "secret" / "s.json"
    open_season(tmp_path / "boards", "2027", path)
    words = ["verify", str(suite_row), "--task", str(TINY), "--sealed", str(path)]
    assert main([*words, "--leaderboards", str(tmp_path / "elsewhere")]) == 0
    assert "is of no season" in capsys.readouterr().out


@pytest.mark.slow
def test_a_row_of_test_patients_does_not_hold_and_an_honest_one_does(tmp_path: Path):
    """A generator that draws the public test patients gains on *test* alone; an honest row is not marked.

    ``verify --deep`` repeats the fraud bit by bit, so nothing else marks it where its images escape the
    intake.
    """
    path = tmp_path / "secret" / "s.json"
    open_season(tmp_path / "boards", "2027", path)
    plan = sealed_plan(tmp_path)
    overfitted = sealed_result(plan, ATTACK.stem, path, tmp_path / "store")
    assert overfitted.holds is False
    assert overfitted.gain_test - overfitted.gain_sealed > 0.15
    assert overfitted.patients == 120
    assert sealed_result(plan, "traditional", path, tmp_path / "store").holds is True
