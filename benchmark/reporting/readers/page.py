"""The page of a reader study: one file, which needs no server and no network."""

import base64
import json
from dataclasses import asdict
from functools import cache
from pathlib import Path
from typing import Any

from benchmark.comparison.csv.realism import REAL
from benchmark.reporting.readers.study import Study
from benchmark.utils.hashing import sha256_of

FOLDER = Path(__file__).parent


def study_page(study: Study, task: str) -> str:
    """Return the HTML of a study.

    The model of every image is in the page in base64, so that a reader does not see it by accident; a page
    cannot hide anything from somebody who looks for it.
    """
    protocol = study.protocol
    key = {i.name: {"model": i.model, "class": i.of_class} for i in study.images}
    data = {
        "id": sha256_of([task, protocol.name, key, [len(i.png) for i in study.images]])[:16],
        "protocol": protocol.name,
        "title": protocol.title,
        "real": REAL,
        "questions": [asdict(question) for question in protocol.questions],
        "images": [
            {
                "name": i.name,
                "class": i.of_class if protocol.shows_class else "",
                "source": f"data:image/png;base64,{base64.b64encode(i.png).decode()}",
            }
            for i in study.images
        ],
        "screens": study.screens,
        "key": base64.b64encode(json.dumps(key).encode()).decode(),
    }
    script = (FOLDER / "study.js").read_text(encoding="utf-8")
    style = (FOLDER / "study.css").read_text(encoding="utf-8")
    content = json.dumps(data).replace("<", "\\u003c")
    return str(_template().render(title=protocol.title, task=task, data=content, script=script, style=style))


@cache
def _template() -> Any:
    import jinja2

    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(FOLDER), autoescape=True, undefined=jinja2.StrictUndefined
    )
    return environment.get_template("study.html.jinja")
