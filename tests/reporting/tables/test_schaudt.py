"""Schaudt et al. 2023: Table 8 is computed from Table 7."""

from __future__ import annotations

import pytest

from benchmark.reporting.tables.schaudt import average_changes

CLASSIFIERS = ("resnet50", "efficientnet_b0", "efficientnet_b1", "convnext_t", "convnext_s")
BASELINE = "78.25 78.71 77.60 78.25 78.53"
# Table 7: bracket, generator, mean accuracy in percent by classifier
ACCURACIES = """
100 dreambooth 75.94 79.54 79.35 78.06 79.26
100 finetuning 76.22 77.05 77.33 77.42 80.37
100 gan 77.14 77.97 78.43 78.99 76.96
100 lora 74.84 76.13 77.60 78.43 76.77
100 unconditional 75.67 75.67 78.53 77.88 79.45
250 dreambooth 78.25 78.71 79.91 79.54 78.62
250 finetuning 77.97 76.96 78.06 76.68 79.54
250 gan 76.31 74.65 76.87 76.77 78.16
250 lora 73.82 76.31 76.87 78.53 79.08
250 unconditional 75.94 76.22 78.89 79.17 81.11
500 dreambooth 76.77 79.54 78.99 78.43 78.34
500 finetuning 75.02 75.02 77.51 77.42 77.05
500 gan 76.41 74.29 76.77 77.60 78.80
500 lora 73.73 76.59 78.16 78.34 77.79
500 unconditional 78.16 77.97 78.53 79.82 80.28
750 dreambooth 78.25 77.05 79.72 79.17 78.89
750 finetuning 76.22 77.51 77.51 76.87 77.79
750 gan 75.58 74.75 75.58 79.45 77.70
750 lora 74.65 75.94 76.68 77.60 78.06
750 unconditional 78.25 77.24 78.16 78.34 78.53
1000 dreambooth 79.08 80.46 79.82 78.71 79.26
1000 finetuning 78.06 75.39 76.13 76.96 78.71
1000 gan 76.59 73.73 75.02 79.17 78.06
1000 lora 76.31 76.41 77.51 77.60 78.06
1000 unconditional 78.71 75.85 76.41 78.34 78.34
5000 gan 73.64 75.21 76.13 76.13 78.80
10000 gan 74.47 76.50 75.30 78.71 79.72
"""
# Table 8: generator, average change in points by classifier, overall; the last line has no overall
CHANGES = """
dreambooth -0.59 0.35 1.96 0.53 0.34 0.52
finetuning -1.55 -2.32 -0.29 -1.18 0.16 -1.04
gan -2.52 -3.41 -1.3 -0.13 -0.22 -1.51
lora -3.58 -2.43 -0.24 -0.15 -0.58 -1.40
unconditional -0.90 -2.12 0.50 0.46 1.01 -0.21
mean -1.88 -2.09 0.02 -0.10 0.12
"""
ROUNDING = 0.006  # points; of the printed digits of both tables; the required tolerance is 0.02


def by_classifier(numbers: list[str]) -> dict[str, float]:
    """Return figures in the order of ``CLASSIFIERS``."""
    return dict(zip(CLASSIFIERS, map(float, numbers), strict=True))


@pytest.fixture(scope="module")
def changes():
    """Return the changes computed from the printed accuracies."""
    values = {}
    for bracket, generator, *accuracies in map(str.split, ACCURACIES.strip().splitlines()):
        values[generator, int(bracket)] = by_classifier(accuracies)
    assert len(values) == 27  # five generators at five brackets, and the GAN at two more
    return average_changes(by_classifier(BASELINE.split()), values)


@pytest.mark.parametrize("line", CHANGES.strip().splitlines()[:5])
def test_changes_of_a_generator_are_those_of_table_8(changes, line):
    """Every printed cell and the Overall column agree within rounding, 0.006; the required tolerance is 0.02
    points."""
    generator, *printed, overall = line.split()
    for classifier, change in by_classifier(printed).items():
        assert changes.cells[generator, classifier] == pytest.approx(change, abs=ROUNDING)
    assert changes.overall[generator] == pytest.approx(float(overall), abs=ROUNDING)


def test_means_over_the_generators_are_those_of_table_8(changes):
    """The printed means weight each line of Table 7 equally, so the GAN, with seven brackets, has the largest
    weight."""
    name, *printed = CHANGES.strip().splitlines()[5].split()
    assert name == "mean"
    for classifier, change in by_classifier(printed).items():
        assert changes.mean[classifier] == pytest.approx(change, abs=ROUNDING)


def test_a_mean_that_weighs_generators_alike_is_not_the_papers(changes):
    """Equal weights of generators would give -1.83 for ResNet50; the paper prints -1.88."""
    generators = {g for g, _ in changes.cells}
    alike = sum(changes.cells[g, "resnet50"] for g in generators) / len(generators)
    assert alike == pytest.approx(-1.83, abs=0.005)
    assert changes.mean["resnet50"] == pytest.approx(-1.88, abs=0.005)


def test_two_generators_by_hand():
    """The baseline has 10 and 20; one has 12 24 and 14 16 at two brackets; two has 9 23 at one bracket."""
    values = {
        ("one", 1): {"a": 12.0, "b": 24.0},
        ("one", 2): {"a": 14.0, "b": 16.0},
        ("two", 1): {"a": 9.0, "b": 23.0},
    }
    result = average_changes({"a": 10.0, "b": 20.0}, values)
    assert result.cells == {("one", "a"): 3, ("one", "b"): 0, ("two", "a"): -1, ("two", "b"): 3}
    assert result.overall == {"one": 1.5, "two": 1}
    assert result.mean == {"a": pytest.approx(5 / 3), "b": 1}
