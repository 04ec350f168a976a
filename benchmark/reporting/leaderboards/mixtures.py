"""Sentences on rows, and on stages of one row, that were computed with different software or hardware.

And on generators that were not isolated, and on figures of bundles that no page shows.
"""

from collections.abc import Iterable, Sequence

from benchmark.bundles.schema import Manifest
from benchmark.engine.sandbox.level import EXPOSED
from benchmark.plugins.metric import FEWEST_IMAGES, enough_images
from benchmark.reporting.formats import measure_title, settings
from benchmark.utils.formatting import listed, plural

MAX_NAMES = 3  # rows that a sentence names; more are counted


def mixtures(manifests: Sequence[Manifest]) -> list[str]:
    """Return a sentence per property in which rows or stages of a row differ, and on what is unknown."""
    return [
        *_exposed(manifests),
        *_between_rows(manifests),
        *_within_rows(manifests),
        *_unknown(manifests),
    ]


def _exposed(manifests: Iterable[Manifest]) -> Iterable[str]:
    exposed = [m.row.name for m in manifests if m.provenance and m.provenance.isolation in EXPOSED]
    if exposed:
        yield f"The code of {_rows(exposed)} ran without isolation: nothing kept it from the test images."


def hidden_measures(manifests: Sequence[Manifest]) -> list[str]:
    """Return a sentence per measure of too few images."""
    rows: dict[tuple[str, int], list[str]] = {}
    for manifest in manifests:
        for name, measure in manifest.measures.items():
            if not enough_images(name, measure.n):
                rows.setdefault((measure_title(name, measure.card), measure.n), []).append(manifest.row.name)
    return [
        f"{title} of {_rows(names)} is not shown: {n} images on each side, expected at least {FEWEST_IMAGES}."
        for (title, n), names in rows.items()
    ]


def _between_rows(manifests: Iterable[Manifest]) -> Iterable[str]:
    values: dict[str, dict[tuple[str, ...], list[str]]] = {}
    for manifest in manifests:
        computed = {"device": manifest.device, "precision": manifest.precision} if manifest.software else {}
        for name, value in {**manifest.software, **manifest.hardware, **computed}.items():
            own = tuple(map(settings, value)) if isinstance(value, list) else (settings(value),)
            values.setdefault(name, {}).setdefault(own, []).append(manifest.row.name)
    for name, rows in values.items():
        if len(rows) > 1:
            yield f"Rows mix {name}: {_each((' and '.join(own), _rows(rows[own])) for own in rows)}."


def _within_rows(manifests: Iterable[Manifest]) -> Iterable[str]:
    rows: dict[str, list[str]] = {}
    for manifest in manifests:
        for name, values in manifest.provenance.mixed.items() if manifest.provenance else ():
            stages = _each((value, listed(list(own))) for value, own in values.items())
            rows.setdefault(f"mix {name}: {stages}", []).append(manifest.row.name)
    return (f"Stages of {_rows(names)} {mixed}." for mixed, names in rows.items())


def _unknown(manifests: Iterable[Manifest]) -> Iterable[str]:
    rows: dict[tuple[str, ...], list[str]] = {}
    for manifest in manifests:
        if manifest.provenance and manifest.provenance.unrecorded:
            rows.setdefault(manifest.provenance.unrecorded, []).append(manifest.row.name)
    for stages, names in rows.items():
        yield (
            f"Software and hardware of {listed(list(stages))} of {_rows(names)} are unknown: their stored "
            "results do not name them."
        )


def _each(values: Iterable[tuple[str, str]]) -> str:
    return ", ".join(f"{value} ({owners})" for value, owners in values)


def _rows(names: list[str]) -> str:
    return listed(sorted(names)) if len(names) <= MAX_NAMES else plural(len(names), "row")
