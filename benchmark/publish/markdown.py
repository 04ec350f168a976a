"""The leaderboard as GitHub-flavored Markdown."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from benchmark.publish import words
from benchmark.publish.glossary import GLOSSARY
from benchmark.publish.view import Line, View
from benchmark.publish.words import markdown as md

SIGNS = {True: "held", False: "**did not hold**", None: "not judged"}


def text(view: View) -> str:
    """The whole page; costs stand between ``<!-- costs -->`` and ``<!-- /costs -->``."""
    s, test = view.comparison["settings"], view.comparison["splits"]["test"]
    level = words.percent(1 - s["alpha"], 0)
    parts = [
        f"# {md(view.title)}",
        md(view.head.question),
        f"> **{md(view.kind)}**",
        "\n".join(f"- {md(f['text'])}" for f in view.findings),
        "## Leaderboard",
        f"Balanced accuracy on {test['images']} test images of {test['patients']} patients "
        f"at +{view.bracket} images per class, mean over {len(s['runs'])} trainings, "
        f"{level} intervals over patients and trainings. "
        f"Rows of one rank cannot be told apart ({view.comparison['ranking']['compared']} pairs compared, "
        f"{s['correction']}). Intervals are for one comparison at a time; ranks and findings are adjusted.",
        _leaderboard(view),
        *[f"`{line.name}` failed: {md(line.manifest.error)}" for line in view.lines if line.manifest.error],
        "## Did the controls behave?",
        _table(
            ("Verdict", "Claim", "Evidence"),
            [(SIGNS[c["held"]], md(c["claim"]), md(c["evidence"])) for c in view.comparison["controls"]],
        ),
        "## By bracket",
        _brackets(view),
        *_paper(view),
        "## Recall of each class",
        _recalls(view),
        "## Tests over all rows",
        _tests(view),
        f"<!-- costs -->\n## Costs\n\n{_costs(view)}\n<!-- /costs -->",
        "## Provenance",
        _provenance(view),
        "## Glossary",
        "\n".join(f"- **{md(term)}**: {md(meaning)}" for term, meaning in GLOSSARY),
    ]
    return "\n\n".join(parts) + "\n"


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def _share(figure: Mapping[str, Any]) -> str:
    return md(f"{words.percent(figure['estimate'])} {words.percent_range(figure)}")


def _difference(figures: Mapping[str, Any], base: str, metric: str = "balanced_accuracy") -> str:
    found = (figures["versus"].get(base) or {}).get(metric)
    return md(f"{words.points(found['estimate'])} {words.points_range(found)}") if found else words.NONE


def _leaderboard(view: View) -> str:
    titles = [md(words.measure_title(m)) for m in view.measures]
    head = ["Rank", "Row", "Role", "Balanced accuracy", "vs real\\_only", "Detectable", "vs duplicate\\_real",
            "McNemar p", *titles, "Copies"]  # fmt: skip
    return _table(head, [_row(view, line) for line in view.lines])


def _row(view: View, line: Line) -> list[str]:
    rank = words.NONE if line.rank is None else f"{line.rank}{' (tied)' if line.tied else ''}"
    name = f"~~{md(line.name)}~~ gated" if line.gated else f"**{md(line.name)}**"
    cells = [rank, name, line.manifest.row.role]
    if not line.figures:
        return [*cells, "failed", *[words.NONE] * (5 + len(view.measures))]
    real = (line.figures["versus"].get("real_only") or {}).get("balanced_accuracy")
    mcnemar, gate = line.figures["mcnemar"], line.manifest.memorization
    measures = [line.manifest.measures.get(m) for m in view.measures]
    return [
        *cells,
        _share(line.figures["balanced_accuracy"]),
        _difference(line.figures, "real_only"),
        f"±{100 * real['detectable']:.1f}" if real else words.NONE,
        _difference(line.figures, "duplicate_real"),
        md(words.p_value(mcnemar["p_adjusted"])) if mcnemar else words.NONE,
        *[
            f"{words.number(m.value)} (real {words.number(m.floor)}, n {m.n})" if m else words.NONE
            for m in measures
        ],
        f"{words.percent(gate.rate)}{' gate blind' if gate.blind else ' copies' if gate.gated else ''}"
        if gate
        else words.NONE,
    ]


def _brackets(view: View) -> str:
    brackets = view.comparison["settings"]["brackets"]
    rows = []
    for line in view.lines:
        if line.figures:
            each = [view.figures("test", b)[line.name] for b in brackets]
            rows.append([md(line.name), *[v for f in each for v in
                         (_share(f["balanced_accuracy"]), _difference(f, "real_only"))]])  # fmt: skip
    head = ["Row", *[title for b in brackets for title in (f"+{b}", f"+{b} vs real\\_only")]]
    return _table(head, rows)


def _paper(view: View) -> list[str]:
    if "test_paper" not in view.comparison["splits"]:
        return []
    paper, figures = view.comparison["splits"]["test_paper"], view.figures("test_paper", view.bracket)
    rows = [
        [
            md(line.name),
            _share(figures[line.name]["accuracy"]),
            _difference(figures[line.name], "real_only", "accuracy"),
            _share(figures[line.name]["balanced_accuracy"]),
            _difference(figures[line.name], "real_only"),
        ]
        for line in view.lines
        if line.name in figures
    ]
    head = ("Row", "Accuracy", "vs real\\_only", "Balanced accuracy", "vs real\\_only")
    return [
        "## On a test split of the published size",
        f"{paper['images']} images of {paper['patients']} patients.",
        _table(head, rows),
    ]


def _recalls(view: View) -> str:
    classes = view.comparison["settings"]["classes"]
    rows = [
        [md(li.name), *[_share(li.figures["per_class"][c]["recall"]) for c in classes]]
        for li in view.lines
        if li.figures
    ]
    return _table(["Row", *map(md, classes)], rows)


def _tests(view: View) -> str:
    found = view.comparison["kruskal_wallis"]
    if found["p"] is None:
        return f"Kruskal-Wallis cannot be computed: {found['reason']}."
    return (
        f"Kruskal-Wallis over {found['n']} trainings: H({found['df']}) = {words.number(found['statistic'])}, "
        f"{md(words.p_equals(found['p']))}, ε² = {found['epsilon_squared']:.2f}. "
        "Dunn's post hoc test of all pairs is in leaderboard.json."
    )


def _costs(view: View) -> str:
    rows = []
    for line in view.lines:
        c = line.manifest.costs
        values = (c.fit_seconds, c.sample_seconds, c.classify_seconds, c.peak_memory_mb)
        rows.append([md(line.name), *map(words.cost, values)])
    return _table(("Row", "Fit, s", "Sample, s", "Classify, s", "Peak memory, MB"), rows)


def _provenance(view: View) -> str:
    head = view.head
    facts = [
        f"Source {md(head.source)}, fingerprint `{head.data.fingerprint}`",
        f"Protocol `{head.protocol_hash}`, {md(head.citation)}",
        f"Seeds {', '.join(map(str, head.seeds))}; classifiers {md(', '.join(head.classifiers))}",
        *[md(note) for note in view.notes],
    ]
    return "\n".join(f"- {fact}" for fact in facts)
