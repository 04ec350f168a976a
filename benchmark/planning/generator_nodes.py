"""Nodes that fit a row's generator and draw its images."""

from collections.abc import Callable, Mapping
from typing import Any

from benchmark.planning.plan import Plan, Row
from benchmark.stages.fit import FitConfig
from benchmark.stages.guide import CLASSIFIER
from benchmark.stages.job import DATA, GENERATOR, SELECTION
from benchmark.stages.plugin import PluginReference
from benchmark.stages.sample import SampleConfig
from benchmark.tasks.rules import Mix

UNSELECTED = ("oracle", "noise")  # controls that show a ceiling and a floor: no selection of train applies
Inputs = Mapping[str, tuple[str, ...]]  # ids of nodes by role


def fit_suffix(plan: Plan, row: Row, fit: int) -> str:
    """Return the end of an id that names the fit, where a row has several."""
    return f"/fit{fit}" if len(row.fit_seeds(plan.profile)) > 1 else ""


class GeneratorNodes:
    """Adds the fits of a row, and the drawing of images from them.

    Args:
        add: adds a node and returns its id.
        inputs: of the fits: the data at the generator's size, and what selects from them or guides the fit.
    """

    def __init__(self, plan: Plan, row: Row, fit: int, add: Callable[..., str], inputs: Inputs) -> None:
        self.plan, self.row, self.add = plan, row, add
        unselected = row.role == "control" and row.name in UNSELECTED
        self.inputs = {role: ids for role, ids in inputs.items() if not (role == SELECTION and unselected)}
        self.suffix = fit_suffix(plan, row, fit)
        self.common: dict[str, Any] = {
            "plugin": PluginReference(**(row.plugin or {}), version=row.version, target=row.target),
            "assets": row.assets,
            "unit": row.unit,
            "learn_from": row.entry.learn_from,
            "conditions": row.conditions,
            "requests": plan.task.requests,
            "chunk": row.entry.chunk,
            "classes": plan.task.classes,
            "device": plan.device,
            "precision": row.precision(plan.precision, plan.device),
            "classifier": plan.profile.classifiers[0] if CLASSIFIER in self.inputs else None,
        }
        self.about = {"fit": fit, "seed": fit, **_seconds(row)}

    def fits(self) -> Inputs:
        """Add the fits; return those that the images of each class come from."""
        classes, unit = self.plan.task.classes, self.row.unit
        if unit == "joint":
            return dict.fromkeys(classes, (self._fit("", 0),))
        numbers = range(self.row.entry.sources_per_class if unit == "per_image" else 1)
        receiving = self.plan.task.mix.classes or classes
        return {name: tuple(self._fit(name, number) for number in numbers) for name in receiving}

    def _fit(self, of_class: str, number: int) -> str:
        row, plan = self.row, self.plan
        part = (f"/{of_class}" if of_class else "") + (f"/{number}" if row.unit == "per_image" else "")
        previews = row.entry.previews
        images = previews.images or plan.profile.measures.preview_images
        config = FitConfig(
            **self.common,
            of_class=of_class,
            params=dict(row.params),
            paths=dict(row.paths),
            number=number,
            mix=receiving_part(plan.task.mix) if of_class else Mix(),  # a joint fit is of all classes
            extractor=plan.extractor,
            extractor_hash=plan.extractor_hash,
            previews=previews.model_copy(update={"images": images}),
            reserve=row.name == "oracle" and row.role == "control",
        )
        return self.add(f"fit/{row.name}{self.suffix}{part}", config, self.inputs, row, **self.about)

    def sample(self, of_class: str, fits: Inputs) -> str:
        """Add the drawing of a class from its fits."""
        profile = self.plan.profile
        config = SampleConfig(
            **self.common,
            of_class=of_class,
            mix=self.plan.task.mix,
            bracket=max(profile.brackets),
            image_size=profile.image_size,
        )
        learned = {role: ids for role, ids in self.inputs.items() if role in (DATA, SELECTION, CLASSIFIER)}
        inputs = learned | {GENERATOR: fits.get(of_class, ())}
        name = f"sample/{self.row.name}{self.suffix}/{of_class}"
        return self.add(name, config, inputs, self.row, **self.about)


def _seconds(row: Row) -> dict[str, float]:
    """Return a second for a row without real training, whose stages are done at once."""
    return {} if row.trained else {"expected_seconds": 1.0}


def receiving_part(mix: Mix) -> Mix:
    """Return the part of the mix that names the classes which get images; the rest does not count."""
    return Mix(classes=mix.classes, unit=mix.unit, factor=mix.factor)
