"""The statistics package is independent of the suite and imports heavy libraries only on use."""

from __future__ import annotations

import ast
import subprocess
import sys

from support.samples import ROOT

MODULES = sorted((ROOT / "benchmark" / "statistics").glob("*.py"))
HEAVY = ("statsmodels", "scikit_posthocs", "pandas", "torch")


def test_it_imports_nothing_of_the_suite_but_errors():
    """Modules import only each other and ``benchmark.errors`` of the suite."""
    for module in MODULES:
        for node in ast.walk(ast.parse(module.read_text())):
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("benchmark"):
                assert node.module.startswith(("benchmark.statistics", "benchmark.errors")), module.name


def test_importing_it_loads_no_heavy_library():
    """Importing all modules and the command-line parser loads neither statsmodels nor similar libraries."""
    names = [f"benchmark.statistics.{m.stem}" for m in MODULES if m.stem != "__init__"]
    loaded = f"print([m for m in {HEAVY} if m in sys.modules])"
    code = f"import sys, benchmark.cli.parser, {', '.join(names)}; {loaded}"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=True)
    assert run.stdout.strip() == "[]"
