"""Forced choices and acceptable images, by hand and as published."""

from __future__ import annotations

import pytest

from benchmark.comparison.csv.readers import analyze, read_study
from benchmark.errors import SubmissionError


def write(folder, header, lines):
    path = folder / "readers.csv"
    path.write_text("\n".join([header, *lines]) + "\n")
    return path


def pair(reader: str, number: int, right: bool) -> list[str]:
    real, fake = ("real", "fake") if right else ("fake", "real")
    name = f"pair-{number}"
    return [f"{reader},r{number},real,{real},{name}", f"{reader},g{number},gan,{fake},{name}"]


HEAD = "reader,image,model,real_or_fake,pair"


def test_segals_pairs(tmp_path):
    """Section 4.4: 8 readers of 20 pairs, right in 71 % (95 % CI 55 to 86); here 114 of 160. The pairs do not
    count as answers to single images, and the interval holds the published share and not chance."""
    lines = []
    for reader in range(8):
        right = 15 if reader < 2 else 14  # 114 in all
        for number in range(20):
            lines += pair(f"r{reader}", number, (number * 7 + reader * 3) % 20 < right)
    record = analyze(read_study(write(tmp_path, HEAD, lines)))
    gan = record["pairs"]["gan"]
    assert gan["estimate"] == pytest.approx(114 / 160)
    assert 0.5 < gan["low"] < 0.71 < gan["high"] < 0.86
    assert (gan["readers"], gan["images"]) == (8, 20)
    assert record["realism"] is None


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (
            [*pair("a", 1, True)[:1], *pair("a", 2, True)],
            "'pair-1' of reader 'a' is not one real and one synth",
        ),
        (["a,r1,real,real,p", "a,g1,gan,real,p"], "has no choice of one image"),
        (["a,r1,real,real,p", "a,r2,real,fake,p"], "is not one real and one synthetic image"),
    ],
)
def test_a_pair_that_is_none_is_refused(lines, message, tmp_path):
    """One image, two answers alike, and two real images; the line is named."""
    with pytest.raises(SubmissionError, match=message) as fault:
        read_study(write(tmp_path, HEAD, lines))
    assert "line 2" in str(fault.value)


def test_the_rule_of_four_in_five(tmp_path):
    """Three readers; 4 of 5 images of one class have two votes of at least 4, 3 of 5 of the other. An even
    vote is no majority."""
    lines = []
    for name, accepted in (("rare", 4), ("other", 3)):
        for image in range(5):
            votes = (4, 5, 1) if image < accepted else (4, 3, 3)
            lines += [f"r{k},{name}{image},gan,{name},{vote}" for k, vote in enumerate(votes)]
    lines += [f"r{k},real{i},real,rare,1" for k in range(3) for i in range(2)]
    record = analyze(read_study(write(tmp_path, "reader,image,model,class,acceptability", lines)))
    results = record["acceptance"]["gan"]
    assert (results["rare"]["share"], results["rare"]["passes"]) == (0.8, True)
    assert (results["other"]["share"], results["other"]["passes"]) == (0.6, False)
    assert list(record["acceptance"]) == ["gan"]
    tie = [f"r{k},i{i},gan,x,{vote}" for i in range(2) for k, vote in enumerate((4, 3))]
    tied = analyze(read_study(write(tmp_path, "reader,image,model,class,acceptability", tie)))
    assert tied["acceptance"]["gan"]["x"]["share"] == 0
