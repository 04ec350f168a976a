"""Sentences of requested lesions, from those of the training images of a finding."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

import numpy as np

from benchmark.errors import GeneratorError
from benchmark.experiments.lesions.lesion_request import SEVERITIES, SIZES, ZONES, LesionRequest
from benchmark.images.image_set import ImageSet
from benchmark.metrics._lesions import INSIDE, side_in_words, words_of

SIDE_WORDS = {"left": "left", "right": "right", "both": "bilateral"}
GRADES = {word: number for words in (SEVERITIES, SIZES) for number, word in enumerate(words)}


def grade_of(text: str) -> str | None:
    """Return the first word of severity or size of a sentence; None without one."""
    return next((word for word in words_of(text) if word in GRADES), None)


def zone_of(text: str) -> str | None:
    """Return the zone that a sentence names; None without one."""
    return next((word for word in words_of(text) if word in ZONES), None)


class LesionSentences:
    """The sentences of the training images.

    Args:
        train: images with prompts, one class each.
        others_tell: a mask tells the generator what a sentence does not.
    """

    def __init__(self, train: ImageSet, others_tell: bool) -> None:
        self.train, self.others_tell = train, others_tell
        self.areas = None if train.mask is None else (np.asarray(train.mask[:]) > INSIDE).sum((1, 2))

    def write(self, lesion: LesionRequest, pixels: int | None) -> str:
        """Return the sentence of a training image with the finding that agrees with the request.

        Of several, it is that of the lesion with the nearest area. Where none agrees, the words for side,
        zone and grade are replaced in the sentence that agrees in most of them.

        Args:
            pixels: area of the lesion's mask, where it has one.
        Raises:
            GeneratorError: no training image shows the finding, its sentences have no word for an attribute
                that nothing else tells, or one word for two grades.
        """
        prompt = self.train.prompt
        assert prompt is not None
        rows = np.flatnonzero(self.train.label == self.train.classes.index(lesion.finding))
        texts = [str(prompt[row]) for row in rows]
        wanted = self._wanted(lesion, texts)
        grades = SIZES if {grade_of(text) for text in texts} & {SIZES[0], SIZES[-1]} else SEVERITIES
        agreeing = np.array([self._agreement(text, wanted) for text in texts])
        far = np.zeros(len(rows))
        if self.areas is not None and pixels:
            far = np.abs(np.log(np.maximum(self.areas[rows], 0.5) / pixels))
        return replaced(texts[int(np.lexsort((far, -agreeing))[0])], wanted, grades)

    def _wanted(self, lesion: LesionRequest, texts: Sequence[str]) -> dict[str, str | int]:
        """Return the side, the zone and the grade that the sentence must name."""
        if not texts:
            raise GeneratorError(f"lesion: finding '{lesion.finding}'", "has no training image")
        grade = None if lesion.severity is None else SEVERITIES.index(lesion.severity)
        if lesion.severity is not None and isinstance(lesion.size, str) and lesion.third != grade:
            problem = (
                f"is '{lesion.severity}' with size '{lesion.size}', and a sentence has one grade for both"
            )
            raise self._refusal(
                lesion, "severity", problem, "Leave one of them out, or request equal grades."
            )
        grade = lesion.third if grade is None else grade
        wanted: dict[str, str | int] = {}
        named = {"side": any(map(side_in_words, texts)), "zone": any(map(zone_of, texts)),
                 "grade": any(map(grade_of, texts))}  # fmt: skip
        for name, value in (("side", lesion.side), ("zone", lesion.zone), ("grade", grade)):
            if value is not None and named[name]:
                wanted[name] = value
            elif value is not None and not self.others_tell:
                field = name if name != "grade" else "severity" if lesion.severity else "size"
                problem = "is named in no training sentence of the finding"
                raise self._refusal(lesion, field, problem, "Leave it out, or choose a row that reads masks.")
        return wanted

    def _refusal(self, lesion: LesionRequest, field: str, problem: str, remedy: str) -> GeneratorError:
        return GeneratorError(f"lesion: finding '{lesion.finding}': {field}", problem, remedy)

    def _agreement(self, text: str, wanted: dict[str, str | int]) -> float:
        """Return the number of requested attributes that a sentence names, and a share for those it can."""
        grade, words = grade_of(text), {"side": side_in_words(text), "zone": zone_of(text)}
        same = [words[name] == wanted[name] for name in ("side", "zone") if name in wanted]
        able = [bool(words[name]) for name in ("side", "zone") if name in wanted]
        if "grade" in wanted:
            same.append(grade is not None and GRADES[grade] == wanted["grade"])
            able.append(grade is not None)
        return sum(same) + sum(able) * len(SIDE_WORDS)


def replaced(text: str, wanted: Mapping[str, str | int], grades: Sequence[str]) -> str:
    """Return a sentence with other words for side, zone and grade, where it names others.

    Args:
        grades: the words of the finding, from light to severe.
    """
    words: list[tuple[Sequence[str], str]] = []
    if "side" in wanted and side_in_words(text) != wanted["side"]:
        words.append((tuple(SIDE_WORDS.values()), SIDE_WORDS[str(wanted["side"])]))
    if "zone" in wanted:
        words.append((ZONES, str(wanted["zone"])))
    if "grade" in wanted:
        words.append((grades, grades[int(wanted["grade"])]))
    for old, new in words:
        match = re.search(rf"\b({'|'.join(old)})\b", text, re.IGNORECASE)
        if match is not None:
            start, end = match.span()
            text = text[:start] + (new.capitalize() if text[start].isupper() else new) + text[end:]
    return text


def joined(sentences: Sequence[str]) -> str:
    """Return several sentences as one: ``Small left effusion and 8 mm nodule in the upper zone.``"""
    first, *rest = (text.rstrip(". ") for text in sentences)
    return " and ".join([first, *(text[:1].lower() + text[1:] for text in rest)]) + "."
