"""CLIP's tokenizer: from a local folder, or from the vocabulary that the package open-clip-torch carries."""

import gzip
from collections.abc import Sequence
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from benchmark.errors import GeneratorError

FILE = "bpe_simple_vocab_16e6.txt.gz"
MERGES = 49_152 - 256 - 2  # of the file's lines, as in OpenAI's simple_tokenizer.py
START, END = "<|startoftext|>", "<|endoftext|>"
TOKENS = 77  # of a text with both ends: the context of CLIP's text encoder


@lru_cache(maxsize=4)
def clip_tokenizer(folder: Path | None = None) -> Any:
    """Return transformers' ``CLIPTokenizer``, without a network.

    Args:
        folder: with the files of a tokenizer, as in a checkpoint's ``tokenizer``; None for the vocabulary of
            open-clip-torch, which is that of CLIP ViT-L/14 and so of Stable Diffusion 1.x.
    Raises:
        GeneratorError: the folder has no tokenizer, or the package is missing.
    """
    from transformers import CLIPTokenizer

    if folder is None:
        tokens, merges = vocabulary(_installed())
        pairs: Any = merges  # transformers types them as strings, and takes pairs
        return CLIPTokenizer(vocab=tokens, merges=pairs, model_max_length=TOKENS)
    if not any((folder / name).is_file() for name in ("tokenizer.json", "vocab.json")):
        remedy = "Give a folder with tokenizer.json, or with vocab.json and merges.txt."
        raise GeneratorError(str(folder), "has no tokenizer of CLIP", remedy)
    return CLIPTokenizer.from_pretrained(folder, local_files_only=True)


def vocabulary(file: Path) -> tuple[dict[str, int], list[tuple[str, str]]]:
    """Return the number of every token, and the merges of pairs, most frequent first.

    The numbers are CLIP's: 256 bytes, the same at the end of a word, the merges, and both ends of a text.
    """
    lines = gzip.decompress(file.read_bytes()).decode("utf-8").split("\n")
    merges = [(a, b) for a, b in (line.split() for line in lines[1 : MERGES + 1])]
    letters = byte_letters()
    tokens = [*letters, *(letter + "</w>" for letter in letters), *(a + b for a, b in merges), START, END]
    return {token: number for number, token in enumerate(tokens)}, merges


def byte_letters() -> list[str]:
    """Return the visible character that stands for each byte, printable ones first, as in CLIP and GPT-2."""
    ranges = (("!", "~"), ("¡", "¬"), ("®", "ÿ"))
    printable = [code for first, last in ranges for code in range(ord(first), ord(last) + 1)]
    others = 256 - len(printable)
    return [chr(code) for code in printable] + [chr(256 + k) for k in range(others)]


def token_ids(tokenizer: Any, texts: Sequence[str], length: int) -> Any:
    """Return (N, length) int64 token numbers, padded with the end of text; longer texts lose their end."""
    encoded = tokenizer(
        list(texts), padding="max_length", truncation=True, max_length=length, return_tensors="pt"
    )
    return encoded.input_ids


def _installed() -> Path:
    spec = find_spec("open_clip")  # the package is not imported: that takes seconds
    folders = spec.submodule_search_locations if spec else None
    for folder in folders or ():
        if (Path(folder) / FILE).is_file():
            return Path(folder) / FILE
    remedy = "Run pip install open-clip-torch, or give a folder with a tokenizer."
    raise GeneratorError(FILE, "CLIP's vocabulary is not installed", remedy)
