"""A generator from outside: the same images as in the worker's process, at every level of isolation."""

from __future__ import annotations

import filecmp
import json
from pathlib import Path

import numpy as np
import pytest
import torch

from benchmark.classifiers.evaluator import save_evaluator
from benchmark.classifiers.network import build
from benchmark.engine.sandbox.level import LEVELS, works
from benchmark.errors import BenchmarkError, GeneratorError
from benchmark.stages.fit import FITTED
from benchmark.stages.fit_context import Fit
from benchmark.stages.guide import CLASSIFIER, GuideResult
from benchmark.stages.job import RESULT
from benchmark.tasks.classifier import ClassifierConfig
from benchmark.utils.files import write_json
from benchmark.utils.training_state import one_thread
from support.generator_jobs import Jobs, small_splits
from support.samples import ROOT

EXAMPLE = (ROOT / "examples" / "my_generator.py").read_text(encoding="utf-8")


def fitted_and_drawn(root: Path, origin: str) -> tuple[Path, np.ndarray]:
    """Return the folder of the fit, and images drawn from it."""
    root.mkdir()
    jobs = Jobs(root, small_splits(), text=EXAMPLE, origin=origin)
    folder, _ = jobs.fit("fit", seed=3)
    return folder, np.asarray(jobs.draw("draw", "a", [folder], 6).image)


@pytest.fixture(scope="module")
def in_process(tmp_path_factory):
    return fitted_and_drawn(tmp_path_factory.mktemp("inside") / "run", "builtin")


@pytest.mark.parametrize("level", LEVELS)
def test_an_honest_generator_gives_the_same_bytes_in_a_sandbox(level, in_process, tmp_path, monkeypatch):
    """The saved model and the drawn images of my_generator do not depend on where its code runs."""
    if not works(level):
        pytest.skip(f"no {level} here")
    monkeypatch.setenv("SYNTHTHORAX_SANDBOX", level)
    folder, images = fitted_and_drawn(tmp_path / "run", "file")
    names = [p.name for p in (in_process[0] / FITTED).iterdir()]
    assert filecmp.cmpfiles(in_process[0] / FITTED, folder / FITTED, names, shallow=False)[0] == names
    np.testing.assert_array_equal(images, in_process[1])


RESUMES = '''"""Saves its state at each step, and ends its process at the second step of its first fit."""
import json, os
import numpy as np
from pydantic import BaseModel
from benchmark.plugins.generator import Samples
version = "1"
class Params(BaseModel, extra="forbid", frozen=True):
    pass
class Generator:
    conditions = {"label"}
    def __init__(self, params):
        pass
    def fit(self, train, context):
        state = context.load_state()
        first, self.total = (state["step"], state["total"]) if state else (0, 0.0)
        for step in range(first, 4):
            self.total += float(np.random.default_rng([context.seed, step]).random())
            context.log(step + 1, loss=self.total)
            context.checkpoint(step + 1, 4)
            context.save_state({"step": step + 1, "total": self.total})
            if DIES and step == 1 and not state:
                os._exit(9)
            if context.should_stop:
                return
    def sample(self, request, context):
        shape = (len(request), request.image_size, request.image_size)
        return Samples(np.random.default_rng(context.seed).random(shape) * self.total / 4)
    def save(self, folder):
        (folder / "deep").mkdir()
        (folder / "deep" / "model.json").write_text(json.dumps(self.total))
    @classmethod
    def load(cls, folder, context):
        made = cls(None)
        made.total = json.loads((folder / "deep" / "model.json").read_text())
        return made
'''


def recording(root: Path, origin: str, *, dies: bool) -> Jobs:
    root.mkdir()
    return Jobs(root, small_splits(), text=RESUMES.replace("DIES", str(dies)), origin=origin)


def test_a_fit_whose_process_ended_resumes_to_the_same_bytes(tmp_path):
    """Curves, previews and the saved model are those of an uninterrupted fit in the worker's process."""
    folder, expected = recording(tmp_path / "inside", "builtin", dies=False).fit("fit", seed=3)
    jobs = recording(tmp_path / "outside", "file", dies=True)
    with pytest.raises(GeneratorError, match=r"generator 'recorder' \(recorder.py\).*status 9"):
        jobs.fit("fit", seed=3)
    resumed, result = jobs.fit("fit", seed=3)
    assert result.history == expected.history
    assert [entry["step"] for entry in result.history] == [1, 2, 3, 4]
    model = Path(FITTED, "deep", "model.json")
    assert (resumed / model).read_bytes() == (folder / model).read_bytes()


