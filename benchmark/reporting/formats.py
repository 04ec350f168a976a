"""Numbers and texts as people read them."""

from __future__ import annotations

import html
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from benchmark.bundles.schema import ClassifierCard

NONE = "–"


def percent(share: float, digits: int = 1) -> str:
    """A share as percent: ``67.3 %``."""
    return f"{100 * share:.{digits}f} %"


def percent_range(interval: Mapping[str, Any]) -> str:
    """The interval of a share, in percent: ``[64.0, 68.5]``."""
    return f"[{100 * interval['low']:.1f}, {100 * interval['high']:.1f}]"


def value(share: float, metric: Mapping[str, Any]) -> str:
    """A metric's value: ``67.3 %``, or ``0.673`` where that is the custom."""
    return percent(share) if metric["percent"] else f"{share:.3f}".replace("-", "−")


def value_range(interval: Mapping[str, Any], metric: Mapping[str, Any]) -> str:
    """The interval of a metric's value: ``[64.0, 68.5]`` in percent, or ``[0.640, 0.685]``."""
    if metric["percent"]:
        return percent_range(interval)
    return f"[{value(interval['low'], metric)}, {value(interval['high'], metric)}]"


def points(difference: float, digits: int = 1) -> str:
    """A difference of a metric in points (hundredths), with its sign: ``+3.2``."""
    text = f"{100 * difference:+.{digits}f}"
    return f"{0:.{digits}f}" if not float(text) else text.replace("-", "−")


def points_range(interval: Mapping[str, Any]) -> str:
    """The interval of a difference, in points: ``[+1.0, +5.4]``."""
    return f"[{points(interval['low'])}, {points(interval['high'])}]"


def spread(interval: Mapping[str, Any], noun: str = "") -> str:
    """A difference with its interval: ``+3.2 points [+1.0, +5.4]``, or ``+3.2 points of F1 [+1.0, +5.4]``."""
    unit = f"points of {noun}" if noun else "points"
    return f"{points(interval['estimate'])} {unit} {points_range(interval)}"


def p_value(p: float | None) -> str:
    """A p value with three decimals, or ``< 0.001``."""
    if p is None:
        return NONE
    return "< 0.001" if p < 0.001 else f"{p:.3f}"


def p_equals(p: float | None) -> str:
    """A p value within a sentence: ``p = 0.012``."""
    text = p_value(p)
    return f"p {text}" if text.startswith("<") else f"p = {text}"


def number(value: float | None) -> str:
    """A figure with three or four significant digits, whatever its size."""
    if value is None:
        return NONE
    if value == 0:
        return "0"
    digits = 0 if abs(value) >= 1000 else 1 if abs(value) >= 10 else 2 if abs(value) >= 1 else 3
    text = f"{value:.{digits}f}" if abs(value) >= 0.01 else f"{value:.2g}"
    return text.replace("-", "−", 1) if text.startswith("-") else text


def cost(value: float | None) -> str:
    """Seconds or megabytes: one decimal below 100, whole above."""
    return NONE if value is None else f"{value:.1f}" if value < 100 else f"{value:.0f}"


def classifier(card: ClassifierCard) -> str:
    """A classifier and how it began: ``resnet50 (timm resnet50), ImageNet weights a1_in1k (sha256 …)``."""
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


def measure_title(name: str) -> str:
    """``fid_phantom_cxr_v1`` as ``FID (phantom_cxr_v1)``."""
    if name == "ms_ssim":
        return "MS-SSIM"
    if name == "filter_pass_rate":
        return "Filter pass rate"
    if name.startswith("gan_test_"):
        return f"GAN-test ({name.removeprefix('gan_test_').replace('_', ' ')})"
    kind, _, extractor = name.partition("_")
    return f"{kind.upper()} ({extractor})" if kind in ("fid", "kid") and extractor else name


def markdown(text: object) -> str:
    """Text for a cell of a Markdown table: HTML and the marks of Markdown are shown, not obeyed."""
    flat = " ".join(html.escape(str(text), quote=False).split())
    for mark in "\\`*_[]|":
        flat = flat.replace(mark, "\\" + mark)
    return "\\" + flat if flat.startswith("#") else flat


def settings(values: Any) -> str:
    """Nested settings as one line: ``width 64, layers (a, b), pairs (a–b, a–c)``."""
    if isinstance(values, Mapping):
        return ", ".join(f"{k} {_inner(v)}".rstrip() for k, v in sorted(values.items()))
    if isinstance(values, Sequence) and not isinstance(values, str):
        if values and all(isinstance(v, (list, tuple)) and len(v) == 2 for v in values):
            return ", ".join("–".join(settings(part) for part in pair) for pair in values)
        return ", ".join(_inner(v) for v in values)
    return NONE if values is None else str(values)


def _inner(value: Any) -> str:
    text = settings(value)
    nested = isinstance(value, (Mapping, Sequence)) and not isinstance(value, str)
    return f"({text})" if nested else text
