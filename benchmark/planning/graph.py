"""Build the graph of a run: which stage needs which inputs. Touches no disk."""

import math
from collections.abc import Iterable, Mapping
from typing import Any

from benchmark.engine.node import Graph, Node, StageConfig
from benchmark.planning.plan import Plan, Row
from benchmark.stages.classify import ClassifyConfig
from benchmark.stages.data import DataConfig
from benchmark.stages.fit import FitConfig
from benchmark.stages.gan_test import GanTestConfig
from benchmark.stages.generate import GenerateConfig
from benchmark.stages.job import DATA, EVALUATORS, GENERATOR, REFERENCE, SELECTION, SYNTHETIC_IMAGES
from benchmark.stages.learning_curve import LearningCurveConfig
from benchmark.stages.measure import MeasureConfig
from benchmark.stages.plugin import PluginReference
from benchmark.stages.pseudo_label import PseudoLabelConfig
from benchmark.stages.quality_filter import QualityFilterConfig
from benchmark.stages.records import REAL_ONLY
from benchmark.stages.reference import ReferenceConfig
from benchmark.stages.select import SelectConfig
from benchmark.stages.training import ClassifierStageConfig
from benchmark.tasks.classifier import ClassifierConfig
from benchmark.tasks.rules import Mix

UNSELECTED = ("oracle", "noise")  # controls that show a ceiling and a floor: no selection of train applies
BALANCED = ("oversample", "class_weights")  # rows that rebalance the training without any added image
BATCH_SECONDS = 0.05  # prior of one batch of 32 images with 32 pixels
SOME_IMAGES = 1000  # real training images, of which the plan knows no number; the papers' order


def build(plan: Plan) -> Graph:
    """Return all nodes of a run, each after its inputs; every node is there once per fold."""
    return Graph(node for fold in plan.folds for node in _Fold(plan, fold).build())


def data_nodes(graph: Graph) -> list[Node]:
    """Return the nodes of the data that a run trains on, fold by fold."""
    return graph.find("pseudo_label") or graph.find("data")