def test_a_fit_may_leave_notes_and_end_early(tmp_path):
    """Notes and the reason of an early end reach the result; the best preview before the end stands."""
    root = tmp_path / "run"
    root.mkdir()
    text = RESUMES.replace("DIES", "False").replace(
        "            if context.should_stop:",
        "            context.note(f'step {step}')\n"
        "            if step == 1:\n"
        "                context.stop(2, 'it failed')\n"
        "                return\n"
        "            if context.should_stop:",
    )
    _, result = Jobs(root, small_splits(), text=text, origin="file").fit("fit")
    assert [note.split(": ", 1)[1] for note in result.notes[:2]] == ["step 0", "step 1"]
    assert "ended early: it failed" in result.notes[2]
    assert result.history[-1]["ended_early"] == 1


def test_a_tuner_stops_a_fit(tmp_path, monkeypatch):
    """should_stop is the suite's answer to the last checkpoint."""
    monkeypatch.setattr(Fit, "should_stop", property(lambda self: len(self.history) >= 2))
    _, result = recording(tmp_path / "run", "file", dies=False).fit("fit")
    assert [entry["step"] for entry in result.history] == [1, 2]


GUIDED = '''"""Draws the gradient of the classifier."""
import json
import numpy as np
from pydantic import BaseModel
from benchmark.plugins.generator import Samples
version = "1"
class Params(BaseModel, extra="forbid", frozen=True):
    pass
class Generator:
    conditions = {"label"}
    requires = {"classifier"}
    def __init__(self, params):
        pass
    def fit(self, train, context):
        import torch
        assert torch.get_num_threads() == 1 and torch.are_deterministic_algorithms_enabled()
        batch = torch.from_numpy(np.array(train.image[:1])).float().div(255).unsqueeze(1).requires_grad_()
        context.classifier(batch)[:, 1].sum().backward()
        self.gradient = batch.grad[0, 0].tolist()
    def sample(self, request, context):
        import torch
        black = torch.zeros(1, 1, 16, 16)
        gray = context.classifier(black).softmax(1)[0, 1].item()
        return Samples(np.full((len(request), request.image_size, request.image_size), gray))
    def save(self, folder):
        (folder / "model.json").write_text(json.dumps(self.gradient))
    @classmethod
    def load(cls, folder, context):
        assert context.classifier is not None
        return cls(None)
'''


def test_the_classifier_is_loaded_inside(tmp_path):
    """Its gradients in a fit and its scores while sampling are those in the worker's process."""
    guide = tmp_path / "guide"
    guide.mkdir()
    classifier = ClassifierConfig.model_validate({
        "name": "tiny", "timm": "resnet10t", "timm_kwargs": {"channels": [8, 8, 16, 16]},
        "weights": {"kind": "none"}, "augmentation": "none", "learning_rate": 1e-2,
    })  # fmt: skip
    torch.manual_seed(0)
    save_evaluator(build(classifier, 3, multilabel=False), (0.4, 0.2), guide)
    write_json(guide / RESULT, GuideResult(classes=3, multilabel=False, image_size=16).record())
    models, drawn = [], []
    for origin in ("builtin", "file"):
        (tmp_path / origin).mkdir()
        jobs = Jobs(tmp_path / origin, small_splits(), text=GUIDED, origin=origin)
        one_thread()
        folder, _ = jobs.fit("fit", classifier=classifier, inputs={CLASSIFIER: [guide]})
        models.append((folder / FITTED / "model.json").read_bytes())
        drawn.append(
            jobs.draw("drawn", "a", [folder], 2, classifier=classifier, inputs={CLASSIFIER: [guide]})
        )
    assert models[0] == models[1]
    assert np.array_equal(drawn[0].image, drawn[1].image)
    assert np.abs(np.array(json.loads(models[0]))).max() > 0


LINE = 17  # of the fault in the file
FAULTS = {
    "raise ValueError('no good')": rf"\(recorder.py\), line {LINE}: fit\(\) raised ValueError: no good",
    "raise SystemExit(3)": rf"line {LINE}: fit\(\) raised SystemExit: 3",
    "import os; os.abort()": r"\(recorder.py\): fit\(\) ended its process with status",
    "context.log(1, loss=float('nan'))": "loss is nan at step 1",
    "from benchmark.errors import DataError; raise DataError('mine', 'is odd', 'Turn it.')": "mine: is odd",
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_is_one_line_with_file_and_line(fault, tmp_path):
    """Each error names the generator's file, its line where one is known, and the remedy."""
    text = RESUMES.replace("        state = context.load_state()", f"        {fault}\n        state = None")
    line = text.splitlines().index(f"        {fault}") + 1
    jobs = Jobs(tmp_path, small_splits(), text=text.replace("DIES", "False"), origin="file")
    with pytest.raises(BenchmarkError, match=FAULTS[fault].replace(str(LINE), str(line))) as caught:
        jobs.fit("fit")
    assert caught.value.remedy
    assert "\n" not in caught.value.problem
