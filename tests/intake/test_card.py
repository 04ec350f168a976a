"""Submission cards: required fields must be present, and invalid fields are refused by name."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
import yaml

from benchmark.errors import SubmissionError
from benchmark.intake.card import MAX_BYTES, SubmissionCard, read_card
from support.samples import ROOT

GOOD = {
    "name": "my_model",
    "title": "My model",
    "authors": ["A. Author", "B. Author"],
    "paper": "https://arxiv.org/abs/2301.00001",
    "code": "",
    "license": "CC-BY-4.0",
    "training_data": "the task's own",
    "pretraining_data": "none",
    "attempts": 3,
    "test_access": "none",
    "hardware": "3 h on one GPU",
}


def written(folder: Path, text: str | bytes) -> Path:
    path = folder / "submission.yaml"
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return path


def card(folder: Path, **changed: object) -> SubmissionCard:
    """Return a valid card with some fields changed; None leaves a field out."""
    content = {k: v for k, v in {**GOOD, **changed}.items() if v is not None}
    return read_card(written(folder, yaml.safe_dump(content, allow_unicode=True)))


def test_a_card_is_read_as_it_is_written(tmp_path):
    """Every field survives reading; paper and code may be missing or empty."""
    assert card(tmp_path).model_dump() == {**GOOD, "authors": ("A. Author", "B. Author")}
    assert card(tmp_path, paper=None).paper == ""
    assert read_card(written(tmp_path, yaml.safe_dump(GOOD).replace("code: ''", "code:"))).code == ""


@pytest.mark.parametrize("submission_type", ["generator", "samples", "bundle"])
def test_the_examples_have_cards(submission_type):
    """The examples' cards, which docs/submit.md shows, are valid."""
    assert read_card(ROOT / "examples" / "submissions" / submission_type / "submission.yaml").name
    if submission_type == "samples":
        shown = (ROOT / "docs" / "submit.md").read_text().split("```yaml\n")[1].split("```")[0]
        example = (ROOT / "examples" / "submissions" / submission_type / "submission.yaml").read_text()
        assert yaml.safe_load(shown) == yaml.safe_load(example)


@pytest.mark.parametrize("field", [k for k in GOOD if k not in ("paper", "code")])
def test_a_missing_field_is_named(field, tmp_path):
    """All fields but paper and code are required."""
    with pytest.raises(SubmissionError, match=f"yaml: lacks {field}\n"):
        card(tmp_path, **{field: None})


def test_all_missing_fields_are_named_in_one_line(tmp_path):
    """A card of an older release learns at once what it lacks."""
    old = {
        k: v for k, v in GOOD.items() if k not in ("attempts", "test_access", "pretraining_data", "hardware")
    }
    text = yaml.safe_dump({**old, "pretrained_weights": "none", "compute": "1 h"})
    lacking, odd = "pretraining_data, attempts, test_access, hardware", "compute, pretrained_weights"
    with pytest.raises(SubmissionError, match=f"lacks {lacking}; unknown fields: {odd}\n"):
        read_card(written(tmp_path, text))


@pytest.mark.parametrize(
    ("text", "access"),
    [
        ("none", "none"),
        ("images: chosen by their FID", "images"),
        ("labels: all", "labels"),
        ("both: x", "both"),
    ],
)
def test_access_to_the_test_is_declared_in_words(text, access, tmp_path):
    """Four words, and an explanation after all but ``none``."""
    assert card(tmp_path, test_access=text).access == access


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("name", "My Model"),
        ("name", "../up"),
        ("name", "<script>alert(1)</script>"),
        ("name", "a" * 65),
        ("title", ""),
        ("title", "  "),
        ("title", "x" * 201),
        ("title", "right\u202eleft"),
        ("title", "bell\x07"),
        ("attempts", 0),
        ("attempts", True),
        ("attempts", "3"),
        ("attempts", 2.5),
        ("attempts", 10**9),
        ("test_access", "images"),
        ("test_access", "labels: "),
        ("test_access", "a little"),
        ("test_access", ""),
        ("title", 7),
        ("authors", []),
        ("authors", "A. Author"),
        ("authors", ["x"] * 101),
        ("paper", "javascript:alert(1)"),
        ("paper", "file:///etc/passwd"),
        ("code", 'https://x.org/"onclick="alert(1)'),
        ("code", "https://x.org/<script>"),
        ("license", "x" * 201),
        ("license", float("nan")),
        ("hardware", float("inf")),
        ("training_data", "x" * 2001),
        ("pretraining_data", {"a": 1}),
    ],
)
def test_an_invalid_value_is_refused_by_its_field(field, value, tmp_path):
    """Wrong types, empty and too long texts, names with paths, addresses that run code, and invisible
    characters are refused; the message names the field."""
    with pytest.raises(SubmissionError, match=f"yaml: {field}"):
        card(tmp_path, **{field: value})


