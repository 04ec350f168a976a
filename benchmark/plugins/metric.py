"""Contract of a metric of synthetic images, and the inputs that the suite gives it."""

from collections.abc import Callable, Mapping, Set
from dataclasses import dataclass, field
from types import ModuleType
from typing import Any, ClassVar, Literal, Protocol, get_args

import numpy as np
from pydantic import BaseModel, Field, FiniteFloat, model_validator

from benchmark.errors import MetricError, TaskError
from benchmark.plugins.registry import Plugin

Need = Literal[
    "feature_maps", "features", "found_masks", "images", "labels", "laterality", "masks", "predicted_labels",
    "predictions", "prompts", "segmented_classes", "severity", "sex", "sources",
]  # fmt: skip
Sides = Literal["matched", "all"]
Direction = Literal["minimize", "maximize"]
NEEDS: tuple[Need, ...] = get_args(Need)
PAGE = "See docs/add_a_metric.md."
FeatureMaps = Callable[[np.ndarray], np.ndarray]
# On each side of FID and KID. Between n images of equal distributions, the squared distance of the means
# alone is 2 / n of the total variance of the features: a half with 4 images, a tenth with 20.
FEWEST_IMAGES = 20


@dataclass(frozen=True, eq=False)
class Side:
    """Real or synthetic images, with the inputs that a metric needs; any other input is an error.

    Attributes:
        label: (N,) index into ``classes``.
        classes: names of the classes.
        given: the inputs, by need.
    """

    label: np.ndarray
    classes: tuple[str, ...]
    given: Mapping[Need, Any]

    def __len__(self) -> int:
        return len(self.label)

    @property
    def features(self) -> np.ndarray:
        """(N, D) float32 features of the run's extractor."""
        features: np.ndarray = self._input("features")
        return features

    @property
    def images(self) -> np.ndarray:
        """(N, H, W) uint8, 0 black to 255 white: an array, or ``LazyImages``, which is used like one."""
        images: np.ndarray = self._input("images")
        return images

    @property
    def feature_maps(self) -> FeatureMaps:
        """A function from (B, H, W) uint8 images to (B, P, C) float32: C features at each of P positions.

        They are those before the second pooling layer of the run's extractor. Call it on a few images at a
        time.
        """
        maps: FeatureMaps = self._input("feature_maps")
        return maps

    @property
    def sources(self) -> np.ndarray:
        """(N, H, W) uint8, the training image that each synthetic image came from.

        A real image has another patient's image of its class in this place, so that the floor is the figure
        of two patients.
        """
        sources: np.ndarray = self._input("sources")
        return sources

    @property
    def labels(self) -> np.ndarray:
        """(N, K) bool, every class of a real image; of a synthetic one, those that were requested."""
        labels: np.ndarray = self._input("labels")
        return labels

    @property
    def predicted_labels(self) -> np.ndarray:
        """(E, N, K) bool, the classes that each of the E evaluators sees.

        It is the class with the highest probability, or with several labels per image every class whose
        probability reaches Youden's threshold of the evaluator on *val*.
        """
        labels: np.ndarray = self._input("predicted_labels")
        return labels

    @property
    def sex(self) -> np.ndarray:
        """(N,) str, empty where it is not known."""
        sex: np.ndarray = self._input("sex")
        return sex

    @property
    def masks(self) -> np.ndarray:
        """(N, H, W) uint8, 255 inside the finding: annotated in a real image, requested of another."""
        masks: np.ndarray = self._input("masks")
        return masks

    @property
    def found_masks(self) -> np.ndarray:
        """(N, H, W) uint8, 255 inside the finding of the image's class that a segmenter sees.

        The segmenter is trained on the real training images and their masks, and on no synthetic image.
        """
        masks: np.ndarray = self._input("found_masks")
        return masks

    @property
    def segmented_classes(self) -> np.ndarray:
        """(K,) bool, false where the segmenter finds real held-out lesions no better than the mean mask."""
        able: np.ndarray = self._input("segmented_classes")
        return able

    @property
    def laterality(self) -> np.ndarray:
        """(N,) str, side of the finding: ``left``, ``right``, ``both`` or empty; the requested one."""
        side: np.ndarray = self._input("laterality")
        return side

    @property
    def severity(self) -> np.ndarray:
        """(N,) str, grade of the finding, empty where there is none; requested of a synthetic image."""
        severity: np.ndarray = self._input("severity")
        return severity

    @property
    def prompts(self) -> np.ndarray:
        """(N,) str, the text that describes each image, or that it was requested with."""
        prompts: np.ndarray = self._input("prompts")
        return prompts

    @property
    def predictions(self) -> np.ndarray:
        """(E, N, K) probabilities of the K classes by the E evaluators, trained on real images alone."""
        predictions: np.ndarray = self._input("predictions")
        return predictions

    def _input(self, need: Need) -> Any:
        if need not in self.given:
            problem = "is read by a metric whose needs lack it"
            raise MetricError(f"Side.{need}", problem, f"Add '{need}' to its needs.")
        return self.given[need]


