"""Distances between classes: multidimensional scaling and hierarchical clustering."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from benchmark.plugins.metric import Matrix
from benchmark.reporting.figures.draw import MUTED, RULE, Drawn, canvas, look
from benchmark.reporting.tables.record import LeftOut
from benchmark.reporting.tables.run import Run
from benchmark.reporting.tables.segal import DISTANCES, REAL, measured

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def class_distances(run: Run) -> Drawn | LeftOut:
    """Draw the classes of real images, and of each generator, by the FID of every pair."""
    matrices = _matrices(run)
    if not matrices:
        return LeftOut(DISTANCES, f"no row has the metric {DISTANCES}")
    names = list(next(iter(matrices.values())).names)
    height = max(2.6, 0.24 * len(names) + 0.8)
    drawn, axes = canvas(2, len(matrices), size=(4.4, height))
    reference = None
    for line, (title, matrix) in zip(axes, matrices.items(), strict=True):
        distances = np.array(matrix.values)
        places = scaled(distances)
        if reference is None:
            reference = dict(zip(matrix.names, places, strict=True))
        else:
            places = rotated(places, list(matrix.names), reference)
        _places(line[0], places, matrix.names)
        line[0].set_title("real images" if title == REAL else title)
        _tree(line[1], distances, matrix.names)
    caption = (
        "Classes by the FID of every pair, in real test images (above) and in the images of each generator, "
        "all with the same number of images of a class. Left: metric multidimensional scaling, rotated to "
        "the places of the real classes. Right: hierarchical clustering, average linkage. After Segal et al. "
        f"2021, Figure 5. {run.sentence()}"
    )
    return Drawn(DISTANCES, drawn, caption)


def _matrices(run: Run) -> dict[str, Matrix]:
    """Return the matrix of real images, then those of the generators; of all rows where none is one."""
    rows = {row: m for row, (_, m) in measured(run, DISTANCES).items() if m.matrix and m.floor_matrix}
    generators = [row for row in rows if run.manifests[row].row.role == "generator"] or list(rows)
    if not rows:
        return {}
    matrices = {REAL: rows[generators[0]].floor_matrix} | {row: rows[row].matrix for row in generators}
    return {name: matrix for name, matrix in matrices.items() if matrix is not None and len(matrix.names) > 2}


def scaled(distances: np.ndarray) -> np.ndarray:
    """Return (K, 2) places whose distances approach these, the first on the left, in a fixed orientation."""
    from sklearn.manifold import MDS

    # not the classical start: FID is no Euclidean distance, so its second eigenvalue may be negative
    model = MDS(2, metric="precomputed", init="random", n_init=8, max_iter=1000, random_state=0)
    places = model.fit_transform(distances)
    places = places - places.mean(0)
    angle = np.pi - np.arctan2(places[0, 1], places[0, 0])
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    places = places @ turn.T
    farthest = np.abs(places[:, 1]).argmax()
    places[:, 1] *= 1 if places[farthest, 1] > 0 else -1
    return np.asarray(places)


def rotated(places: np.ndarray, names: list[str], reference: dict[str, np.ndarray]) -> np.ndarray:
    """Return places rotated or mirrored to lie as near to those of the same names as possible."""
    from scipy.linalg import orthogonal_procrustes

    common = [i for i, name in enumerate(names) if name in reference]
    turn, _ = orthogonal_procrustes(places[common], np.array([reference[names[i]] for i in common]))
    return np.asarray(places @ turn)


def _places(ax: Axes, places: np.ndarray, names: tuple[str, ...]) -> None:
    ax.grid(color=RULE, linewidth=0.6)
    ax.scatter(places[:, 0], places[:, 1], s=22, color=look(0)["color"], zorder=3)
    reach = float(np.ptp(places, axis=0).max()) or 1.0
    for i, (x, y) in enumerate(places):
        near = np.argsort(np.linalg.norm(places - places[i], axis=1))[1]
        below = places[i, 1] < places[near, 1]  # away from the nearest class
        ax.annotate(
            names[i].replace("_", " "), (x, y), (0, -5 if below else 5), textcoords="offset points",
            ha="center", va="top" if below else "bottom", fontsize=7, annotation_clip=False,
        )  # fmt: skip
    middle = (places.max(0) + places.min(0)) / 2
    ax.set(
        xlim=middle[0] + 0.66 * reach * np.array([-1, 1]), ylim=middle[1] + 0.66 * reach * np.array([-1, 1])
    )
    ax.set_aspect("equal", adjustable="box")
    ax.tick_params(colors=MUTED, labelsize=7)


def _tree(ax: Axes, distances: np.ndarray, names: tuple[str, ...]) -> None:
    from scipy.cluster.hierarchy import dendrogram, linkage
    from scipy.spatial.distance import squareform

    links = linkage(squareform(distances, checks=False), "average")
    labels = [name.replace("_", " ") for name in names]
    dendrogram(
        links, labels=labels, orientation="right", ax=ax, color_threshold=0, above_threshold_color=MUTED
    )
    ax.set_xlabel("FID")
    ax.tick_params(axis="x", colors=MUTED, labelsize=7)
    ax.tick_params(axis="y", labelsize=7)
    ax.spines["left"].set_visible(False)
