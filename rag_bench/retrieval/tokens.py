"""How many tokens of the encoder a text is: by its tokenizer alone, without its weights."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from pathlib import Path

from rag_bench.retrieval.identity import encoder_folder
from rag_bench.settings import Settings


def token_counter(settings: Settings) -> Callable[[str], int]:
    """Return what counts a text's tokens, those that models add to every text left out.

    It is loaded once. Raises ConfigurationError where the encoder is not here.
    """
    return _counter(encoder_folder(settings))


@lru_cache(maxsize=2)
def _counter(folder: Path) -> Callable[[str], int]:
    file = folder / "tokenizer.json"
    if file.is_file():
        from tokenizers import Tokenizer

        fast = Tokenizer.from_file(str(file))
        fast.no_truncation()
        fast.no_padding()
        return lambda text: len(fast.encode(text, add_special_tokens=False).ids)
    from transformers import AutoTokenizer

    slow = AutoTokenizer.from_pretrained(str(folder))
    return lambda text: len(slow(text, add_special_tokens=False, verbose=False)["input_ids"])
