"""Label the uncertain training images with a classifier of the certain ones."""

from benchmark.images import arrow
from benchmark.images.image_set import Splits
from benchmark.protocol.rules.label_policy import join_pseudo_labeled, with_pseudo_labels
from benchmark.stages.data import DataResult, describe
from benchmark.stages.job import DATA, UNLABELED, Job
from benchmark.stages.training import ClassifierStageConfig, training_config


class PseudoLabelConfig(ClassifierStageConfig, stage="pseudo_label", version="4", seconds=15.0):
    """Configuration of ``pseudo_label``."""

    source: str


def pseudo_label(job: Job[PseudoLabelConfig]) -> DataResult:
    """Train on the certain labels, predict the uncertain ones, and write the data with both.

    Source: U-SelfTrained of Irvin et al. 2019, section 3.1; the pseudo-labels stay soft.
    """
    from benchmark.classifiers import train as training

    config, own = job.config, training_config(job)
    splits, unlabeled = job.splits(), arrow.read_images(job.input(DATA) / UNLABELED)
    trained = training.train(splits.train, splits.train, splits.val, own)
    normal = training.normalization(splits.train.image)
    probability = training.predict(trained.network, unlabeled, own, normal)[:, 1]
    labeled = with_pseudo_labels(unlabeled, probability)
    note = (
        f"{len(labeled)} uncertain images labeled by a classifier trained on the {len(splits.train)} others, "
        f"{int((probability >= 0.5).sum())} of them positive"
    )
    train, notes = join_pseudo_labeled(splits.train, labeled), (*splits.notes, note)
    arrow.write_splits(
        job.out, Splits(train, splits.val, splits.test, splits.reserve, splits.more_tests, notes)
    )
    summary = describe(job.out, config.source, config.classes, config.labels)
    return summary.model_copy(update={"history": trained.history})
