"""CLIP's tokenizer against the one of open-clip-torch, whose vocabulary it reads."""

from pathlib import Path

import pytest

from benchmark.errors import GeneratorError
from benchmark.generators._clip_tokenizer import byte_letters, clip_tokenizer, token_ids

TEXTS = [
    "Moderate left apical pneumothorax.",
    "12 mm calcified nodule in the right upper zone",
    "naïve £ 日本 isn't!!",
    "",
    "word " * 100,
]


def test_tokens_are_those_of_open_clip() -> None:
    """Known words, words never seen, other scripts, no text and a text too long give CLIP's numbers."""
    tokenizer = pytest.importorskip("open_clip.tokenizer").SimpleTokenizer()
    drawn, expected = token_ids(clip_tokenizer(), TEXTS, 77), tokenizer(TEXTS)
    end = tokenizer.eot_token_id
    for own, other in zip(drawn.tolist(), expected.tolist(), strict=True):
        length = other.index(end) + 1
        assert own[:length] == other[:length]
        assert set(own[length:]) <= {end}  # open_clip pads with 0, transformers with the end


def test_a_saved_folder_gives_the_same_tokenizer(tmp_path: Path) -> None:
    """A folder that transformers wrote is read again; one without a tokenizer is refused by name."""
    clip_tokenizer().save_pretrained(tmp_path / "tokenizer")
    loaded = clip_tokenizer(tmp_path / "tokenizer")
    assert token_ids(loaded, TEXTS, 20).tolist() == token_ids(clip_tokenizer(), TEXTS, 20).tolist()
    with pytest.raises(GeneratorError, match="has no tokenizer of CLIP"):
        clip_tokenizer(tmp_path)


def test_every_byte_has_a_letter() -> None:
    """The 256 letters differ and none is a space."""
    letters = byte_letters()
    assert len(set(letters)) == 256
    assert not any(letter.isspace() for letter in letters)
