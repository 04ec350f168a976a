"""Curves of a row's fits, and a figure of their previews."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from benchmark.engine.node import Graph
from benchmark.engine.store import Result
from benchmark.images.plots import Strip, training_grid
from benchmark.stages.fit import FitConfig, FitResult
from benchmark.stages.preview_images import PreviewImages
from benchmark.stages.records import FID_OF, MS_SSIM_OF, History

Results = Mapping[str, Result]  # by node id


def fit_curves(graph: Graph, results: Results, row: str) -> list[dict[str, Any]]:
    """Return what ``bundle.json`` holds of the previews of a row's fits."""
    curves = []
    for node in graph.find("fit", row):
        assert isinstance(node.config, FitConfig)
        main = f"val_fid_{node.config.extractor}"
        entries = [entry for entry in _history(results.get(node.id)) if main in entry]
        of_class = [name for entry in entries for name in entry if name.startswith((FID_OF, MS_SSIM_OF))]
        if entries:
            part = "" if node.config.unit == "joint" else node.config.of_class
            figures = {n: [entry.get(n) for entry in entries] for n in dict.fromkeys([main, *of_class])}
            curves.append({
                "fit": node.fit, "fold": node.fold, "of_class": part, "number": node.config.number,
                "step": [int(entry["step"]) for entry in entries], "figures": figures,
            })  # fmt: skip
    return curves


def _history(result: Result | None) -> History:
    return [] if result is None else result.read(FitResult).history


def training_picture(graph: Graph, results: Results, row: str) -> bytes | None:
    """Return a PNG of the previews of the first fit of each class; None where there are none."""
    strips: dict[str, Strip] = {}
    for node in graph.find("fit", row):
        stored = PreviewImages.load(results[node.id].folder) if node.id in results else None
        for strip in stored.strips() if stored and node.fold == 0 else ():
            strips.setdefault(strip.name, strip)
    if not strips:
        return None
    with tempfile.TemporaryDirectory() as scratch:
        path = Path(scratch) / "training.png"
        training_grid(list(strips.values()), path)
        return path.read_bytes()