@pytest.mark.parametrize("reference", ["doi:10.1000/xyz.1", "10.48550/arXiv.2301.00001", "http://x.org", ""])
def test_papers_and_code_are_addresses_or_dois(reference, tmp_path):
    """A web address, a DOI with or without prefix, and an empty field are valid."""
    assert card(tmp_path, paper=reference, code=reference).paper == reference


def test_markup_in_a_title_is_a_text_like_any_other(tmp_path):
    """Markup is unchanged, since pages escape it: an author may write p < 0.05."""
    assert card(tmp_path, title="<b>p < 0.05</b> & more").title == "<b>p < 0.05</b> & more"


def test_a_misspelled_field_gets_a_suggestion(tmp_path):
    """An unknown field gets a "did you mean"."""
    with pytest.raises(SubmissionError, match="Did you mean 'license'"):
        card(tmp_path, licence="MIT")


HOSTILE = {
    "a tag that runs code": ("name: !!python/object/apply:os.system ['true']", "could not determine"),
    "a key twice": ("name: a\nname: b", "duplicate key 'name'"),
    "a list": ("- name", "expected a mapping"),
    "nothing": ("", "expected a mapping"),
    "not UTF-8": (b"name: \xff\xfe", "cannot be read"),
    "a null byte": (b"name: a\x00b", "unacceptable character|special characters"),
    "a pickle": (b"\x80\x04\x95\x00\x00\x00.", "cannot be read"),
    "a date that is none": ("hardware: 2020-99-99", "is not plain YAML"),
    "a number of 5000 digits": ("hardware: " + "9" * 5000, "is not plain YAML"),
    "deep nesting": ("[" * 50_000, "is not plain YAML"),
    "too much": ("# " + "x" * MAX_BYTES, "at most 100000 are allowed"),
}


@pytest.mark.parametrize("what", HOSTILE)
def test_hostile_yaml_is_refused_in_one_line(what, tmp_path):
    """Tags, repeated keys, pickles, huge numbers, deep nesting and huge files give one error without a
    traceback."""
    text, message = HOSTILE[what]
    with pytest.raises(SubmissionError, match=message):
        read_card(written(tmp_path, text))


def test_a_billion_laughs_are_refused_at_once(tmp_path):
    """Aliases that would expand to 10^9 texts are refused without expansion."""
    lines = ['a: &a ["lol"]'] + [
        f"{b}: &{b} [{', '.join([f'*{a}'] * 10)}]" for a, b in zip("abcdefgh", "bcdefghi", strict=True)
    ]
    began = time.monotonic()
    with pytest.raises(SubmissionError, match="unknown field"):
        read_card(written(tmp_path, "\n".join([*lines, "title: *i"])))
    assert time.monotonic() - began < 2


def test_a_link_or_a_folder_is_refused(tmp_path):
    """A link could lead to any file of the machine."""
    path = written(tmp_path, yaml.safe_dump(GOOD))
    (tmp_path / "link.yaml").symlink_to(path)
    for odd in (tmp_path / "link.yaml", tmp_path, tmp_path / "absent.yaml"):
        with pytest.raises(SubmissionError, match="not a plain file"):
            read_card(odd)