class _Fold:
    """Builds the nodes of one fold."""

    def __init__(self, plan: Plan, fold: int) -> None:
        self.plan, self.profile, self.mix, self.fold = plan, plan.profile, plan.task.mix, fold
        self.nodes: list[Node] = []
        self.shared: dict[str, tuple[str, ...]] = {}  # inputs that many nodes have, by role
        self.machine = {"device": plan.device, "precision": plan.precision}
        self.extractor = {"extractor": plan.extractor, "extractor_hash": plan.extractor_hash}
        self.predicts = any("predictions" in metric.needs for metric in plan.metrics)
        first = self.profile.classifiers[0]
        self.measuring = {
            **self._added(self.profile.primary_bracket),
            **self.extractor,
            "metrics": plan.metrics,
            "evaluating": ClassifierStageConfig(**self._training(first)) if self.predicts else None,
            "device": plan.device,
        }

    def build(self) -> list[Node]:
        """Return the nodes; ``real_only`` comes first, since its classifiers evaluate the other rows."""
        self.shared[DATA] = (self._data(),)
        if not self.predicts:
            self._reference()
        for row in sorted(self.plan.rows, key=lambda r: r.name != REAL_ONLY):
            if row.absent:
                continue
            synthetic = self._images(row) if row.has_images else {}
            trainings = self._trainings(row, synthetic)
            if row.name == REAL_ONLY:
                self.shared[EVALUATORS] = trainings
                if self.predicts:
                    self._reference()
                self._learning_curve(row)
                self._select()
        return self.nodes

    def _add(
        self,
        name: str,
        config: StageConfig,
        inputs: Mapping[str, tuple[str, ...]],
        row: Row | None = None,
        **fields: Any,
    ) -> str:
        """Add a node and return its id; ids are labels, ending in ``@fold`` where there are several folds."""
        about: dict[str, Any] = {"expected_seconds": config.seconds, **fields}
        about |= {"row": row.name, "role": row.role} if row else {}
        suffix = f"@{self.fold}" if len(self.plan.folds) > 1 else ""
        self.nodes.append(Node(f"{name}{suffix}", config, inputs, fold=self.fold, **about))
        return self.nodes[-1].id

    def _inputs(self, *roles: str, **more: tuple[str, ...]) -> dict[str, tuple[str, ...]]:
        return {role: self.shared[role] for role in roles} | more

    def _reference(self) -> None:
        """Add the real side of the metrics; where one needs predictions, it waits for the evaluators."""
        inputs = self._inputs(DATA, *[EVALUATORS] * self.predicts)
        self.shared[REFERENCE] = (self._add("reference", ReferenceConfig(**self.measuring), inputs),)

    def _data(self) -> str:
        """Add the data; where a classifier labels uncertain images, the certain ones and then all."""
        plan = self.plan
        rules = plan.task.steps(plan.profile_name, plan.source)
        config = DataConfig(
            source=plan.source,
            source_version=plan.source_version,
            fingerprint=plan.source_fingerprint,
            params=dict(plan.source_params),
            classes=plan.task.classes,
            labels=plan.task.labels,
            image_size=self.profile.image_size,
            split=plan.split.model_copy(update={"fold": self.fold}),
            scenario=rules,
            reserve_per_class=self.profile.reserve or max(self.profile.brackets),
            target=plan.source_target,
            paths=dict(plan.source_paths),
        )
        if not any(getattr(rule, "uncertain", "") == "self_trained" for rule in rules.values()):
            return self._add("data", config, {})
        certain = self._add("certain", config, {})
        teaching = PseudoLabelConfig(**self._training(self.profile.classifiers[0]), source=plan.source)
        return self._add("data", teaching, {DATA: (certain,)})

    def _added(self, bracket: int) -> dict[str, Any]:
        """Return how many synthetic images of which classes are added."""
        return {"mix": self.mix, "bracket": bracket, "classes": self.plan.task.classes}

    def _training(self, classifier: ClassifierConfig) -> dict[str, Any]:
        """Return what every training of a classifier shares."""
        return {
            "classes": self.plan.task.classes,
            "labels": self.plan.task.labels,
            "metric": self.plan.task.primary_metric.name,
            "classifier": classifier,
            "budget": self.profile.budget,
            **self.machine,
        }

    def _images(self, row: Row) -> dict[str, tuple[str, ...]]:
        """Add the stages that make the images of a row and measure them; return the images as an input."""
        drawn: dict[str, tuple[str, ...]] = {SYNTHETIC_IMAGES: (self._generate(row, self._fit(row)),)}
        evaluating = self._training(self.profile.classifiers[0]) | self._added(max(self.profile.brackets))
        added = drawn
        if self.mix.filter != "none":
            config, inputs = QualityFilterConfig(**evaluating), self._inputs(DATA, EVALUATORS, **drawn)
            filtered = self._add(f"quality_filter/{row.name}", config, inputs, row, seed=3)
            added = {SYNTHETIC_IMAGES: (filtered,)}
        measured = self._inputs(DATA, REFERENCE, *[EVALUATORS] * self.predicts, **added)
        self._add(f"measure/{row.name}", MeasureConfig(**self.measuring), measured, row, seed=2)
        if EVALUATORS in self.shared:  # of all drawn images: a filter by the same networks would decide it
            inputs = self._inputs(DATA, EVALUATORS, **drawn)
            self._add(f"gan_test/{row.name}", GanTestConfig(**evaluating), inputs, row, seed=4)
        return added

    def _fit(self, row: Row) -> str:
        config = FitConfig(
            plugin=_plugin(row),
            params=dict(row.params),
            per_class=row.per_class,
            classes=self.plan.task.classes,
            mix=_receiving(self.mix) if row.per_class else Mix(),  # a joint fit is of all classes
            **self.extractor,
            **self.machine,
            preview=self.profile.measures.preview_images,
            reserve=row.name == "oracle" and row.role == "control",
        )
        selected = SELECTION in self.shared and not (row.role == "control" and row.name in UNSELECTED)
        inputs = self._inputs(DATA, SELECTION) if selected else self._inputs(DATA)
        return self._add(f"fit/{row.name}", config, inputs, row, **_seconds(row))

    def _generate(self, row: Row, fit: str) -> str:
        config = GenerateConfig(
            **self._added(max(self.profile.brackets)),
            plugin=_plugin(row),
            per_class=row.per_class,
            image_size=self.profile.image_size,
            **self.machine,
        )
        inputs = self._inputs(DATA, **{GENERATOR: (fit,)})
        return self._add(f"generate/{row.name}", config, inputs, row, seed=1, **_seconds(row))

    def _trainings(self, row: Row, synthetic: Mapping[str, tuple[str, ...]]) -> tuple[str, ...]:
        """Add the trainings of a row, and return those of the first classifier."""
        first: list[str] = []
        for bracket in self.profile.brackets if row.has_images else (0,):
            for classifier, seed in self._classifiers_and_seeds():
                is_first = classifier == self.profile.classifiers[0]
                config = ClassifyConfig(
                    **self._training(classifier) | self._added(bracket),
                    balance=row.name if row.name in BALANCED else "none",
                    subgroups=self.plan.task.subgroups,
                    keep_network=row.name == REAL_ONLY and is_first,
                )
                node = self._add(
                    f"classify/{row.name}/{bracket}/{classifier.name}/{seed}",
                    config,
                    self._inputs(DATA, **synthetic),
                    row,
                    bracket=bracket,
                    **self._of_training(classifier, seed, bracket),
                )
                first += [node] if is_first else []
        return tuple(first)

    def _learning_curve(self, row: Row) -> None:
        """Add the trainings of the row without images on shares of the training patients."""
        for share in self.profile.learning_curve:
            for classifier, seed in self._classifiers_and_seeds():
                name, about = f"{share:g}/{classifier.name}/{seed}", self._of_training(classifier, seed, 0)
                own = {"share": share, "subgroups": self.plan.task.subgroups}
                config = LearningCurveConfig(**self._training(classifier), **own)
                self._add(f"learning_curve/{name}", config, self._inputs(DATA), row, share=share, **about)

    def _select(self) -> None:
        """Add the choice of the training images that generators learn from, by the first seed's network."""
        if self.mix.fit_on != "misclassified":
            return
        config = SelectConfig(**self._training(self.profile.classifiers[0]), mix=_receiving(self.mix))
        inputs = self._inputs(DATA, **{EVALUATORS: self.shared[EVALUATORS][:1]})
        self.shared[SELECTION] = (self._add("select", config, inputs),)

    def _classifiers_and_seeds(self) -> Iterable[tuple[ClassifierConfig, int]]:
        return ((classifier, seed) for classifier in self.profile.classifiers for seed in self.profile.seeds)

    def _of_training(self, classifier: ClassifierConfig, seed: int, bracket: int) -> dict[str, Any]:
        """Return the fields of a training's node; the expected seconds grow with updates and pixels."""
        budget = self.profile.budget
        batch, images = classifier.batch_size or budget.batch_size, bracket * len(self.plan.task.classes)
        updates = budget.length
        if budget.unit == "epochs":
            updates *= math.ceil((SOME_IMAGES + images) / batch)
        seconds = BATCH_SECONDS * updates * batch / 32 * (self.profile.image_size / 32) ** 2
        return {"classifier": classifier.name, "seed": seed, "expected_seconds": seconds}


def _plugin(row: Row) -> PluginReference:
    return PluginReference(**(row.plugin or {}), version=row.version, target=row.target)


def _seconds(row: Row) -> dict[str, float]:
    """Return a second for a row without real training, whose stages are done at once."""
    return {} if row.trained else {"expected_seconds": 1.0}


def _receiving(mix: Mix) -> Mix:
    """Return the part of the mix that names the classes which get images; the rest does not count."""
    return Mix(classes=mix.classes, unit=mix.unit, factor=mix.factor)
