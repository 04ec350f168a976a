"""Sentences of requested lesions, in the words of the training sentences."""

from __future__ import annotations

from typing import Any

import pytest

from benchmark.errors import GeneratorError
from benchmark.experiments.lesions.lesion_request import LesionRequest
from benchmark.experiments.lesions.lesion_sentences import LesionSentences, joined, replaced
from benchmark.metrics._lesions import side_in_words, words_of
from support.chests import chests

TRAIN = chests()
SENTENCES = LesionSentences(TRAIN, others_tell=True)


@pytest.mark.parametrize("side", ["left", "right"])
@pytest.mark.parametrize("zone", ["upper", "middle", "lower"])
def test_a_sentence_names_side_and_zone(side: Any, zone: Any) -> None:
    """The sentence of a spot names the requested side and zone, in a sentence of the data set."""
    text = SENTENCES.write(LesionRequest(finding="spot", side=side, zone=zone), 12)
    assert side_in_words(text) == side
    assert zone in words_of(text)
    assert text.endswith(f" mm spot in the {side} {zone} zone.")


def test_the_nearest_area_decides_among_agreeing_sentences() -> None:
    """A larger mask has a sentence with more millimeters."""
    sizes = [int(SENTENCES.write(LesionRequest(finding="spot"), n).split()[0]) for n in (3, 9, 20)]
    assert sizes == sorted(set(sizes))


@pytest.mark.parametrize(
    ("severity", "word"), [("mild", "Small"), ("moderate", "Moderate"), ("severe", "Large")]
)
def test_a_grade_has_the_words_of_the_finding(severity: Any, word: str) -> None:
    """Sentences of crescents grade by size, those of hearts by severity; each gets its own words."""
    text = SENTENCES.write(LesionRequest(finding="crescent", side="left", severity=severity), None)
    assert text == f"{word} left crescent."
    assert SENTENCES.write(LesionRequest(finding="heart", severity=severity), None) == (
        f"{severity.capitalize()} heart."
    )


def test_words_that_no_sentence_has_are_replaced() -> None:
    """Where no training sentence agrees, side, zone and grade are replaced, by hand."""
    text = "Small left nodule in the upper zone."
    wanted = {"side": "both", "zone": "lower", "grade": 2}
    assert (
        replaced(text, wanted, ("small", "moderate", "large")) == "Large bilateral nodule in the lower zone."
    )
    assert replaced(text, {"side": "left"}, ("small", "moderate", "large")) == text


def test_several_sentences_are_one() -> None:
    """Sentences are joined as a report joins its findings."""
    texts = ["Small left effusion.", "8 mm nodule in the right upper zone.", "Mild cardiomegaly."]
    assert (
        joined(texts) == "Small left effusion and 8 mm nodule in the right upper zone and mild cardiomegaly."
    )
    assert joined(texts[:1]) == texts[0]


@pytest.mark.parametrize(
    ("lesion", "words"),
    [
        ({"finding": "crescent", "zone": "lower"}, "zone: is named in no training sentence"),
        ({"finding": "heart", "side": "both"}, "side: is named in no training sentence"),
        ({"finding": "spot", "severity": "mild"}, "severity: is named in no training sentence"),
        (
            {"finding": "heart", "size": "small", "severity": "severe"},
            "severity: is 'severe' with size 'small'",
        ),
    ],
)
def test_what_a_sentence_cannot_tell_is_refused(lesion: dict[str, Any], words: str) -> None:
    """Where text alone tells the lesion, an attribute without a word in the data set is refused."""
    with pytest.raises(GeneratorError, match=words):
        LesionSentences(TRAIN, others_tell=False).write(LesionRequest(**lesion), None)
