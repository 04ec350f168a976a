"""A fitted generator as a folder of diffusers or peft, with a page on how to load it without this suite."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any, Literal

from benchmark.errors import GeneratorError
from benchmark.experiments.fitted_row import FittedRow
from benchmark.plugins.generator import FORMATS
from benchmark.stages.fit import FITTED
from benchmark.utils.files import atomic_folder

PAGE = """\
# {title}

Row `{row}` of a run of SynthThorax: task {task}, profile {profile}, source {source}, fit seed {seed}{part}.
Classes: {classes}. {license}

{how}
A network with classes takes `class_labels`: the index of a class among those above.
The prompts of the run: {prompts}
{warning}"""
OF_PATIENTS = """
The model learned from images of patients and may reproduce them: the terms of their source hold for it too.
"""
PIPELINE = """\
```python
from diffusers import DiffusionPipeline

pipeline = DiffusionPipeline.from_pretrained("FOLDER")
```
"""
ADAPTER = """\
The weights are a difference to the base checkpoint{bases}. Load that first:

```python
from diffusers import DiffusionPipeline
from peft import PeftModel

pipeline = DiffusionPipeline.from_pretrained("BASE")
{lines}
```
"""


def write_library_folder(
    row: FittedRow, kind: Literal["diffusers", "peft"], out: Path, about: dict[str, Any], label: str | None
) -> None:
    """Copy a fit as the library loads it, and write ``README.md``.

    Args:
        about: ``formats`` of the row; title, license, task, profile, source and data kind for the page.
        label: class of the fit, of a generator with one fit per class.
    Raises:
        GeneratorError: the fit is not in the format of the library, or a label has to choose among fits.
    """
    where, formats = f"row '{row.name}'", about["formats"]
    if kind not in formats:
        others = [name for name in (*formats, "mlflow") if name != kind]
        remedy = f"Use --format {' or '.join(others)}."
        raise GeneratorError(where, f"is not saved in the format of {kind}", remedy)
    chosen = [row.fits[label]] if label else row.fits.values()
    fits = list(dict.fromkeys(folder for own in chosen for folder in own.folders))
    if len(fits) != 1:
        remedy = f"Give --label, one of: {', '.join(row.labels)}."
        raise GeneratorError(where, f"has {len(fits)} fits", remedy)
    saved = fits[0] / FITTED
    if not list(saved.rglob(FORMATS[kind])):
        problem = f"declares the format of {kind}, and its folder has no {FORMATS[kind]}"
        raise GeneratorError(where, problem, "Correct its save(), or its formats.")
    with atomic_folder(out) as part:
        shutil.copytree(saved, part, dirs_exist_ok=True)
        (part / "README.md").write_text(_page(row, kind, saved, about, label), encoding="utf-8")


def _page(row: FittedRow, kind: str, saved: Path, about: dict[str, Any], label: str | None) -> str:
    config = row.fits[row.labels[0]].config
    rule = config.requests.get("prompt")
    how = PIPELINE
    if kind == "peft":
        bases = ", ".join(f"{asset.name} (SHA-256 {asset.hash})" for asset in config.assets)
        parts = [path.parent.relative_to(saved) for path in sorted(saved.rglob(FORMATS[kind]))]
        lines = [
            f"pipeline.{part.name or 'unet'} = PeftModel.from_pretrained("
            f'pipeline.{part.name or "unet"}, "{Path("FOLDER", part)}")'
            for part in parts
        ]
        how = ADAPTER.format(bases=f" {bases}" if bases else "", lines="\n".join(lines))
    return PAGE.format(
        title=about["title"], row=row.name, task=about["task"], profile=about["profile"],
        source=about["source"], seed=row.fit_seed, part=f", class {label}" if label else "",
        classes=", ".join(row.labels), license=f"License: {about['license']}." if about["license"] else "",
        how=how, prompts="none" if rule is None else getattr(rule, "template", str(rule)),
        warning=OF_PATIENTS if about["data_kind"] == "real" else "",
    )  # fmt: skip
