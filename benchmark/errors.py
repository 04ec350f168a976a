"""The errors that a user can meet. Imports nothing heavy."""

from difflib import get_close_matches


class BenchmarkError(Exception):
    """A fault that the user can fix: its place, what was expected, and the remedy.

    Prints as two lines: ``where: problem`` and, indented, the remedy.
    """

    def __init__(self, where: str, problem: str, remedy: str = "") -> None:
        super().__init__(where, problem, remedy)  # all three, so that it crosses processes
        self.where, self.problem, self.remedy = where, problem, remedy

    def __str__(self) -> str:
        line = f"{self.where}: {self.problem}" if self.where else self.problem
        return f"{line}\n       {self.remedy}" if self.remedy else line


class TaskError(BenchmarkError):
    """A task file, a profile or a parameter is wrong."""


class UnknownNameError(TaskError):
    """A name that is not known."""


class DataError(BenchmarkError):
    """Images, metadata or splits are not what the task needs."""


class GeneratorError(BenchmarkError):
    """A generator broke its contract or failed."""


class MetricError(BenchmarkError):
    """A metric cannot be computed from its inputs."""


class ClassifierError(BenchmarkError):
    """A classifier cannot be built or trained."""


class StoreError(BenchmarkError):
    """The folder of stage results cannot be read or written."""


class TrackingError(BenchmarkError):
    """The tracking store cannot be read or written."""


class SubmissionError(BenchmarkError):
    """A bundle or another input from outside is refused."""


def unknown_name(kind: str, name: str, known: list[str], where: str = "") -> UnknownNameError:
    """Error for a name that is not among the known ones, with a "did you mean"."""
    close = get_close_matches(name, known, n=1, cutoff=0.5)
    meant = f"Did you mean '{close[0]}'? " if close else ""
    return UnknownNameError(where, f"unknown {kind} '{name}'", f"{meant}Known: {', '.join(sorted(known))}.")
