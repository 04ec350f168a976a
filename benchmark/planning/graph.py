"""Build the graph of a run: which stage needs which inputs. Touches no disk."""

import math
from collections.abc import Iterable, Mapping
from typing import Any

from benchmark.engine.node import Graph, Node, StageConfig
from benchmark.planning.generator_nodes import GeneratorNodes, fit_suffix, receiving_part
from benchmark.planning.plan import Plan, Row
from benchmark.stages.classify import ClassifyConfig
from benchmark.stages.data import DataConfig
from benchmark.stages.gan_test import GanTestConfig
from benchmark.stages.generate import DRAWN, GenerateConfig
from benchmark.stages.guide import CLASSIFIER, GuideConfig
from benchmark.stages.guide import SEED as GUIDE_SEED
from benchmark.stages.job import DATA, EVALUATORS, REFERENCE, SEGMENTER, SELECTION, SYNTHETIC_IMAGES
from benchmark.stages.learning_curve import LearningCurveConfig
from benchmark.stages.measure import MeasureConfig
from benchmark.stages.metrics import OF_EVALUATORS, OF_SEGMENTER
from benchmark.stages.pseudo_label import PseudoLabelConfig
from benchmark.stages.quality_filter import QualityFilterConfig
from benchmark.stages.records import REAL_ONLY
from benchmark.stages.reference import ReferenceConfig
from benchmark.stages.resized_data import ResizedDataConfig
from benchmark.stages.segment import SegmentConfig
from benchmark.stages.select import SelectConfig
from benchmark.stages.training import ClassifierStageConfig
from benchmark.tasks.classifier import ClassifierConfig

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
        self.resized: dict[int, str] = {}  # data at the generators' own sizes
        self.shared: dict[str, tuple[str, ...]] = {}  # inputs that many nodes have, by role
        self.machine = {"device": plan.device, "precision": plan.precision}
        self.extractor = {"extractor": plan.extractor, "extractor_hash": plan.extractor_hash}
        self.predicts = any(OF_EVALUATORS & metric.inputs for metric in plan.metrics)
        self.segments = any(OF_SEGMENTER & metric.inputs for metric in plan.metrics)
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
        if self.segments:
            config = SegmentConfig(device=self.plan.device)
            self.shared[SEGMENTER] = (self._add("segment", config, self._inputs(DATA)),)
        if not self.predicts:
            self._reference()
        for row in sorted(self.plan.rows, key=lambda r: r.name != REAL_ONLY):
            if row.absent:
                continue
            trainings: tuple[str, ...] = ()
            for fit in row.fit_seeds(self.profile):
                trainings += self._trainings(row, fit, self._images(row, fit) if row.has_images else {})
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

    def _reading(self, image_size: int) -> dict[str, Any]:
        """Return how the source is read, at a size."""
        plan = self.plan
        return {
            "source": plan.source,
            "source_version": plan.source_version,
            "fingerprint": plan.source_fingerprint,
            "params": dict(plan.source_params),
            "classes": plan.task.classes,
            "image_size": image_size,
            "scenario": plan.task.steps(plan.profile_name, plan.source),
            "reserve_per_class": self.profile.reserve or max(self.profile.brackets),
            "target": plan.source_target,
            "paths": dict(plan.source_paths),
        }

    def _reference(self) -> None:
        """Add the real side of the metrics; where one needs predictions, it waits for the evaluators."""
        inputs = self._inputs(DATA, *self._measuring_roles())
        self.shared[REFERENCE] = (self._add("reference", ReferenceConfig(**self.measuring), inputs),)

    def _measuring_roles(self) -> list[str]:
        """Return the roles of the networks that metrics need."""
        return [*[EVALUATORS] * self.predicts, *[SEGMENTER] * self.segments]

    def _data(self) -> str:
        """Add the data; where a classifier labels uncertain images, the certain ones and then all."""
        plan = self.plan
        config = DataConfig(
            **self._reading(self.profile.image_size),
            labels=plan.task.labels,
            split=plan.split.model_copy(update={"fold": self.fold}),
        )
        if not any(getattr(rule, "uncertain", "") == "self_trained" for rule in config.scenario.values()):
            return self._add("data", config, {})
        certain = self._add("certain", config, {})
        teaching = PseudoLabelConfig(**self._training(self.profile.classifiers[0]), source=plan.source)
        return self._add("data", teaching, {DATA: (certain,)})

    def _learning_data(self, image_size: int) -> str:
        """Return the data that a generator of this size learns from, and add them if they are new."""
        if image_size == self.profile.image_size:
            return self.shared[DATA][0]
        if image_size not in self.resized:
            config = ResizedDataConfig(**self._reading(image_size))
            self.resized[image_size] = self._add(f"resized_data/{image_size}", config, self._inputs(DATA))
        return self.resized[image_size]

    def _guide(self) -> str:
        """Return the classifier that guides fits, and add its training if it is new."""
        if CLASSIFIER not in self.shared:
            config = GuideConfig(**self._training(self.profile.classifiers[0]))
            self.shared[CLASSIFIER] = (self._add("guide", config, self._inputs(DATA), seed=GUIDE_SEED),)
        return self.shared[CLASSIFIER][0]

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

    def _images(self, row: Row, fit: int) -> dict[str, tuple[str, ...]]:
        """Add the stages that make the images of a fit and measure them; return the images as an input."""
        name = f"{row.name}{fit_suffix(self.plan, row, fit)}"
        drawn: dict[str, tuple[str, ...]] = {SYNTHETIC_IMAGES: (self._generate(row, fit),)}
        evaluating = self._training(self.profile.classifiers[0]) | self._added(max(self.profile.brackets))
        added = drawn
        if self.mix.filter != "none":
            config, inputs = QualityFilterConfig(**evaluating), self._inputs(DATA, EVALUATORS, **drawn)
            filtered = self._add(f"quality_filter/{name}", config, inputs, row, seed=3, fit=fit)
            added = {SYNTHETIC_IMAGES: (filtered,)}
        measured = self._inputs(DATA, REFERENCE, *self._measuring_roles(), **added)
        self._add(f"measure/{name}", MeasureConfig(**self.measuring), measured, row, seed=2, fit=fit)
        if EVALUATORS in self.shared:  # of all drawn images: a filter by the same networks would decide it
            inputs = self._inputs(DATA, EVALUATORS, **drawn)
            self._add(f"gan_test/{name}", GanTestConfig(**evaluating), inputs, row, seed=4, fit=fit)
        return added

    def _generate(self, row: Row, fit: int) -> str:
        """Add the fits of a row, the drawing of each class, and what joins the classes."""
        inputs: dict[str, tuple[str, ...]] = {
            DATA: (self._learning_data(row.entry.image_size or self.profile.image_size),)
        }
        inputs |= {SELECTION: self.shared[SELECTION]} if SELECTION in self.shared else {}
        inputs |= {CLASSIFIER: (self._guide(),)} if row.needs_classifier else {}
        nodes = GeneratorNodes(self.plan, row, fit, self._add, inputs)
        fits = nodes.fits()
        drawn = tuple(nodes.sample(of_class, fits) for of_class in self.plan.task.classes)
        name = f"generate/{row.name}{nodes.suffix}"
        return self._add(name, GenerateConfig(), {DRAWN: drawn}, row, fit=fit)

    def _trainings(self, row: Row, fit: int, synthetic: Mapping[str, tuple[str, ...]]) -> tuple[str, ...]:
        """Add the trainings with the images of a fit, and return those of the first classifier."""
        first: list[str] = []
        name = f"{row.name}{fit_suffix(self.plan, row, fit)}"
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
                    f"classify/{name}/{bracket}/{classifier.name}/{seed}",
                    config,
                    self._inputs(DATA, **synthetic),
                    row,
                    fit=fit if row.has_images else 0,
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
        config = SelectConfig(**self._training(self.profile.classifiers[0]), mix=receiving_part(self.mix))
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
