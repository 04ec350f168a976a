"""Several fits of a generator on the pages of a leaderboard."""

from benchmark.bundles.io import read_bundles
from benchmark.comparison.compare import compare
from benchmark.reporting.leaderboards.board import Board
from benchmark.reporting.leaderboards.json_record import board_record
from benchmark.reporting.leaderboards.publish import write_board
from benchmark.reporting.leaderboards.row_details import details
from benchmark.reporting.leaderboards.sentences import fits
from support.example_boards import altered
from support.make_bundles import make_bundles


def test_pages_state_fits_and_their_share(tmp_path):
    """A page states the fits' number, values and share of the variance, and the measures of each."""
    rows = ("real_only", "ddpm", "stylegan")
    folder = make_bundles(tmp_path / "b", rows, (20,) * 5, None, seeds=(0, 1), fits=(0, 1))
    measure = {"value": 3.5, "floor": 2.0, "n": 60, "direction": "minimize"}
    measure |= {"by_fit": {"0": 3.0, "1": 4.0}, "fit_range": [3.0, 4.0]}
    gate = {"fit": 1, "by_fit": {"0": 0.01, "1": 0.012}}
    bundles = [
        altered(b, measures={"fid_phantom_cxr_v1": measure}, memorization=gate)
        if b.manifest.row.name == "stylegan"
        else b
        for b in read_bundles(folder)
    ]
    comparison = compare((b.manifest.record(), b.predictions) for b in bundles)
    board = Board(bundles, comparison)
    assert board.trainings == "2 trainings (1 classifier, 2 seeds) with each of 2 fits of a generator"
    sentences = fits(board)
    assert sorted(s.partition(":")[0] for s in sentences) == ["ddpm", "stylegan"]
    assert all("patients cause" in s and "fits" in s for s in sentences)
    gan = next(row for row in board.rows if row.name == "stylegan")
    entries = dict(next(g.entries for g in details(board, gan) if g.title == "Fits"))
    assert entries["FID (phantom_cxr_v1)"] == "3.00 (seed 0) and 4.00 (seed 1); from 3.00 to 4.00"
    assert entries["Copies"] == "1.0 % (seed 0) and 1.2 % (seed 1); the gate is that of seed 1"
    assert board_record(board)["rows"]["ddpm"]["fit_seeds"] == [0, 1]
    written = write_board(Board(bundles, comparison), tmp_path / "out")
    for kind in ("md", "html"):
        page = written[kind].read_text()
        assert "intervals over patients, trainings and fits" in page
        assert "of the variance of its mean" in page
