"""Everything that planning reads of a generator, as a record that can cross a process."""

import hashlib
from pathlib import Path
from types import ModuleType
from typing import Any, Literal, get_args

from pydantic import BaseModel, Field

from benchmark.errors import TaskError, unknown_name
from benchmark.plugins.generator import FORMATS, Asset, Traits
from benchmark.plugins.registry import Plugin
from benchmark.tasks.parsing import parse
from benchmark.tasks.profile import FitUnit

PAGE = "See docs/add_a_generator.md."


class AssetRecord(BaseModel, extra="forbid", frozen=True):
    """An ``Asset`` as JSON values."""

    name: str = Field(pattern=r"^[A-Za-z0-9._-]{1,64}$")
    folder: Path | None
    hub_id: str
    revision: str
    files: tuple[str, ...]

    def asset(self) -> Asset:
        """Return the asset."""
        return Asset(self.name, self.folder, self.hub_id, self.revision, self.files)


class Description(BaseModel, extra="forbid", frozen=True):
    """Declarations of a generator, given its parameters.

    Attributes:
        version: of its code, as the module states it.
        params: canonical parameters, defaults filled in; without ``paths``.
        code: SHA-256 of the module's file.
        has_search_space: fitting takes time, and can be tuned.
    """

    version: str = Field(max_length=48)
    card: dict[str, str]
    params: dict[str, Any]
    paths: dict[str, Path]
    assets: tuple[AssetRecord, ...]
    conditions: frozenset[str]
    fit_unit: FitUnit
    requires: frozenset[str]
    determinism: Literal["exact", "statistical"]
    whole_chunks: bool
    formats: frozenset[str] = frozenset()
    has_search_space: bool
    code: str

    @property
    def traits(self) -> Traits:
        """The declarations of its class."""
        own = (self.requires, self.determinism, self.whole_chunks, self.formats)
        return Traits(self.conditions, self.fit_unit, *own)


def module_facts(module: ModuleType) -> dict[str, Any]:
    """Return what is known of a generator without its parameters, as JSON values."""
    code = hashlib.sha256(Path(str(module.__file__)).read_bytes()).hexdigest()
    return {"has_search_space": hasattr(module, "search_space"), "code": code}


def describe_module(module: ModuleType, plugin: Plugin, values: dict[str, Any]) -> Description:
    """Return what a generator declares, after checking its contract and its parameters.

    Raises:
        TaskError: a part of the contract is missing, or a parameter is wrong.
    """
    traits = Traits.of(check_generator(module, plugin))
    params = parse(module.Params, values, f"generator '{plugin.name}': params")
    paths = {name: value for name, value in params if isinstance(value, Path)}
    assets = module.assets(params) if hasattr(module, "assets") else ()
    return Description(
        version=plugin.own_version(module),
        card={k: str(v) for k, v in dict(getattr(module, "card", {})).items()},
        params={k: v for k, v in params.model_dump(mode="json").items() if k not in paths},
        paths=paths,
        assets=tuple(AssetRecord.model_validate(vars(asset)) for asset in assets),
        conditions=_conditions(module, traits, params),
        fit_unit=traits.fit_unit,
        requires=_requirements(module, plugin, params) if hasattr(module, "requires") else traits.requires,
        determinism=traits.determinism,
        whole_chunks=traits.whole_chunks,
        formats=traits.formats,
        **module_facts(module),
    )


def check_generator(module: ModuleType, plugin: Plugin) -> Any:
    """Return the generator class of a plug-in.

    Raises:
        TaskError: names the part of the contract that is missing.
    """
    for name in ("Params", "Generator"):
        if not hasattr(module, name):
            raise TaskError(f"{plugin.target}: {name}", "is missing", PAGE)
    kind = module.Generator
    missing = [m for m in ("fit", "sample", "save", "load", "conditions") if not hasattr(kind, m)]
    if missing:
        raise TaskError(f"{plugin.target}: {kind.__name__}", f"lacks {', '.join(missing)}", PAGE)
    traits = Traits.of(kind)
    _check_requirements(traits.requires, plugin)
    if odd := sorted(traits.formats - {*FORMATS}):
        raise unknown_name("format", odd[0], list(FORMATS), plugin.target)
    if traits.fit_unit not in get_args(FitUnit):
        raise unknown_name("fit_unit", traits.fit_unit, list(get_args(FitUnit)), plugin.target)
    return kind


def _conditions(module: ModuleType, traits: Traits, params: Any) -> frozenset[str]:
    """Return the columns of a request that a generator with these parameters reads."""
    return frozenset(module.conditions_of(params)) if hasattr(module, "conditions_of") else traits.conditions


def _requirements(module: ModuleType, plugin: Plugin, params: Any) -> frozenset[str]:
    """Return what a generator with these parameters requires."""
    names = frozenset(module.requires(params))
    _check_requirements(names, plugin)
    return names


def _check_requirements(names: frozenset[str], plugin: Plugin) -> None:
    if odd := sorted(names - {"classifier"}):
        raise unknown_name("requirement", odd[0], ["classifier"], f"{plugin.target}: requires")
