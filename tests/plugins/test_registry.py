"""Discovery of plug-ins by name, without importing them."""

from __future__ import annotations

import subprocess
import sys
from importlib.metadata import EntryPoint

import pytest

from benchmark.errors import TaskError, UnknownNameError
from benchmark.plugins import registry
from benchmark.plugins.description import check_generator
from benchmark.plugins.registry import available, find


def test_builtin_generators_and_sources_are_listed():
    """The controls, the two generators and the sources of the first task have names."""
    assert {"stylegan", "ddpm", "oracle", "copycat", "noise", "duplicate_real", "traditional"} <= set(
        available("generators")
    )
    assert set(available("sources")) == {
        "phantom.chest", "phantom.chexpert", "phantom.cxr14", "phantom.rare_lesion", "phantom.ultrasound",
        "chexpert", "chestxray14", "covid_chestxray", "pocus", "medmnist", "dicom_folder", "image_folder",
        "parquet_store", "huggingface",
    }  # fmt: skip


def test_listing_imports_nothing():
    """Listing generators does not import torch or diffusers."""
    code = (
        "import sys; from benchmark.plugins.registry import available; available('generators');"
        "sys.exit(any(m in sys.modules for m in ('torch', 'diffusers', 'benchmark.generators.ddpm')))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_misspelled_generator_gets_a_did_you_mean():
    """The error for 'stylegna' suggests 'stylegan'."""
    with pytest.raises(UnknownNameError, match="Did you mean 'stylegan'"):
        find("generators", ["stylegna"])


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("broken.py", "import not_there_at_all", "cannot be imported: ModuleNotFoundError"),
        ("syntax.py", "def (", "cannot be imported: SyntaxError"),
        ("bare.py", "version = '1'", "Params: is missing"),
        (
            "half.py",
            "version='1'\nParams=object\nclass Generator:\n  conditions=set()\n",
            "lacks fit, sample, save",
        ),
    ],
)
def test_broken_file_is_reported_with_its_path(tmp_path, name, text, message):
    """A generator file that cannot be imported, or lacks a part of the contract, gives one line."""
    (tmp_path / name).write_text(text)
    plugin = find("generators", [str(tmp_path / name)])[0]
    with pytest.raises(TaskError, match=message) as caught:
        check_generator(plugin.load(), plugin)
    assert name in str(caught.value)


@pytest.mark.parametrize(("name", "message"), [("Bad Name.py", "a-z, 0-9"), ("ddpm.py", "is taken by")])
def test_name_of_a_file_is_checked(tmp_path, name, message):
    """A file's name is the row's name: plain, and not reserved by the suite."""
    (tmp_path / name).write_text("")
    with pytest.raises(TaskError, match=message):
        find("generators", [str(tmp_path / name)])


@pytest.mark.parametrize("name", ["../../x", "my-gan", "My_gan", "a" * 65, ""])
def test_name_of_an_entry_point_is_checked(monkeypatch, name):
    """A generator of a package is refused before it is imported if no folder can have its name."""
    point = EntryPoint(name=name, value="not_there:x", group="synththorax.generators")
    monkeypatch.setattr(registry, "entry_points", lambda group: [point] if group == point.group else [])
    with pytest.raises(TaskError, match=r"is not a valid name\n.*a-z, 0-9 and _"):
        find("generators", [name])


def test_part_of_a_path_gets_the_rule_of_commas(tmp_path):
    """Of a path with a comma that does not exist, the first part is named with the remedy."""
    with pytest.raises(TaskError, match="a comma separates names"):
        find("generators", [str(tmp_path / "a")])


def test_version_of_a_file_follows_its_content(tmp_path):
    """An edited file is a new version, even with an unchanged number."""
    path = tmp_path / "mine.py"
    path.write_text("version = '1'\n")
    plugin = find("generators", [str(path)])[0]
    module = plugin.load()
    before = plugin.version(module)
    path.write_text("version = '1'\n# another line\n")
    assert before.startswith("1+")
    assert plugin.version(module) != before
