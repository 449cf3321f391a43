"""The words of a draft's cases as they may be shown."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from rag_bench.store.datasets import Item


def words_of(
    engine: Engine, items: Sequence[Item], *, unmasked: bool
) -> list[tuple[str, str | None]]:
    """Return question and reference of each item, masked unless who asks may see them as they are.

    Names that the current snapshot's chunks have are public.
    """
    texts = [(item.question, item.reference_answer) for item in items]
    if unmasked or not texts:
        return texts
    from rag_bench.privacy.masking import mask_all
    from rag_bench.privacy.public_names import NOBODY
    from rag_bench.store.public_names import public_names_of
    from rag_bench.store.snapshots import current_snapshot

    snapshot = current_snapshot(engine)
    names = NOBODY if snapshot is None else public_names_of(engine, snapshot)
    questions = mask_all([question for question, _ in texts], names)
    references = mask_all([reference or "" for _, reference in texts], names)
    return [
        (question, None if given is None else reference)
        for question, reference, (_, given) in zip(questions, references, texts, strict=True)
    ]
