"""The leaderboard as GitHub-flavored Markdown."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from benchmark.reporting.leaderboards import words
from benchmark.reporting.leaderboards.glossary import glossary
from benchmark.reporting.leaderboards.markdown_statistics import statistics
from benchmark.reporting.leaderboards.markdown_table import tabulated
from benchmark.reporting.leaderboards.view import Line, View
from benchmark.reporting.leaderboards.words import markdown as md
from benchmark.reporting.leaderboards.words import settings
from benchmark.utils.formatting import plural

SIGNS = {True: "held", False: "**did not hold**", None: "not judged"}


def text(view: View) -> str:
    """The whole page; costs stand between ``<!-- costs -->`` and ``<!-- /costs -->``."""
    parts = [f"# {md(view.title)}", *sections(view), "## Glossary", terms(view)]
    return "\n\n".join(parts) + "\n"


def terms(view: View) -> str:
    """The glossary."""
    found = glossary(view.comparison["settings"])
    return "\n".join(f"- **{md(term)}**: {md(meaning)}" for term, meaning in found)


def sections(
    view: View, standings: Mapping[str, str] | None = None, record: str = "leaderboard.json"
) -> list[str]:
    """What stands between the title and the glossary, with headings of the second level.

    Args:
        standings: by row, for a column of the table; None where nobody has checked anything yet.
        record: name of the file that holds what is too long for the page.
    """
    s, test = view.comparison["settings"], view.test
    level = words.percent(1 - s["alpha"], 0)
    return [
        md(view.head.question),
        f"> **{md(view.kind)}**",
        "\n".join(f"- {md(f['text'])}" for f in view.findings),
        "## Leaderboard",
        f"{view.metric['title']} on {test['images']} test images of {test['patients']} patients "
        f"at +{view.bracket} {md(view.unit)}, mean over {view.trainings}, "
        f"{level} intervals over patients and trainings. {view.alone + ' ' if view.alone else ''}"
        f"Rows of one rank cannot be told apart ({view.comparison['ranking']['compared']} pairs compared, "
        f"{s['correction']}). Intervals are for one comparison at a time; ranks and findings are adjusted.",
        _leaderboard(view, standings),
        *[_absent(line) for line in view.lines if line.manifest.error],
        "## Did the controls behave?",
        tabulated(
            ("Verdict", "Claim", "Evidence"),
            [(SIGNS[c["held"]], md(c["claim"]), md(c["evidence"])) for c in view.comparison["controls"]],
        ),
        "## By bracket",
        _brackets(view),
        *_metrics(view),
        *_quality(view),
        *_splits(view),
        f"## {'AUROC' if view.multilabel else 'Recall'} of each class",
        _classes(view),
        *_subgroups(view),
        *statistics(view, record),
        f"<!-- costs -->\n## Costs\n\n{_costs(view)}\n<!-- /costs -->",
        "## Provenance",
        _provenance(view),
    ]


def _absent(line: Line) -> str:
    was = "was not run" if line.manifest.not_run else "failed"
    return f"`{line.name}` {was}: {md(line.manifest.error)}"


def _value(figure: Mapping[str, Any], metric: Mapping[str, Any]) -> str:
    return md(f"{words.value(figure['estimate'], metric)} {words.value_range(figure, metric)}")


def _difference(figures: Mapping[str, Any], base: str, metric: Mapping[str, Any]) -> str:
    found = (figures["versus"].get(base) or {}).get(metric["name"])
    return md(f"{words.points(found['estimate'])} {words.points_range(found)}") if found else words.NONE


def _leaderboard(view: View, standings: Mapping[str, str] | None) -> str:
    titles = [md(words.measure_title(m)) for m in view.measures]
    mcnemar = [] if view.multilabel else ["McNemar p"]
    standing = [] if standings is None else ["Standing"]
    head = ["Rank", "Letters", "Row", "Role", *standing, view.metric["title"], "vs real\\_only", "Detectable",
            "vs duplicate\\_real", *mcnemar, *titles, "Copies"]  # fmt: skip
    rows = []
    for line in view.lines:
        cells = [*_identity(view, line, standings), *_results(view, line)]
        rows.append([*cells, *[words.NONE] * (len(head) - len(cells))])
    return tabulated(head, rows)


def _identity(view: View, line: Line, standings: Mapping[str, str] | None) -> list[str]:
    """Rank, letters, name, role and standing of a row."""
    ranked = view.comparison["ranking"]["rows"].get(line.name)
    return [
        words.NONE if line.rank is None else f"{line.rank}{' (tied)' if line.tied else ''}",
        ranked["letters"] if ranked else words.NONE,
        f"~~{md(line.name)}~~ gated" if line.gated else f"**{md(line.name)}**",
        line.manifest.row.role,
        *([] if standings is None else [md(standings[line.name])]),
    ]


def _results(view: View, line: Line) -> list[str]:
    if not line.figures:
        return [line.absence]
    metric = view.metric
    real = (line.figures["versus"].get("real_only") or {}).get(metric["name"])
    mcnemar, gate = line.figures["mcnemar"], line.manifest.memorization
    measures = [line.manifest.measures.get(m) for m in view.measures]
    return [
        _value(line.figures[metric["name"]], metric),
        _difference(line.figures, "real_only", metric),
        f"±{100 * real['detectable']:.1f}" if real else words.NONE,
        _difference(line.figures, "duplicate_real", metric),
        *([] if view.multilabel else [md(words.p_value(mcnemar["p_adjusted"])) if mcnemar else words.NONE]),
        *[
            f"{words.number(m.value)} (real {words.number(m.floor)}, n {m.n})" if m else words.NONE
            for m in measures
        ],
        f"{words.percent(gate.rate)}{' gate blind' if gate.blind else ' copies' if gate.gated else ''}"
        if gate
        else words.NONE,
    ]


def _brackets(view: View) -> str:
    brackets, metric = view.comparison["settings"]["brackets"], view.metric
    rows = []
    for line in view.lines:
        if line.figures:
            each = [view.figures("test", b)[line.name] for b in brackets]
            cells = [(_value(f[metric["name"]], metric), _difference(f, "real_only", metric)) for f in each]
            rows.append([md(line.name), *[cell for pair in cells for cell in pair]])
    head = ["Row", *[title for b in brackets for title in (f"+{b}", f"+{b} vs real\\_only")]]
    return tabulated(head, rows)


def _pairs(view: View, figures: Mapping[str, Any], metrics: Sequence[Mapping[str, Any]]) -> str:
    """A table of rows with some metrics and their differences to real_only."""
    rows = []
    for line in view.lines:
        if line.name in figures:
            own = figures[line.name]
            each = [(_value(own[m["name"]], m), _difference(own, "real_only", m)) for m in metrics]
            rows.append([md(line.name), *[cell for pair in each for cell in pair]])
    head = ["Row", *[title for m in metrics for title in (m["title"], "vs real\\_only")]]
    return tabulated(head, rows)


def _metrics(view: View) -> list[str]:
    if len(view.metrics) == 1:
        return []
    text = "Differences are in points, hundredths of the metric."
    return ["## All metrics", text, _pairs(view, view.figures("test", view.bracket), view.metrics)]


def _quality(view: View) -> list[str]:
    """All figures of merit, folded away."""
    metrics = view.quality_metrics
    if not metrics:
        return []
    rows = []
    for line in view.lines:
        if own := view.quality(line.name):
            cells = [_value(own[m["name"]], m) if m["name"] in own else words.NONE for m in metrics]
            rows.append([md(line.name), *cells])
    table = tabulated(["Row", *[md(m["title"]) for m in metrics]], rows)
    text = f"Bootstrap intervals, patients drawn with replacement, at +{view.bracket} {md(view.unit)}."
    summary = "<details><summary>With bootstrap intervals</summary>"
    return ["## All figures of merit", text, f"{summary}\n\n{table}\n\n</details>"]


def _splits(view: View) -> list[str]:
    parts = []
    for split in view.splits:
        figures = view.figures(split["name"], view.bracket)
        table = _pairs(view, figures, view.split_metrics)
        parts += [f"## {split['title']}", split["sentence"], table]
    return parts


def _classes(view: View) -> str:
    classes = view.comparison["settings"]["classes"]
    key, form = ("auroc", {"percent": False}) if view.multilabel else ("recall", {"percent": True})
    rows = [
        [
            md(li.name),
            *[
                _value(found[key], form) + (f" F1 {found['f1']:.2f}" if view.multilabel else "")
                for found in (li.figures["per_class"][c] for c in classes)
            ],
        ]
        for li in view.lines
        if li.figures
    ]
    return tabulated(["Row", *map(md, classes)], rows)


def _group(figure: Mapping[str, Any], metric: Mapping[str, Any]) -> str:
    found = figure["versus_real_only"]
    versus = f"; {words.points(found['estimate'])} {words.points_range(found)}" if found else ""
    return _value(figure, metric) + md(versus)


def _subgroups(view: View) -> list[str]:
    groups = view.groups()
    shown = [g for g in groups if not g["too_small"]]
    small = [f"{g['field']} {g['value']} ({plural(g['patients'], 'patient')}, {g['too_small']})"
             for g in groups if g["too_small"]]  # fmt: skip
    if not groups:
        return []
    head = ["Row", *[md(f"{g['field']} {g['value']}, n {g['images']}") for g in shown]]
    rows = [
        [md(li.name), *[_group(li.subgroups[g["field"]][g["value"]], view.metric) for g in shown]]
        for li in view.lines
        if li.subgroups
    ]
    parts = [
        f"## {view.metric['title']} by subgroup",
        "With the difference to real\\_only in points; not adjusted for the number of groups.",
    ]
    parts += [tabulated(head, rows)] if shown else []
    return parts + ([f"Too small to judge: {md('; '.join(small))}."] if small else [])


def _costs(view: View) -> str:
    rows = []
    for line in view.lines:
        c = line.manifest.costs
        values = (c.fit_seconds, c.sample_seconds, c.classify_seconds, c.peak_memory_mb)
        rows.append([md(line.name), *map(words.cost, values)])
    return tabulated(("Row", "Fit, s", "Sample, s", "Classify, s", "Peak memory, MB"), rows)


def _provenance(view: View) -> str:
    head = view.head
    facts = [
        f"Source {md(head.source)}, fingerprint `{head.data.fingerprint}`",
        f"Protocol `{head.protocol_hash}`, {md(head.citation)}",
        f"Seeds {', '.join(map(str, head.seeds))}",
        *[f"Classifier {md(words.classifier(card))}" for card in head.classifier_cards],
        *[f"{name} {md(settings(said))}" for name, said in view.rules()],
        *[md(note) for note in view.notes],
    ]
    return "\n".join(f"- {fact}" for fact in facts)
