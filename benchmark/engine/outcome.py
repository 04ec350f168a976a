"""End of a run: results and failures."""

from dataclasses import dataclass, field

from benchmark.engine.store import Result
from benchmark.utils.formatting import plural


@dataclass(frozen=True)
class Failure:
    """A node that failed by itself.

    Attributes:
        line: for people; it may name the node.
        cause: the same for nodes that failed for the same reason, whatever numbers their lines name.
        dependents: number of nodes that cannot start without it.
    """

    line: str
    cause: str
    dependents: int


@dataclass
class Outcome:
    """Results and failures of a run.

    Attributes:
        results: by node id.
        failures: by node id, one line each; nodes that depend on a failure included.
        causes: the failures without those of dependents.
        computed: ids that were not reused, in the order in which they ended.
    """

    results: dict[str, Result] = field(default_factory=dict)
    failures: dict[str, str] = field(default_factory=dict)
    causes: list[Failure] = field(default_factory=list)
    computed: list[str] = field(default_factory=list)

    def report(self) -> list[str]:
        """Return a text per cause: its first line, and how many stages share it or depend on it."""
        texts = []
        for cause in dict.fromkeys(failure.cause for failure in self.causes):
            same = [failure for failure in self.causes if failure.cause == cause]
            others, dependents = len(same) - 1, sum(failure.dependents for failure in same)
            depend = "stage depends on" if dependents == 1 else "stages depend on"
            counts = [f"The same in {plural(others, 'other stage')}."] if others else []
            counts += [f"{dependents} {depend} {'them' if others else 'it'}."] if dependents else []
            texts.append("\n       ".join([same[0].line, *([" ".join(counts)] if counts else [])]))
        return texts
