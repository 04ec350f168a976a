"""Estimates of the time left, on simulated grids with a fake clock and by hand."""

from __future__ import annotations

import heapq
from types import SimpleNamespace

import numpy as np
import pytest

from benchmark.engine.forecast import Durations, kind, simulate, start_order
from benchmark.engine.node import Graph, Node, StageConfig
from benchmark.engine.store import Costs
from benchmark.experiments.progress import Progress

ROWS = ("real_only", "traditional", "ddpm", "stylegan", "noise")
BRACKETS = (100, 250, 500)
NETWORKS = ("resnet50", "convnext_s", "densenet161", "vgg16")


@pytest.fixture
def quiet(monkeypatch):
    """Silence the lines of the simulated runs."""
    monkeypatch.setattr(Progress, "_show", lambda *_, **__: None)


class Data(StageConfig, stage="data"):
    pass


class Fit(StageConfig, stage="fit"):
    pass


class Classify(StageConfig, stage="classify"):
    pass


def result(seconds):
    return SimpleNamespace(costs=Costs(seconds, 0.0))


def training(row, bracket, network, seed, needs=(), guess=15.0):
    return Node(
        f"classify/{row}/{bracket}/{network}/{seed}", Classify(), {"data": tuple(needs)}, seed=seed, row=row,
        bracket=bracket, classifier=network, expected_seconds=guess,
    )  # fmt: skip


def grid(seeds, *, fits=False):
    """Return the graph of a study: data, optionally fits and samples of each row, and trainings."""
    nodes = [Node("data", Data(), expected_seconds=10.0)]
    for row in ROWS:
        needs = ["data"]
        if fits and row != "real_only":
            nodes.append(Node(f"fit/{row}", Fit(), {"data": ("data",)}, row=row, expected_seconds=100.0))
            needs.append(f"fit/{row}")
        for bracket in BRACKETS if row != "real_only" else (0,):
            nodes += [training(row, bracket, n, s, needs) for n in NETWORKS for s in range(seeds)]
    return nodes


def truth(nodes, rng, *, pace=1.0, networks=0.7, brackets=0.3, noise=0.2):
    """Return durations: the guess times lognormal factors of network, bracket, row and seed.

    Args:
        pace: standard deviation of the logarithm of the factor of the machine, and of each stage.
    """
    spread = {"classifier": networks, "bracket": brackets, "generator": 0.1}
    factor: dict[str, float] = {}

    def drawn(name, sd):
        return factor.setdefault(name, float(np.exp(rng.normal(0, sd))))

    return {
        n.id: n.expected_seconds
        * drawn("pace", pace)
        * drawn(n.stage, pace / 2)
        * float(np.prod([drawn(f"{k}={n.tags[k]}", sd) for k, sd in spread.items() if k in n.tags]))
        * float(np.exp(rng.normal(0, noise)))
        for n in nodes
    }


def played(nodes, seconds, workers, reports=5, ask_at=None):
    """Run a graph on a fake clock in the runner's order.

    Return the wall seconds and the estimate at ``ask_at``.
    """
    now = [0.0]
    progress = Progress(Graph(nodes), workers, now=lambda: now[0])
    order, by_id = start_order(Graph(nodes)), {n.id: n for n in nodes}
    waiting, done, events, busy, estimate = dict(by_id), set(), [], 0, None
    if ask_at is not None:
        heapq.heappush(events, (ask_at, "ask", ""))
    while waiting or busy:
        ready = [n for n in waiting.values() if done.issuperset(n.needs)]
        for node in sorted(ready, key=lambda n: order[n.id])[: workers - busy]:
            progress.started(waiting.pop(node.id))
            busy += 1
            for k in range(1, reports + 1):
                heapq.heappush(
                    events, (now[0] + k / reports * seconds[node.id], f"{k / reports:.3f}", node.id)
                )
        now[0], event, name = heapq.heappop(events)
        if event == "ask":
            estimate = progress.seconds_left()
        elif event == "1.000":
            busy -= 1
            done.add(name)
            progress.finished(by_id[name], result(seconds[name]))
        else:
            progress.progressed(name, float(event))
    return now[0], estimate


