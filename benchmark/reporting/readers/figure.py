"""The scores of a reader study as Schaudt et al. 2023 draw them in Figure 6: by model and class."""

from collections.abc import Mapping, Sequence

import numpy as np

from benchmark.reporting.figures.draw import COLORS, Drawn, canvas, style

MEDIAN = "#C00000"  # a red line, as in the paper
Scores = Mapping[str, Mapping[str, Sequence[float]]]  # by model and class


def score_figure(question: str, scores: Scores, scale: tuple[int, int]) -> Drawn:
    """Draw a box for every model and class; the whole range is shown, and the median as a red line."""
    classes = list(dict.fromkeys(name for own in scores.values() for name in own))
    width = 0.8 / len(classes)
    with style():
        figure, axes = canvas(size=(1.2 + 1.3 * len(scores), 3.4))
        axis = axes[0, 0]
        for k, name in enumerate(classes):
            places = [m + (k - (len(classes) - 1) / 2) * width for m in range(len(scores))]
            values = [list(own.get(name, ())) or [np.nan] for own in scores.values()]
            boxes = axis.boxplot(
                values, positions=places, widths=0.85 * width, whis=(0, 100), patch_artist=True,
                medianprops={"color": MEDIAN, "linewidth": 2}, manage_ticks=False,
            )  # fmt: skip
            for box in boxes["boxes"]:
                box.set(facecolor=COLORS[k % len(COLORS)], alpha=0.55)
            boxes["boxes"][0].set_label(name or "all classes")
        axis.set_xticks(range(len(scores)), list(scores))
        axis.set_ylim(scale[0] - 0.3, scale[1] + 0.3)
        axis.set_yticks(range(scale[0], scale[1] + 1))
        axis.set_ylabel(question)
        axis.legend(frameon=False, fontsize=8, loc="upper left", bbox_to_anchor=(0, -0.1), ncols=len(classes))
    caption = f"{question.capitalize()} by model and class; the red line is the median."
    return Drawn(f"readers_{question}", figure, caption)
