"""Numbers and texts as pages and tables print them."""

from __future__ import annotations

import html
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from benchmark.utils.formatting import NO_INTERVAL, Ends

if TYPE_CHECKING:
    from benchmark.bundles.schema import ClassifierCard
    from benchmark.stages.records import MeasureCard

DASH = "–"
TABLES = "# Tables of "  # begins the page of a folder of tables, and marks the folder


def percent(share: float, digits: int = 1) -> str:
    """Format a share as percent: ``67.3 %``."""
    return f"{100 * share:.{digits}f} %"


def value(share: float, in_percent: bool) -> str:
    """Format the value of a metric: ``67.3 %``, or ``0.673`` for a metric in decimals."""
    return percent(share) if in_percent else f"{share:.3f}".replace("-", "−")


def value_range(interval: Ends, in_percent: bool) -> str:
    """Format the interval of a value: ``[64.0, 68.5]`` in percent, or ``[0.640, 0.685]``."""
    if interval.low is None:
        return NO_INTERVAL
    if in_percent:
        return f"[{100 * interval.low:.1f}, {100 * interval.high:.1f}]"
    return f"[{value(interval.low, False)}, {value(interval.high, False)}]"


def plus_minus(difference: float | None) -> str:
    """Format the size of a difference in points: ``±5.5``."""
    return DASH if difference is None else f"±{100 * difference:.1f}"


def p_value(p: float | None) -> str:
    """Format a p value with three decimals, or as ``< 0.001``."""
    if p is None:
        return DASH
    return "< 0.001" if p < 0.001 else f"{p:.3f}"


def p_equals(p: float | None) -> str:
    """Format a p value within a sentence: ``p = 0.012``."""
    if p is None:
        return "no p value"
    text = p_value(p)
    return f"p {text}" if text.startswith("<") else f"p = {text}"


def number(value: float | None) -> str:
    """Format a figure of any size with three or four significant digits."""
    if value is None:
        return DASH
    if value == 0:
        return "0"
    digits = 0 if abs(value) >= 1000 else 1 if abs(value) >= 10 else 2 if abs(value) >= 1 else 3
    text = f"{value:.{digits}f}" if abs(value) >= 0.01 else f"{value:.2g}"
    return text.replace("-", "−", 1) if text.startswith("-") else text


def cost(value: float | None) -> str:
    """Format seconds or megabytes: one decimal below 100, none above."""
    return DASH if value is None else f"{value:.1f}" if value < 100 else f"{value:.0f}"


def classifier_summary(card: ClassifierCard) -> str:
    """Name, weights and size of a classifier: ``resnet50 (timm resnet50), ImageNet weights a1_in1k ...``."""
    weights, count = card.weights, card.parameters
    imagenet = f"ImageNet weights {weights.tag}"
    kinds = {"none": "from scratch", "imagenet": imagenet, "file": "weights of a file"}
    content = f" (sha256 {weights.sha256[:16]}…)" if weights.sha256 else ""
    head = "" if card.head == "linear" else f", head {card.head}"
    text = f"{card.name} (timm {card.timm}{head}), {kinds[weights.kind]}{content}"
    if count is None:
        return text
    trained = "all" if count.trained == count.total else _millions(count.trained)
    return f"{text}; {trained} of {_millions(count.total)} parameters trained"


def _millions(count: int) -> str:
    return f"{count / 1e6:.3g} M"


def varying(fits: int) -> str:
    """Factors that intervals cover: fits too where some generator has several."""
    return "patients, trainings and fits" if fits > 1 else "patients and trainings"


def measure_parts(name: str, card: MeasureCard | None = None) -> tuple[str, str]:
    """Title of a measure, and its extractor or metric; by its name where no card is given."""
    if card is not None:
        return card.title, card.extractor or ""
    if name == "ms_ssim":
        return "MS-SSIM", ""
    if name == "filter_pass_rate":
        return "Filter pass rate", ""
    if name.startswith("gan_test_"):
        return "GAN-test", name.removeprefix("gan_test_").replace("_", " ")
    kind, _, extractor = name.partition("_")
    return (kind.upper(), extractor) if kind in ("fid", "kid") and extractor else (name, "")


def measure_title(name: str, card: MeasureCard | None = None) -> str:
    """Title of a measure in full: ``FID (phantom_cxr_v1)`` for ``fid_phantom_cxr_v1``."""
    title, qualifier = measure_parts(name, card)
    return f"{title} ({qualifier})" if qualifier else title


def escape_markdown(text: object) -> str:
    """Escape a text for one line of Markdown: HTML and the marks of Markdown are shown, not rendered."""
    flat = " ".join(html.escape(str(text), quote=False).split())
    for mark in "\\`*_[]|":
        flat = flat.replace(mark, "\\" + mark)
    return "\\" + flat if flat.startswith("#") else flat


def settings(values: Any) -> str:
    """Format nested settings in one line: ``width 64, layers (a, b), pairs (a–b, a–c)``."""
    if isinstance(values, Mapping):
        return ", ".join(f"{k} {_inner(v)}".rstrip() for k, v in sorted(values.items()))
    if isinstance(values, Sequence) and not isinstance(values, str):
        if values and all(isinstance(v, (list, tuple)) and len(v) == 2 for v in values):
            return ", ".join("–".join(settings(part) for part in pair) for pair in values)
        return ", ".join(_inner(v) for v in values)
    return DASH if values is None else str(values)


def _inner(value: Any) -> str:
    text = settings(value)
    nested = isinstance(value, (Mapping, Sequence)) and not isinstance(value, str)
    return f"({text})" if nested else text