def errors(nodes, draws, workers, **options):
    """Return relative errors of the estimate at a tenth of the wall time, over drawn grids."""
    relative_errors = []
    for draw in range(draws):
        seconds = truth(nodes, np.random.default_rng(draw), **options)
        wall, _ = played(nodes, seconds, workers)
        _, estimate = played(nodes, seconds, workers, ask_at=0.1 * wall)
        relative_errors.append(estimate / (0.9 * wall) - 1)
    return np.abs(relative_errors)


@pytest.mark.parametrize(("workers", "draws"), [(2, 10), (8, 20)])
def test_time_left_is_accurate_after_a_tenth_of_a_grid(workers, draws, quiet):
    """The error is within 20 % in nine of ten grids of 261 trainings with wrong guesses.

    The lognormal factors are e^1.1 for the machine, e^0.7 for the network, e^0.3 for the bracket and e^0.2
    for the seed.
    """
    assert np.mean(errors(grid(5), draws, workers) <= 0.2) >= 0.9


@pytest.mark.slow
@pytest.mark.parametrize(
    ("workers", "fits", "within", "share"), [(2, False, 0.2, 0.9), (8, False, 0.2, 0.9), (8, True, 0.4, 0.8)]
)
def test_time_left_is_accurate_over_many_grids(workers, fits, within, share, quiet):
    """The same holds over 100 grids.

    With fits first, most brackets have not run after a tenth, so the limit is 40 % in eight of ten.
    """
    assert np.mean(errors(grid(5, fits=fits), 100, workers) <= within) >= share


def test_simulation_matches_hand_arithmetic():
    """Two workers: a runs 2 more seconds and b 3; after a, c runs from 2 to 6 and d from 3 to 4.

    One worker: 10.
    """
    seconds, needs = {"b": 3.0, "c": 4.0, "d": 1.0}, {"b": (), "c": ("a",), "d": ("a",)}
    order = {"b": 0, "c": 1, "d": 2}
    assert simulate(seconds, {"a": 2.0}, needs, order, 2) == 6.0
    assert simulate(seconds, {"a": 2.0}, needs, order, 1) == 10.0
    assert simulate({}, {}, needs, order, 2) == 0.0


def test_time_left_is_never_below_the_critical_path(quiet):
    """With more workers than nodes the chain data, fit, training remains: 10 + 100 + 15 seconds."""
    nodes = [n for n in grid(1, fits=True) if n.row in ("", "ddpm")]
    assert Progress(Graph(nodes), 50, now=lambda: 0.0).seconds_left() == pytest.approx(125)
    assert Progress(Graph(nodes), 1, now=lambda: 0.0).seconds_left() == pytest.approx(110 + 12 * 15)


def test_a_kind_without_runs_is_estimated_from_its_tags():
    """At +100 a takes twice as long as b, and b at +250 takes half again as long: a at +250 about 3 times."""
    nodes = [training("ddpm", b, n, s) for b in (100, 250) for n in "ab" for s in range(6)]
    known = Durations(nodes)
    for n in nodes:
        bracket, network = n.bracket, n.classifier
        if (bracket, network) != (250, "a"):
            known.learn(n.id, 15.0 * (2 if network == "a" else 1) * (1.5 if bracket == 250 else 1))
    assert known.expected({})["classify/ddpm/250/a/0"] == pytest.approx(45, rel=0.2)
    assert known.expected({})["classify/ddpm/100/a/5"] == pytest.approx(30, rel=0.05)


def test_a_running_node_informs_its_kind():
    """A network that is half done after 100 seconds needs 200, and so does its other seed."""
    nodes = [training("ddpm", 100, "a", s) for s in range(2)]
    left = Durations(nodes).expected({nodes[0].id: (200.0, 0.5)})
    assert left[nodes[1].id] == pytest.approx(200, rel=0.05)


