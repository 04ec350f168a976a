"""Jobs of the stages that fit a generator and draw from it, without a graph."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmark.engine.node import Node
from benchmark.images import arrow
from benchmark.images.image_set import ImageSet, Splits
from benchmark.stages.fit import FitConfig, FitResult, fit
from benchmark.stages.job import DATA, GENERATOR, SYNTHETIC, Job
from benchmark.stages.sample import SampleConfig, sample
from benchmark.tasks.profile import Previews
from benchmark.tasks.rules import Mix
from support.samples import blobs

RECORDER = '''"""Draws images that tell their number and training images; writes down what it saw."""
import json
from pathlib import Path
import numpy as np
from pydantic import BaseModel
from benchmark.plugins.generator import Samples

version = "1"
HERE = Path(__file__).parent

class Params(BaseModel, extra="forbid", frozen=True):
    pass

def log(**about):
    with open(HERE / "calls.jsonl", "a") as file:
        file.write(json.dumps(about) + "\\n")

class Generator:
    conditions = CONDITIONS
    fit_unit = "joint"
    whole_chunks = WHOLE
    def __init__(self, params):
        pass
    def fit(self, train, context):
        self.ids, self.seed = train.image_id.tolist(), context.seed
        log(call="fit", ids=self.ids, size=train.size, seed=context.seed)
        context.log(1, loss=0.5)
    def sample(self, request, context):
        log(call="sample", seed=context.seed, index=request.index.tolist())
        if (HERE / "crash").exists() and request.index[0] >= int((HERE / "crash").read_text()):
            raise SystemExit("killed")
        n, s = len(request), request.image_size
        image = np.empty((n, s, s), np.uint8)
        for k, i in enumerate(request.index.tolist()):
            rng = np.random.default_rng([context.seed, n, k] if self.whole_chunks else [i])
            image[k] = rng.integers(0, 256, (s, s))
        image[:, 0, 0], image[:, 0, 1] = request.index, self.seed % 256
        image[:, 0, 2] = int(self.ids[0].split("-")[1])
        return Samples(image, EXTRA)
    def save(self, folder):
        (folder / "m.json").write_text(json.dumps([self.ids, self.seed]))
    @classmethod
    def load(cls, folder, context):
        made = cls(None)
        made.ids, made.seed = json.loads((folder / "m.json").read_text())
        return made
'''
CLASSES = ("a", "b", "c")


class Jobs:
    """A generator file, data on disk, and the fits and drawings of them."""

    def __init__(
        self,
        root: Path,
        splits: Splits,
        *,
        conditions: Sequence[str] = ("label",),
        whole: bool = True,
        extra: str = "",
        text: str = RECORDER,
        origin: str = "builtin",  # runs in this process, and so can write down what it saw
    ) -> None:
        self.root, self.splits = root, splits
        code = text.replace("CONDITIONS", repr(set(conditions))).replace("WHOLE", str(whole))
        self.file = root / "recorder.py"
        self.file.write_text(code.replace("EXTRA", extra))
        if not (root / "data").exists():
            (root / "data").mkdir()
            arrow.write_splits(root / "data", splits)
        self.shared: dict[str, Any] = {
            "plugin": {"name": "recorder", "origin": origin, "version": "1", "target": str(self.file)},
            "assets": (), "unit": "joint", "conditions": tuple(conditions), "requests": {}, "chunk": 4,
            "classes": splits.train.classes, "device": "cpu", "precision": "float32",
        }  # fmt: skip

    def calls(self, call: str) -> list[dict[str, Any]]:
        """Return what the generator wrote down of its calls."""
        path = self.root / "calls.jsonl"
        lines = path.read_text().splitlines() if path.exists() else []
        return [about for about in map(json.loads, lines) if about["call"] == call]

    def job(self, name: str, config: Any, inputs: Mapping[str, Sequence[Path]], seed: int = 0) -> Job[Any]:
        """Return a job with folders of its own; an earlier one of that name leaves its scratch folder."""
        out, work = self.root / name / "out", self.root / name / "work"
        out.mkdir(parents=True, exist_ok=True)
        work.mkdir(exist_ok=True)
        node = Node(name, config, row="recorder", seed=seed)
        return Job(node, {role: tuple(folders) for role, folders in inputs.items()}, out, work)

    def fit(
        self, name: str, of_class: str = "", number: int = 0, seed: int = 0, **changes: Any
    ) -> tuple[Path, FitResult]:
        """Fit, and return folder and result."""
        inputs = {DATA: [self.root / "data"]} | changes.pop("inputs", {})
        config = FitConfig(
            **self.shared | {"of_class": of_class, "number": number} | changes,
            params={}, paths={}, mix=Mix(), extractor="phantom_cxr_v1", extractor_hash="",
            previews=Previews(images=10), reserve=False,
        )  # fmt: skip
        job = self.job(name, config, inputs, seed)
        result = fit(job)
        job.write(result)
        return job.out, result

    def draw(self, name: str, of_class: str, fits: Sequence[Path], count: int, **changes: Any) -> ImageSet:
        """Draw images of a class, and return them."""
        inputs = {DATA: [self.root / "data"], GENERATOR: fits} | changes.pop("inputs", {})
        given = {"mix": Mix(), "image_size": self.splits.train.size} | changes
        config = SampleConfig(**self.shared | {"of_class": of_class, "bracket": count} | given)
        job = self.job(name, config, inputs)
        job.write(sample(job))
        return arrow.read_images(job.out / SYNTHETIC)


def small_splits(size: int = 16) -> Splits:
    """Return splits of three classes with 6, 4 and 2 training images."""
    return Splits(
        train=blobs({"a": 6, "b": 4, "c": 2}, size=size, seed=1, prefix="train"),
        val=blobs({"a": 3, "b": 3, "c": 3}, size=size, seed=2, prefix="val"),
        test=blobs({"a": 3, "b": 3, "c": 3}, size=size, seed=3, prefix="test"),
        reserve=blobs({"a": 3, "b": 3, "c": 3}, size=size, seed=4, prefix="reserve"),
    )
