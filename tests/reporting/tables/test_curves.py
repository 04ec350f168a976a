"""The table after Schaudt et al. 2023, Table 5."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmark.bundles.io import read_bundle
from benchmark.reporting.tables import curves
from benchmark.reporting.tables.record import Column, LeftOut, shown
from support.measured_rows import CLASSES, run_with
from support.samples import ROOT

RESULTS = ROOT / "leaderboards" / "results"
BOARDS = sorted(path.parent for path in RESULTS.glob("*/ddpm"))

JOINT = {
    "fit": 0, "step": [10, 20, 30],
    "figures": {
        "val_fid_x": [5.0, 4.0, 6.0],
        **{f"preview_fid/{c}": [9.0 + k, 4.0 + k, 7.0] for k, c in enumerate(CLASSES)},
        **{f"preview_ms_ssim/{c}": [0.3, 0.4, 0.5] for c in CLASSES},
    },
}  # fmt: skip


def of_class(name: str, values: list[float | None], **more: int) -> dict:
    return {"fit": 1, "of_class": name, "step": [5, 6], "figures": {f"preview_fid/{name}": values}, **more}


def test_best_preview_of_each_class():
    """The smallest FID stands beside the MS-SSIM of the same preview; the mean needs every class."""
    separate = [of_class("mass", [3.0, None]), of_class("nodule", [8.0, 2.5])]
    (table,) = curves.tables(run_with(joint={"fit_curves": [JOINT]}, split={"fit_curves": separate}))
    own = [shown(table.cell(("joint",), c), "number") for c in table.columns]
    assert own == ["4.00 (0.40)", "5.00 (0.40)", "6.00 (0.40)", "7.00 (0.40)", "5.50"]
    assert shown(table.cell(("split",), Column(("mass",))), "number") == "3.00"
    assert shown(table.cell(("split",), Column(("Mean",))), "number") == "–"


def test_first_fit_of_the_first_fold_stands_for_a_row():
    """Another fit, another fold and a second source image of the class do not count."""
    others = [of_class("mass", [1.0, 1.0], fit=2), of_class("mass", [1.0, 1.0], fold=1),
              of_class("mass", [1.0, 1.0], number=1)]  # fmt: skip
    run = run_with(gan={"fit_curves": [*others, of_class("mass", [3.0, 4.0])]})
    assert curves.points(run, "gan", "preview_fid/") == {"mass": [(5, 3.0), (6, 4.0)]}


def test_runs_without_previews_have_a_reason():
    """A row without curves, as in older bundles, gives no table."""
    assert isinstance(curves.tables(run_with(gan={}))[0], LeftOut)


@pytest.mark.parametrize("board", BOARDS, ids=lambda path: path.name)
def test_fid_falls_along_the_training_of_ddpm(board: Path) -> None:
    """On the shipped boards the FID of the previews of each fit ends well below its beginning."""
    for fit in read_bundle(board / "ddpm").manifest.fit_curves:
        (fid,) = (values for name, values in fit.figures.items() if name.startswith("val_fid"))
        assert fid[-1] == min(fid)
        assert len(fid) < 4 or fid[-1] < 0.7 * fid[0]


def test_ddpm_has_a_fifth_of_the_fid_of_noise() -> None:
    """On the shipped board of cxr_pneumonia."""
    fids = [
        read_bundle(RESULTS / "cxr_pneumonia-demo" / row).manifest.measures["fid_phantom_cxr_v1"].value
        for row in ("ddpm", "noise")
    ]
    assert fids[0] < fids[1] / 5
