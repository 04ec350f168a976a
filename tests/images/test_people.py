"""Doubtful ids of patients, and sexes and ages that cannot be one person's."""

import numpy as np
import pytest

from benchmark.images import people

NAN = float("nan")


def kinds(oddities: list[people.Oddity]) -> list[tuple[str, ...]]:
    """Return the names of every kind."""
    return [oddity.names for oddity in oddities]


@pytest.mark.parametrize("name", ["anonymous", "Anon_1", "REMOVED", "0", "000", "9999", "-1"])
def test_an_id_of_unknown_patients(name):
    """A stand-in with several images among patients of one image is reported with their number."""
    assert kinds(people.odd_ids([name] * 4 + ["a", "b", "c"])) == [(f"'{name}' (4 images)",)]


def test_one_id_everywhere():
    """An id of most images is reported, whatever its name."""
    (oddity,) = people.odd_ids(["hospital"] * 12 + ["b", "c"])
    assert str(oddity).endswith("the first is 'hospital' (12 images)")
    assert "hospital" not in oddity.count


def test_numbered_patients_are_not_reported():
    """Patients numbered from 0, each with as many images as the others, are in order."""
    assert people.odd_ids([str(k) for k in range(20)] * 3) == []
    assert people.odd_ids([f"1.{k}" for k in range(20)]) == []


@pytest.mark.parametrize(
    ("one", "other"), [("007", "7"), ("7.0", "7"), ("p 7", "P7"), ("P-007", "p-7"), ("\uff17", "7")]
)
def test_spellings_of_one_id(one, other):
    """Case, space, zeros, a decimal point and wide digits make no other patient."""
    assert kinds(people.odd_ids([one, other, "8"])) == [(f"'{one}' and '{other}'",)]


def test_two_sexes():
    """M and female contradict each other; M and male, a blank or an unknown one do not."""
    patient = ["a", "a", "b", "b", "c", "c", "d", "d"]
    sex = ["M", "female", "M", "male", "F", "", "W", "F"]
    assert kinds(people.odd_sexes(patient, sex)) == [("'a'",)]


def test_impossible_ages():
    """Over 120, below 0, and 16 years apart; 15 years apart and NaN pass."""
    patient = ["a", "b", "c", "c", "d", "d", "e"]
    age = np.array([121, -1, 30, 46, 30, 45, NAN])
    assert kinds(people.odd_ages(patient, age)) == [("'a'",), ("'b'",), ("'c'",)]


def test_ages_against_dates():
    """Older at an earlier study, and aging faster or slower than the dates; rounding passes."""
    patient = ["a", "a", "b", "b", "c", "c", "d", "d"]
    age = [60, 58, 40, 50, 40, 41, 30, NAN]
    year = [2010, 2012, 2010, 2012, 2010.9, 2011.1, 2010, 2020]
    assert kinds(people.odd_dates(patient, age, year)) == [("'a'",), ("'b'",)]
