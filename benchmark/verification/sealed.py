"""The sealed test: phantom patients of a secret seed, drawn after every stage of a row has ended."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from benchmark.bundles.schema import Manifest
from benchmark.bundles.sealed import DOES_NOT_HOLD, SealedResult
from benchmark.bundles.seasons import Secret
from benchmark.bundles.tables import with_fit
from benchmark.engine.node import Graph, Node
from benchmark.engine.outcome import Outcome
from benchmark.errors import SubmissionError
from benchmark.images import arrow
from benchmark.images.image_set import ImageSet, Splits
from benchmark.planning.graph import build, data_nodes
from benchmark.planning.plan import Plan
from benchmark.plugins.registry import import_target
from benchmark.protocol import load as loading
from benchmark.protocol import scenario
from benchmark.stages import predictions
from benchmark.stages.classify import PREDICTIONS, ClassifyConfig
from benchmark.stages.job import Job
from benchmark.stages.records import REAL_ONLY
from benchmark.stages.training import training_config
from benchmark.statistics.metrics import kind_of
from benchmark.statistics.two_tests import SetScores, compare_tests
from benchmark.utils.formatting import points, points_range
from benchmark.verification.check import NOT_CHECKED, PASSED, Check

if TYPE_CHECKING:
    import pandas as pd

SEALED = "test_sealed"
PHANTOM = "phantom."


@dataclass(frozen=True, eq=False)
class SealedPredictions:
    """Scores by the networks of a row and of ``real_only``, on *test* and on the sealed test (``split``)."""

    row: pd.DataFrame
    baseline: pd.DataFrame
    patients: int


def check_source(plan: Plan) -> None:
    """Refuse a source whose patients nobody can draw again.

    Raises:
        SubmissionError: the source is no phantom.
    """
    if not plan.source.startswith(PHANTOM):
        problem = f"draws phantom patients; source '{plan.source}' has a fixed number of real ones"
        raise SubmissionError("--sealed", problem, "Leave it out.")


def sealed_nodes(plan: Plan, row: str, seeds: Sequence[int]) -> Graph:
    """Return the trainings of a row and of ``real_only`` with some seeds, which keep their networks.

    The measures of the row's images are there too, as for any retraining.
    """

    def chosen(node: Node) -> bool:
        trained = node.stage == "classify" and node.row in (row, REAL_ONLY) and node.seed in seeds
        return trained or (node.stage == "measure" and node.row == row)

    def keeping(node: Node) -> Node:
        if not (chosen(node) and isinstance(node.config, ClassifyConfig)):
            return node
        return replace(node, config=node.config.model_copy(update={"keep_network": True}))

    graph = Graph(map(keeping, build(plan)))
    return graph.needed(chosen)


def draw_sealed(plan: Plan, secret: Secret, public: Splits) -> ImageSet:
    """Draw the sealed test: the source's test patients of another seed, after the task's rules.

    Raises:
        SubmissionError: it shares a patient or an image with the public data.
    """
    check_source(plan)
    steps = plan.task.steps(plan.profile_name, plan.source)
    module = import_target(plan.source_target)
    splits = loading.load(
        cast(Any, module),
        module.Params(**plan.source_params),
        classes=plan.task.classes,
        image_size=plan.profile.image_size,
        split=plan.split,
        reserve_per_class=plan.profile.reserve or max(plan.profile.brackets),
        seed=secret.seed,
        before=scenario.before_split(steps),
        name=plan.source,
    )
    known = [images for name, images in public.named().items() if len(images)]
    patients = set().union(*(images.patients() for images in known))
    if patients & set(splits.test.patients()):
        raise SubmissionError("--sealed", "shares a patient with the public data", "Open another season.")
    return splits.test


def predict_sealed(
    plan: Plan, nodes: Graph, outcome: Outcome, row: str, seeds: Sequence[int], secret: Secret, scratch: Path
) -> SealedPredictions:
    """Score the sealed test by the networks of a row and of ``real_only``, at the primary bracket.

    No process of a stage is alive any more, so no code of the row sees the secret or its images.
    """
    import pandas as pd

    public = arrow.read_splits(outcome.results[data_nodes(nodes)[0].id].folder)
    arrow.write_images(scratch / "sealed.arrow", draw_sealed(plan, secret, public))  # drawn once
    images = arrow.read_images(scratch / "sealed.arrow")
    tables: dict[str, list[pd.DataFrame]] = {row: [], REAL_ONLY: []}
    for node in nodes:
        scored = node.stage == "classify" and node.row in tables and node.seed in seeds
        if not scored or node.bracket not in (0, plan.profile.primary_bracket):
            continue
        folder = outcome.results[node.id].folder
        known = pd.read_parquet(folder / PREDICTIONS)
        tables[node.row] += [known[known["split"] == "test"], _scored(node, folder, public, images, scratch)]
    row_table, baseline = (pd.concat(tables[name], ignore_index=True) for name in (row, REAL_ONLY))
    return SealedPredictions(row_table, baseline, len(images.patients()))


def _scored(node: Node, folder: Path, public: Splits, images: ImageSet, scratch: Path) -> Any:
    """Return the scores of the sealed images by the network of one training, with a bundle's columns."""
    import pandas as pd

    from benchmark.classifiers.evaluator import load_evaluator

    config = training_config(Job(node, {}, scratch, scratch))
    trained = load_evaluator(folder, config, len(public.train.classes), multilabel=public.train.multilabel)
    path = scratch / "sealed.parquet"
    predictions.write(path, node, (), {SEALED: images}, {SEALED: trained.scores(images)})
    return pd.read_parquet(path)


