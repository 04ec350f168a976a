"""Conditions of requested images: drawn from *train*, from stated values, or by a template."""

import string
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import numpy as np

from benchmark.errors import GeneratorError
from benchmark.images.image_set import ImageSet
from benchmark.plugins.generator import SampleRequest
from benchmark.tasks.requests import RequestRule, Requests, Template, Values
from benchmark.utils.draws import spread

NONE_GIVEN: Mapping[str, np.ndarray] = MappingProxyType({})


@dataclass(frozen=True, eq=False)
class Conditions:
    """Draws the columns that a generator reads beside the class.

    All empirical columns of an image come from one training image of its class. The draw of an image depends
    on its class and its number alone.

    Attributes:
        names: the generator's conditions.
        rules: by condition; ``empirical`` where there is none.
        train: the images that the generator learned from, with one class each; None where no condition is
            drawn from them.
        seed: of the draws.
    """

    names: frozenset[str]
    rules: Requests
    train: ImageSet | None
    seed: int = 0

    def request(
        self,
        label: np.ndarray,
        index: np.ndarray,
        classes: tuple[str, ...],
        image_size: int,
        given: Mapping[str, np.ndarray] = NONE_GIVEN,
    ) -> SampleRequest:
        """Return the request for images of these classes with these numbers.

        Args:
            label, index: (N,).
            given: columns that are not drawn, (N, ...).
        Raises:
            GeneratorError: no training image has a requested class, or the data lack a column.
        """
        drawn = self.names - {"label"} - given.keys()
        rules = {name: self._rule(name) for name in sorted(drawn)}
        # a template may refer to conditions that the generator does not read
        for rule in list(rules.values()):
            rules |= {name: self._rule(name) for name in placeholders(rule) - {"class"} - given.keys()}
        columns: dict[str, Any] = dict(given)
        empirical = [name for name, rule in rules.items() if rule == "empirical"]
        if empirical:
            rows = self._rows(label, index, classes)
            columns |= {name: self._column(name)[rows] for name in empirical}
        for name, rule in rules.items():
            if isinstance(rule, Values):
                columns[name] = self._values(name, rule, label, index, classes)
        for name, rule in rules.items():
            if isinstance(rule, Template):
                named = {"class": np.array(classes)[label], **columns}
                columns[name] = np.array([_fill(rule.template, named, i) for i in range(len(label))])
        columns = {name: column for name, column in columns.items() if name in self.names}
        return SampleRequest(label, classes, image_size, index, **columns)

    def _rule(self, name: str) -> RequestRule:
        return self.rules.get(name, "empirical")  # type: ignore[call-overload]

    def _rows(self, label: np.ndarray, index: np.ndarray, classes: tuple[str, ...]) -> np.ndarray:
        """Return the training image that each requested image takes its columns from."""
        rows, known = np.empty(len(label), np.int64), self._train().label
        for k in np.unique(label):
            members = np.flatnonzero(known == k)
            if not len(members):
                raise GeneratorError(f"class '{classes[k]}'", "has no training image to take conditions from")
            rows[label == k] = members[spread(len(members), index[label == k], [self.seed, 5, int(k)])]
        return rows

    def _train(self) -> ImageSet:
        if self.train is None:
            names = ", ".join(sorted(self.names - {"label"}))
            problem = "come from training images, which are not here"
            raise GeneratorError("conditions", problem, f"Give {names}.")
        return self.train

    def _column(self, name: str) -> Any:
        train = self._train()
        column = {"labels": train.reported_labels, "source_id": train.image_id}.get(
            name, getattr(train, name, None)
        )
        if column is None:
            raise GeneratorError(f"condition '{name}'", "is not known for the training images")
        return column

    def _values(
        self, name: str, rule: Values, label: np.ndarray, index: np.ndarray, classes: tuple[str, ...]
    ) -> np.ndarray:
        drawn: list[Any] = [None] * len(label)
        for k in np.unique(label):
            values, rows = rule.of_class(classes[k]), np.flatnonzero(label == k)
            places = spread(len(values), index[rows], [self.seed, 6, int(k), zlib.crc32(name.encode())])
            for row, place in zip(rows, places, strict=True):
                drawn[row] = values[place]
        return np.array(drawn)


class _Unknown:
    """A value that the training image lacks; any format gives the word ``unknown``."""

    def __format__(self, spec: str) -> str:
        return "unknown"


def _fill(template: str, columns: Mapping[str, np.ndarray], row: int) -> str:
    return template.format(**{name: _shown(c[row]) for name, c in columns.items() if c.ndim == 1})


def _shown(value: Any) -> Any:
    """Return a value as a template shows it: whole numbers without a point."""
    if value == "" or value != value:  # NaN
        return _Unknown()
    return int(value) if isinstance(value, float) and value.is_integer() else value


def placeholders(rule: RequestRule) -> set[str]:
    """Return the names that a template refers to; none for other rules."""
    if not isinstance(rule, Template):
        return set()
    return {name for _, name, _, _ in string.Formatter().parse(rule.template) if name}


def drawn_from_train(name: str, rules: Requests) -> bool:
    """Return whether a condition comes from training images, by itself or by what its template refers to."""
    rule: RequestRule = rules.get(name, "empirical")  # type: ignore[call-overload]
    return rule == "empirical" or any(drawn_from_train(n, rules) for n in placeholders(rule) - {"class"})
