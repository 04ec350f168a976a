"""Find plug-ins by file name, by entry point or by path, without importing them."""

import hashlib
import importlib
import importlib.util
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import entry_points
from pathlib import Path
from types import ModuleType
from typing import Literal

from benchmark.errors import TaskError, unknown_name
from benchmark.utils.naming import check_name

Kind = Literal["generators", "metrics", "sources"]
ENTRY_POINTS = "synththorax."
# Packages of the built-in plug-ins. Folders of ``metrics`` hold helpers, those of ``datasets`` plug-ins.
FOLDERS = {"generators": "generators", "metrics": "metrics", "sources": "datasets"}


@dataclass(frozen=True)
class Plugin:
    """Location of a plug-in; ``load`` imports it."""

    kind: Kind
    name: str
    origin: Literal["builtin", "entry_point", "file"]
    target: str

    def load(self) -> ModuleType:
        """Import the plug-in.

        Raises:
            TaskError: it cannot be imported.
        """
        try:
            return import_target(self.target)
        except Exception as error:  # a third party's module may raise anything
            raise TaskError(
                f"{self.kind[:-1]} '{self.name}' ({self.target})",
                f"cannot be imported: {type(error).__name__}: {error}",
                "Fix the file, or install what it imports.",
            ) from error

    def version(self, module: object) -> str:
        """Return the code version for cache keys.

        Raises:
            TaskError: the module has no ``version``.
        """
        return self.with_content(self.own_version(module))

    def own_version(self, module: object) -> str:
        """Return the version that the module states.

        Raises:
            TaskError: it states none.
        """
        own = str(getattr(module, "version", ""))
        if not own:
            raise TaskError(f"{self.target}: version", "is missing", 'Add a line such as: version = "1"')
        return own

    def with_content(self, version: str) -> str:
        """Return a stated version; of a file the content counts too, since it may be edited."""
        if self.origin != "file":
            return version
        return f"{version}+{hashlib.sha256(Path(self.target).read_bytes()).hexdigest()[:16]}"


def import_target(target: str) -> ModuleType:
    """Import a plug-in's module by its dotted name, or a Python file by its path, which ends in ``.py``."""
    return _import_file(Path(target)) if target.endswith(".py") else importlib.import_module(target)


def _import_file(path: Path) -> ModuleType:
    name = f"synththorax_file_{hashlib.sha256(str(path).encode()).hexdigest()[:12]}"
    if name in sys.modules:
        return sys.modules[name]
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise ImportError("not a Python file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    return module


def _builtin(kind: Kind) -> dict[str, Plugin]:
    folder = FOLDERS[kind]
    root = Path(__file__).parent.parent / folder
    plugins = {}
    for path in sorted(root.rglob("*.py") if kind == "sources" else root.glob("*.py")):
        parts = path.relative_to(root).with_suffix("").parts
        if not any(p.startswith("_") for p in parts):
            name = ".".join(parts)
            plugins[name] = Plugin(kind, name, "builtin", f"benchmark.{folder}.{name}")
    return plugins


def available(kind: Kind) -> dict[str, Plugin]:
    """Return all plug-ins by name: the suite's own, and those of installed packages.

    Raises:
        TaskError: two plug-ins have the same name.
    """
    plugins = _builtin(kind)
    for point in entry_points(group=ENTRY_POINTS + kind):
        if point.name in plugins:
            raise TaskError(
                f"entry point {ENTRY_POINTS}{kind}: {point.name}",
                f"the name is taken by {plugins[point.name].target}",
                "Rename the plug-in in its package.",
            )
        plugins[point.name] = Plugin(kind, point.name, "entry_point", point.value.split(":")[0])
    return plugins


def find(kind: Kind, names: Sequence[str]) -> list[Plugin]:
    """Return the plug-ins of these names, or of the Python files at these paths.

    Raises:
        UnknownNameError: no plug-in has the name.
        TaskError: the file is missing, its name is taken, or no folder can have the plug-in's name.
    """
    known = available(kind)
    plugins = []
    for name in names:
        if name.endswith(".py"):
            plugins.append(_from_file(kind, Path(name), known))
        elif name in known:
            plugins.append(known[name])
        elif "/" in name:
            remedy = "Give the path of a Python file; a comma separates names."
            raise TaskError(name, f"is not a {kind[:-1]}", remedy)
        else:
            raise unknown_name(kind[:-1], name, list(known))
        check_name(plugins[-1].name, plugins[-1].target, dotted=kind == "sources")
    return plugins


def _from_file(kind: Kind, path: Path, known: dict[str, Plugin]) -> Plugin:
    if not path.is_file():
        raise TaskError(str(path), "no such file", f"Give the path of a Python file with a {kind[:-1]}.")
    if path.stem in known and Path(known[path.stem].target) != path:
        raise TaskError(
            str(path), f"the name '{path.stem}' is taken by {known[path.stem].target}", "Rename the file."
        )
    return Plugin(kind, path.stem, "file", str(path.resolve()))