def check_sealed(
    manifest: Manifest, predicted: SealedPredictions, secret: Secret, seeds: tuple[int, ...]
) -> tuple[Check, SealedResult]:
    """Compare a row's gain over ``real_only`` on *test* with that on the sealed test.

    A row that does not hold is *not checked* rather than failed: its figures are honest, and the board shows
    both results side by side.
    """
    kind, alpha = kind_of(manifest.labels, len(manifest.classes)), manifest.statistics.alpha
    tests = [_test_scores(predicted, split, manifest) for split in ("test", SEALED)]
    metric = manifest.primary_metric.name
    both = compare_tests(kind, metric, tests[0], tests[1], alpha, manifest.classes)
    result = SealedResult(
        season=secret.season,
        commitment=secret.commitment,
        seeds=seeds,
        images=len(tests[1].label),
        patients=predicted.patients,
        test=both.public,
        sealed=both.sealed,
        gain_test=both.gain_public,
        gain_sealed=both.gain_sealed,
        difference=both.difference,
        low=both.low,
        high=both.high,
        alpha=alpha,
        reason=both.reason,
        holds=both.holds,
    )
    detail = (
        f"{100 * both.public:.1f} on test, {100 * both.sealed:.1f} on {result.patients} patients of season "
        f"{secret.season}; the gains over {REAL_ONLY} differ by {points(both.difference)} points "
        f"{points_range(both)}"
    )
    if both.holds is None:
        return Check("sealed test", NOT_CHECKED, f"{detail}: {both.reason}"), result
    verdict = "it holds" if both.holds else DOES_NOT_HOLD
    return Check("sealed test", PASSED if both.holds else NOT_CHECKED, f"{detail}: {verdict}"), result


def _test_scores(predicted: SealedPredictions, split: str, manifest: Manifest) -> SetScores:
    label, patient, scores = _scores(predicted.row, split, manifest)
    baseline = None if manifest.row.name == REAL_ONLY else _scores(predicted.baseline, split, manifest)[2]
    return SetScores(label, patient, scores, baseline)


def _scores(table: Any, split: str, manifest: Manifest) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return labels, patients and (R, n, K) scores; the networks are those of all fits, runs and folds."""
    own = with_fit(table[table["split"] == split])
    own = own.sort_values(["fit", "classifier", "seed", "fold", "image_id"])
    images = own["image_id"].nunique()
    networks = len(own) // images
    if len(own) != networks * images:
        raise SubmissionError(f"split {split}", "not every network scores every image")
    each = range(len(manifest.classes))
    columns = [f"label_{k}" for k in each] if manifest.labels == "multilabel" else "label"
    first, scores = own.iloc[:images], own[[f"score_{k}" for k in each]].to_numpy(np.float64)
    return first[columns].to_numpy(), first["patient_id"].to_numpy(), scores.reshape(networks, images, -1)
