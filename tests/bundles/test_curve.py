"""The learning curve in a bundle: reading and validation."""

from __future__ import annotations

import pandas as pd
import pytest

from benchmark.bundles.io import CURVE, read_bundle, write_bundle
from benchmark.errors import SubmissionError
from support import make_bundles

SHARES = (0.25, 0.5)
SETS = {"test": make_bundles.images_of("test", (12, 9))}
VARIANT = make_bundles.Variant(classes=("a", "b"), counts=(("test", (12, 9)),))


def manifest(name: str = "real_only", curve: tuple[float, ...] = SHARES) -> dict:
    return make_bundles.manifest(name, SETS, (100,), (0, 1), variant=VARIANT) | {"curve": list(curve)}


def predictions() -> pd.DataFrame:
    return make_bundles.predictions("real_only", SETS, (100,), (0, 1), VARIANT)


def curve() -> pd.DataFrame:
    parts = [predictions().assign(share=share, images=int(100 * share)) for share in reversed(SHARES)]
    return pd.concat(parts, ignore_index=True)


def test_a_curve_comes_back_in_order(tmp_path):
    """The curve is sorted by share, then like the predictions; a row without a curve has none."""
    write_bundle(tmp_path / "real_only", manifest(), predictions(), None, curve())
    back = read_bundle(tmp_path / "real_only").curve
    assert back["share"].is_monotonic_increasing
    assert back.groupby("share")["images"].first().to_dict() == {0.25: 25, 0.5: 50}
    assert len(back) == 2 * len(predictions())
    write_bundle(tmp_path / "real_only", manifest(curve=()), predictions(), None)
    assert read_bundle(tmp_path / "real_only").curve is None
    assert not (tmp_path / "real_only" / CURVE).exists()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda t: t.drop(columns="share"), "share: is missing"),
        (lambda t: t.assign(images=0.5), "images: is missing, or does not hold numbers"),
        (lambda t: t.assign(images=0), "expected one number per training, at least 1"),
        (lambda t: t.assign(images=range(len(t))), "expected one number per training"),
        (lambda t: t.assign(share=0.25), r"has \[0.25\], expected \[0.25, 0.5\]"),
        (lambda t: t.assign(bracket=100), "split test and bracket 0"),
        (lambda t: t.assign(split="test_paper"), "split test and bracket 0"),
        (lambda t: t.assign(score_0=float("nan")), "score_0: row 0 has no value"),
        (lambda t: t.iloc[1:], "Every image needs one prediction of every run"),
        (lambda t: pd.concat([t, t.iloc[:1]]), "two predictions for"),
        (lambda t: t.assign(more=1), "more: missing or unknown column"),
    ],
)
def test_an_invalid_curve_is_refused(tmp_path, change, message):
    """A curve is validated like the predictions, on writing and on reading."""
    with pytest.raises(SubmissionError, match=message):
        write_bundle(tmp_path / "real_only", manifest(), predictions(), None, change(curve()))
    write_bundle(tmp_path / "real_only", manifest(), predictions(), None, curve())
    change(curve()).to_parquet(tmp_path / "real_only" / CURVE)
    make_bundles.update_hashes(tmp_path / "real_only")
    with pytest.raises(SubmissionError, match=message):
        read_bundle(tmp_path / "real_only")


def test_curve_and_manifest_must_agree(tmp_path):
    """A curve that the manifest does not list is refused, and so is a listed curve without data."""
    for shares, table in (((), curve()), (SHARES, None)):
        with pytest.raises(SubmissionError, match=r"curve\.parquet: is (missing|unexpected), according"):
            write_bundle(tmp_path / "real_only", manifest(curve=shares), predictions(), None, table)


def test_a_missing_file_is_named(tmp_path):
    """The error names the curve's file that the manifest lists and the folder lacks."""
    write_bundle(tmp_path / "real_only", manifest(), predictions(), None, curve())
    (tmp_path / "real_only" / CURVE).unlink()
    with pytest.raises(SubmissionError, match=r"curve\.parquet: is missing"):
        read_bundle(tmp_path / "real_only")
