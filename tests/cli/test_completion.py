"""Completion in bash."""

from __future__ import annotations

import subprocess

import pytest

from benchmark.cli.completion import script


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("ru", {"run"}),
        ("data bu", {"build"}),
        ("store ", {"verify", "du", "gc", "push", "pull"}),
        ("run --see", {"--seeds"}),
        ("data build --si", {"--size"}),
        ("run --task lus", {"lus_limited"}),
        ("tune --generator sindd", {"sinddm"}),
    ],
)
def test_words_are_completed(words, expected, tmp_path):
    """Verbs, actions, options of a verb or an action, and names of tasks and generators."""
    (tmp_path / "completion.sh").write_text(script())
    typed = ["synththorax", *words.split(" ")]
    quoted = " ".join(f"'{word}'" for word in typed)
    code = (
        f"source {tmp_path / 'completion.sh'}; COMP_WORDS=({quoted}); COMP_CWORD={len(typed) - 1}; "
        '_synththorax; echo "${COMPREPLY[@]}"'
    )
    done = subprocess.run(["bash", "-c", code], capture_output=True, text=True, check=True)
    assert set(done.stdout.split()) == expected
