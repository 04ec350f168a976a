"""Records of the comparison by classifier, by class and by fold."""

from benchmark.comparison.record_base import Estimate, Number, Record


class Change(Estimate):
    """A paired difference to ``real_only``."""

    p: Number | None  # None without an interval
    p_adjusted: Number | None = None  # None outside the family, too


class ClassifierCell(Estimate):
    """One metric of a row at a bracket: the mean over the trainings of one classifier."""

    classifier: str
    row: str
    bracket: int  # 0 for a row without added images
    metric: str
    std: Number | None  # sample standard deviation over the trainings; None for one training
    n: int  # trainings
    versus: Change | None  # None for ``real_only``, or without it


class ClassCell(ClassifierCell):
    """Precision, recall or F1 of one class."""

    label: str  # the class
    best: bool  # at the bracket with the highest primary metric


class AverageChange(Change):
    """The average change from ``real_only`` over all brackets."""

    metric: str
    row: str | None  # None for the mean over the generators
    classifier: str | None  # None for all classifiers together


class FoldCell(Record):
    """One metric of a row at the primary bracket, fold by fold."""

    split: str
    classifier: str
    metric: str  # precision, recall or f1 of a class; accuracy or balanced_accuracy of all
    label: str | None  # the class
    values: dict[int, Number]  # by fold, mean over its seeds
    estimate: Number  # mean over the folds
    std: Number | None  # sample standard deviation over the folds; None for one fold


class Breakdown(Record):
    """All parts of the comparison that the papers' tables show."""

    classifiers: tuple[ClassifierCell, ...]
    changes: tuple[AverageChange, ...]
    classes: tuple[ClassCell, ...]
    folds: dict[str, tuple[FoldCell, ...]]  # by row
