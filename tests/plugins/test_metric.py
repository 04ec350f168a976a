"""The contract of a metric is checked before anything is computed."""

import numpy as np
import pytest

from benchmark.errors import MetricError, TaskError
from benchmark.plugins.metric import Side, check_metric
from benchmark.plugins.registry import available, find

GOOD = """
version = "1"
card = {"title": "Mine"}
Params = object
class Metric:
    needs = {"features"}
    direction = "minimize"
    sides = "matched"
    def measure(self, real, fake): ...
"""


def test_builtin_metrics_are_the_files_of_the_folder():
    """Files are metrics; the extractor and the memorization gate, which lie in folders, are not."""
    expected = {"class_distances", "fid", "kid", "label_prevalence", "ms_ssim", "psnr", "sifid", "ssim"}
    expected |= {"laterality_adherence", "lesion_appearance", "lesion_coverage", "lesion_overlap"}
    expected |= {"severity_adherence"}
    assert set(available("metrics")) == expected


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("Params = object", "", "Params: is missing"),
        ("class Metric", "class Other", "Metric: is missing"),
        ('{"title": "Mine"}', "{}", "card: lacks a title"),
        ("def measure", "def score", "Metric: lacks measure"),
        ('{"features"}', '"features"', r"Metric\.needs: is 'features'"),
        ('{"features"}', "set()", r"Metric\.needs: is set\(\)"),
        (
            '{"features"}',
            '{"mask"}',
            r"Metric\.needs: has 'mask'\n +Choose of: feature_maps, features",
        ),
        ('"minimize"', '"lower"', r"Metric\.direction: has 'lower'\n +Choose of: minimize, maximize"),
        ('"matched"', '"both"', r"Metric\.sides: has 'both'\n +Choose of: matched, all"),
    ],
)
def test_broken_contract_is_named(tmp_path, old, new, message):
    """A missing or wrong part gives one line with the file, the field and what is on offer."""
    path = tmp_path / "mine.py"
    path.write_text(GOOD)
    plugin = find("metrics", [str(path)])[0]
    assert check_metric(plugin.load(), plugin).__name__ == "Metric"
    broken = tmp_path / "broken.py"
    broken.write_text(GOOD.replace(old, new))
    plugin = find("metrics", [str(broken)])[0]
    with pytest.raises(TaskError, match=message) as caught:
        check_metric(plugin.load(), plugin)
    assert "broken.py" in caught.value.where


def test_side_gives_the_declared_inputs_alone():
    """A declared input is there; another one is an error that names it and the remedy."""
    side = Side(np.array([0, 1]), ("a", "b"), {"prompts": np.array(["x", "y"])})
    assert len(side) == 2
    assert side.prompts.tolist() == ["x", "y"]
    with pytest.raises(MetricError, match=r"Side\.masks: .*\n +Add 'masks' to its needs"):
        side.masks  # noqa: B018