def test_earlier_runs_give_the_ratios_of_kinds_only():
    """Reused nodes took a 30 s and b 60 s. Here a takes 3 s, so b takes about 6."""
    nodes = [training("ddpm", 100, n, s) for n in "ab" for s in range(4)]
    known = Durations(nodes)
    for n in nodes:
        if n.seed > 0:
            known.learn(n.id, 30.0 if n.classifier == "a" else 60.0, here=False)
    known.learn(nodes[0].id, 3.0)
    assert known.expected({})["classify/ddpm/100/b/0"] == pytest.approx(6, rel=0.15)


def test_order_is_first_training_of_each_kind_then_longest_path():
    """One training per network of real_only is first.

    The fits, which most nodes need, follow; repetitions are last.
    """
    nodes = grid(2, fits=True)
    order = start_order(Graph(nodes))
    real = [[order[training("real_only", 0, n, s).id] for n in NETWORKS] for s in (0, 1)]
    fits = [order[n.id] for n in nodes if n.stage == "fit"]
    assert max(real[0]) < min(fits) <= max(fits) < min(real[1])
    assert kind(nodes[1]) == ("classify", "bracket=0", "classifier=resnet50", "generator=real_only")


def test_time_left_counts_down_during_a_node(quiet):
    """A training of a known kind takes 20 s.

    At 25 % after 5 s, 15 are left; 5 s later without a report, 10.
    """
    now, nodes = [0.0], [training("ddpm", 100, "a", s, guess=20.0) for s in range(2)]
    progress = Progress(Graph(nodes), 1, now=lambda: now[0])
    progress.started(nodes[0])
    now[0] = 20.0
    progress.finished(nodes[0], result(20.0))
    progress.started(nodes[1])
    now[0] = 25.0
    progress.progressed(nodes[1].id, 0.25)
    assert progress.seconds_left() == pytest.approx(15, rel=0.02)
    now[0] = 30.0
    assert progress.seconds_left() == pytest.approx(10, rel=0.02)


def test_import_time_is_not_part_of_a_kinds_duration(quiet):
    """Started at 0, at work from 50 and done at 70 with 18 in the stage: the next node takes 20."""
    now, nodes = [0.0], [training("ddpm", 100, "a", s, guess=20.0) for s in range(2)]
    progress = Progress(Graph(nodes), 1, now=lambda: now[0])
    progress.started(nodes[0])
    now[0] = 50.0
    progress.progressed(nodes[0].id, 0.0)
    now[0] = 70.0
    progress.finished(nodes[0], result(18.0))
    assert progress.seconds_left() == pytest.approx(20, rel=0.02)


def test_no_time_is_left_when_all_is_done(capsys):
    """The line of the last node ends with the time gone, and the phase after it has no time."""
    nodes = [training("ddpm", 100, "a", seed) for seed in range(2)]
    progress = Progress(Graph(nodes), 1, now=lambda: 0.0)
    for node in nodes:
        progress.started(node)
        progress.finished(node, result(20.0))
    progress.phase("writing the results")
    lines = capsys.readouterr().out.splitlines()
    assert "left" in lines[0]
    assert lines[1:] == [f"[2/2] 0:00 gone  {nodes[1].id}: done in 0:20", "writing the results ..."]


def test_lines_report_progress_and_time_left(capsys):
    """Without a terminal, every finished or failed node has a line."""
    now, nodes = [0.0], [training("ddpm", 100, "a", s, guess=20.0) for s in range(3)]
    progress = Progress(Graph(nodes), 1, now=lambda: now[0])
    progress.started(nodes[0])
    now[0] = 20.0
    progress.finished(nodes[0], result(20.0))
    progress.failed(nodes[1], "here: is wrong\n       mend it", [nodes[2].id])
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "[1/3] 0:20 gone, 0:40 left  classify/ddpm/100/a/0: done in 0:20"
    assert lines[1].endswith("classify/ddpm/100/a/1: FAILED: here: is wrong (stages that depend on it: 1)")
    assert lines[1].startswith("[3/3]")
