"""Change of the primary metric against the bracket, after Schaudt et al. 2023, Figure 7."""

from benchmark.reporting.figures.draw import MUTED, RULE, Drawn, canvas, legend, series
from benchmark.reporting.tables.record import LeftOut
from benchmark.reporting.tables.run import BASELINE, Run, with_images

NAME = "change_by_bracket"


def figure(run: Run) -> Drawn | LeftOut:
    """Draw one panel for the generators and one for the controls that add images."""
    brackets = sorted(run.head.brackets)
    if BASELINE not in run.primary:
        return LeftOut(NAME, "there is no finished row real_only to change from")
    if len(brackets) < 2:
        return LeftOut(NAME, "the profile has one bracket")
    rows = with_images(run.rows())
    if not rows:
        return LeftOut(NAME, "no finished row adds images")
    roles = {"generator": "Generators", "control": "Controls"}
    by_role = {t: [r for r in rows if run.manifests[r].row.role == role] for role, t in roles.items()}
    panels = {title: own for title, own in by_role.items() if own}
    drawn, axes = canvas(len(panels), sharey=True, size=(4.6, 3.6))
    metric, by_bracket = run.metrics[0], run.comparison.figures["test"]
    for ax, (title, own) in zip(axes[0], panels.items(), strict=True):
        ax.axhline(0, color=MUTED, linewidth=0.8)
        ax.grid(axis="y", color=RULE, linewidth=0.6)
        for i, row in enumerate(own):
            changes = [by_bracket[b][row].versus[BASELINE][metric.name] for b in brackets]
            aside = (i - (len(own) - 1) / 2) * 0.08
            series(ax, rows.index(row), [k + aside for k in range(len(brackets))], changes, row, scale=100)
        ax.set_xticks(range(len(brackets)), [f"+{b}" for b in brackets])
        ax.set_xlabel("Added images, bracket")
        ax.set_title(title)
        legend(ax, columns=3)
    axes[0][0].set_ylabel(f"Change of {metric.noun}\nfrom {BASELINE}, points")
    caption = (
        f"Change of {metric.noun} from real_only at each bracket, mean over classifiers and trainings, "
        f"with intervals over patients and trainings. After Schaudt et al. 2023, Figure 7. {run.sentence()}"
    )
    return Drawn(NAME, drawn, caption)
