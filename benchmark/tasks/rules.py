"""Rules of a scenario, and the rule by which synthetic images join the training images."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter


class Strict(BaseModel):
    """A frozen model that refuses unknown fields."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class View(Strict):
    """Keep the images of one kind of view; ``frontal`` is every PA and AP. Lan 2023, Table 10."""

    rule: Literal["view"]
    keep: Literal["frontal", "lateral", "both"] = "both"


class LabelPolicy(Strict):
    """Derive a class from the reported label of one finding. Irvin et al. 2019, 3.1; Lan 2023, 4.1.

    Attributes:
        finding: a name among the source's findings.
        uncertain: treatment of "uncertain" in ``train``: ``ones`` and ``zeros`` make it a label, ``ignore``
            leaves the image out, ``self_trained`` takes the pseudo-label of a classifier trained without
            these images, ``multi_class`` makes it a third class that predictions leave out.
        not_mentioned: treatment of "not mentioned" in ``train``.
    """

    rule: Literal["label_policy"]
    finding: str
    uncertain: Literal["ones", "zeros", "ignore", "self_trained", "multi_class"] = "ones"
    not_mentioned: Literal["zeros", "ones", "exclude"] = "zeros"


class Mask(Strict):
    """Black out part of every image. Lan 2023, section 4.3."""

    rule: Literal["mask"]
    shape: Literal["none", "square", "separate", "joint", "inverted_joint"] = "none"


class Imbalance(Strict):
    """Keep at most n training images of a class, whole patients in random order. Other classes stay."""

    rule: Literal["imbalance"]
    keep: dict[str, int]


class Fraction(Strict):
    """Keep a share of the training patients of one class. Zhang et al. 2023, section 5.2 and Figure 3."""

    rule: Literal["fraction"]
    of: str
    keep: float = Field(gt=0, le=1)


class Sites(Strict):
    """Train on some sites and test on the others as ``test_site``. Papadopoulos and Georgiou."""

    rule: Literal["sites"]
    train: tuple[str, ...] = Field(min_length=1)


Rule = Annotated[View | LabelPolicy | Mask | Imbalance | Fraction | Sites, Field(discriminator="rule")]
ON_TRAIN = (Imbalance, Fraction)  # rules that apply after the split, to the training images alone


def parse_rules(steps: Mapping[str, Mapping[str, Any]]) -> dict[str, Rule]:
    """Validate named rules, in order.

    Raises:
        ValueError: an unknown rule, field or value.
    """
    return TypeAdapter(dict[str, Rule]).validate_python(dict(steps))


class Mix(Strict):
    """Rule by which synthetic images join the real training images.

    Attributes:
        training: ``add`` them to the real images, or train on ``synthetic`` images alone.
        classes: the classes that get them; None for all.
        unit: the unit of a bracket: synthetic images per ``class``, per ``real_image`` of the class, per
            ``still_image`` of the class (not a frame of a clip), or per image of its ``deficit``, the
            difference to the largest class, so that bracket 1 makes all classes equally frequent.
        factor: brackets per class; 1 for a class that is not named.
        ratio: multiplies every bracket: the mixing ratio of Papadopoulos and Georgiou ("Integration with real
            data"), one number for all classes.
        fit_on: the real images that generators learn from: ``all`` training images, or those that a
            classifier of real images has ``misclassified`` near its boundary (Lan 2023, section 4.5).
        filter: ``evaluators`` drops synthetic images that the evaluators take for another class.
        surplus: with a filter, images drawn per image needed, so that enough pass.
    """

    training: Literal["add", "synthetic"] = "add"
    classes: tuple[str, ...] | None = None
    unit: Literal["class", "real_image", "still_image", "deficit"] = "class"
    factor: dict[str, float] = {}
    ratio: float = Field(1.0, gt=0)
    fit_on: Literal["all", "misclassified"] = "all"
    filter: Literal["none", "evaluators"] = "none"
    surplus: float = Field(2.0, ge=1, le=20)