class Matrix(BaseModel, extra="forbid", frozen=True):
    """Figures of pairs of names: ``values[i][j]`` is that of ``names[i]`` and ``names[j]``."""

    names: tuple[str, ...] = Field(max_length=200)
    values: tuple[tuple[FiniteFloat, ...], ...] = Field(max_length=200)

    @model_validator(mode="after")
    def _square(self) -> "Matrix":
        if any(len(line) != len(self.names) for line in (self.values, *self.values)):
            raise ValueError("values must have a line and a column for each of names")
        return self


@dataclass(frozen=True)
class Unmeasured:
    """Result of a metric that these images do not admit; a note reports the reason, a part of a sentence."""

    reason: str


@dataclass(frozen=True)
class Value:
    """Result of a metric.

    Attributes:
        value: the figure; finite.
        per_class: the figure of each class, by name; empty where it has none.
        n: synthetic images that count, where not all of them do.
        details: further figures to record.
        intervals: 95 % confidence interval of the figure of each class, by name.
        matrix: figures of pairs of classes.
    """

    value: float
    per_class: Mapping[str, float] = field(default_factory=dict)
    n: int | None = None
    details: Mapping[str, float] = field(default_factory=dict)
    intervals: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    matrix: Matrix | None = None


def enough_images(name: str, n: int) -> bool:
    """Return whether a figure of this name may be shown: FID and KID of a handful of images are noise."""
    return n >= FEWEST_IMAGES or name.partition("_")[0] not in ("fid", "kid")


class Metric(Protocol):
    """Contract of a metric; see docs/add_a_metric.md.

    Attributes:
        needs: the inputs that it reads.
        optional: further inputs that it reads where the images have them, else they are None; it may lack.
        direction: of better values.
        sides: ``matched`` for a distance: both sides have the same number of images of each class, and the
            floor is the mean over pairs of halves of the real test images, which share no patient. ``all``
            for a property of the synthetic images: both sides have all images, and for the floor the real
            ones take the place of the synthetic ones.
        fewest: optional; images of each matched side, below which the figure is missing, with a note.
    """

    needs: ClassVar[set[Need]]
    direction: ClassVar[Direction]
    sides: ClassVar[Sides]

    def __init__(self, params: Any, device: str) -> None: ...
    def measure(self, real: Side, fake: Side) -> Value | Unmeasured: ...


def check_metric(module: ModuleType, plugin: Plugin) -> type[Metric]:
    """Return the metric class of a plug-in.

    Raises:
        TaskError: names the part of the contract that is missing or wrong.
    """
    for name in ("Params", "Metric"):
        if not hasattr(module, name):
            raise TaskError(f"{plugin.target}: {name}", "is missing", PAGE)
    if not getattr(module, "card", {}).get("title"):
        raise TaskError(f"{plugin.target}: card", "lacks a title", PAGE)
    kind: type[Metric] = module.Metric
    where = f"{plugin.target}: {kind.__name__}"
    if missing := [m for m in ("needs", "direction", "sides", "measure") if not hasattr(kind, m)]:
        raise TaskError(where, f"lacks {', '.join(missing)}", PAGE)
    if not isinstance(kind.needs, (set, frozenset)) or not kind.needs:
        raise TaskError(f"{where}.needs", f"is {kind.needs!r}", f"Make it a set of: {', '.join(NEEDS)}.")
    choices: dict[str, tuple[Set[str], tuple[str, ...]]]
    choices = {"needs": (kind.needs, NEEDS), "optional": ({*getattr(kind, "optional", ())}, NEEDS),
               "direction": ({kind.direction}, get_args(Direction)),
               "sides": ({kind.sides}, get_args(Sides))}  # fmt: skip
    for name, (given, offered) in choices.items():
        if wrong := sorted(map(str, given - {*offered})):
            raise TaskError(f"{where}.{name}", f"has '{wrong[0]}'", f"Choose of: {', '.join(offered)}.")
    return kind
