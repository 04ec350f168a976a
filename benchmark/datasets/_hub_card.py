"""The card of a built dataset in the format of the ``datasets`` library: ``README.md`` with YAML metadata."""

import re
from collections.abc import Mapping
from typing import Any

import numpy as np

from benchmark.images.image_set import ImageSet

LICENSES = (
    "apache-2.0",
    "mit",
    "cc0-1.0",
    "cc-by",
    "cc-by-sa",
    "cc-by-nc",
    "cc-by-nc-sa",
)  # names on the Hub
SIZES = ((1_000, "n<1K"), (10_000, "1K<n<10K"), (100_000, "10K<n<100K"), (1_000_000, "100K<n<1M"))
PARTS = {"": "train", "val": "validation"}  # usual names on the Hub
TEXT = """\
# {title}

{rows} images of {width} x {height} pixels, 8-bit gray, as PNG without loss. Classes: {classes}.
Written by `python -m benchmark data build --format datasets` of SynthThorax from the source `{source}`.

| split | images |
|---|---|
{table}

```python
import datasets

images = datasets.load_dataset("FOLDER_OR_NAME")
```

SynthThorax reads it with `--source huggingface --root FOLDER`, or `--set name=OWNER/NAME,revision=COMMIT`.
The column `split` has the suite's names of the splits.

{facts}## Notes

{notes}
"""


def parts_of(images: ImageSet) -> list[tuple[str, int]]:
    """Return the name on the Hub and the number of images of every split, in the order of the images."""
    if images.split is None:
        return [(PARTS[""], len(images))]
    names, first, counts = np.unique(images.split, return_index=True, return_counts=True)
    return [(PARTS.get(str(names[k]), str(names[k])), int(counts[k])) for k in np.argsort(first)]


def readme(survey: Mapping[str, Any], source: str) -> str:
    """Return the card of a dataset.

    Args:
        survey: card, classes, size, parts and rows of the dataset.
        source: name of the source that it was built from.
    """
    from huggingface_hub import DatasetCardData

    card, rows = survey["card"], survey["rows"]
    title = str(card.get("name") or card.get("source") or source)
    metadata = DatasetCardData(
        **_license(str(card.get("license", ""))),
        pretty_name=title,
        task_categories=["image-classification"],
        size_categories=next((name for most, name in SIZES if rows < most), "n>1M"),
        configs=[
            {
                "config_name": "default",
                "data_files": [{"split": part, "path": f"{part}-*.parquet"} for part, _ in survey["parts"]],
            }
        ],
    )
    facts = {k: card[k] for k in ("license", "url", "citation") if card.get(k)}
    text = TEXT.format(
        title=title,
        source=source,
        rows=rows,
        width=survey["width"],
        height=survey["height"],
        classes=", ".join(survey["classes"]),
        table="\n".join(f"| {part} | {n} |" for part, n in survey["parts"]),
        facts="".join(f"{name.capitalize()}: {value}\n\n" for name, value in facts.items()),
        notes="\n".join(f"- {note}" for note in card.get("notes", ())) or "None.",
    )
    return f"---\n{metadata.to_yaml()}\n---\n\n{text}"


def _license(name: str) -> dict[str, Any]:
    """Return the license as metadata of the Hub; an unknown one is ``other`` with its name."""
    slug = re.sub(r"[^a-z0-9.]+", "-", name.lower()).strip("-")
    if slug in LICENSES or re.sub(r"-\d\.\d$", "", slug) in LICENSES:
        return {"license": slug}
    return {"license": "other", "license_name": slug or "not-stated"}
