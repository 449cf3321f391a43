"""The questions of a stored dataset as the cases of a run."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from rag_bench.evaluation.text.text_scripts import russian_or_english
from rag_bench.settings import Settings
from rag_bench.store import datasets
from rag_bench.store.datasets import PAIRS, DatasetInfo, Item
from rag_bench.store.eval_runs.chunk_names import Named, named_in
from rag_bench.store.eval_runs.creating import NewCase
from rag_bench.strict_json.places import Place, pointer

if TYPE_CHECKING:
    from sqlalchemy import Connection, Engine


def named_dataset(
    engine: Engine, reference: str, settings: Settings, errors: list[Place]
) -> DatasetInfo | None:
    """Return the dataset that a request names; None: it cannot be meant, which is told."""
    found = datasets.find_dataset(engine, reference)
    if found is None:
        newest = ", ".join(str(one) for one in datasets.list_datasets(engine)[:5]) or "none"
        detail = f"There is no dataset {reference!r}. The newest are: {newest}."
    elif found.kind == PAIRS:
        detail = "This dataset is of labelled pairs, for the production judge: it has no questions."
    elif found.n_items > settings.eval_max_cases:
        detail = (
            f"The dataset has {found.n_items} questions; a run has at most "
            f"{settings.eval_max_cases} cases."
        )
    else:
        return found
    errors.append(Place(detail, pointer=pointer(["dataset"])))
    return None


def cases_of(
    items: Sequence[Item], connection: Connection, dump_sha256: str | None
) -> list[NewCase]:
    """Return the questions of a dataset as cases; relevant chunks are by hash already."""
    named = {digest for item in items for digest in item.chunk_hashes}
    meant = named_in(connection, dump_sha256, named)
    return [
        NewCase(position, item.item_id, _given(item), _known(item, meant))
        for position, item in enumerate(items)
    ]


def _given(item: Item) -> dict[str, Any]:
    given: dict[str, Any] = {"id": item.item_id, "question": item.question}
    if item.reference_answer is not None:
        given["ground_truth_answer"] = item.reference_answer
    if item.chunk_hashes:
        given["ground_truth_chunks"] = list(item.chunk_hashes)
    return given


def _known(item: Item, meant: Named) -> dict[str, Any]:
    lacking = [one for one in item.chunk_hashes if one not in meant.current]
    outdated = [one for one in lacking if one in meant.outdated]
    named = item.details.get("language")
    own = named in ("ru", "en")
    return {
        "lang": named if own else russian_or_english(item.question),
        "lang_by": "dataset" if own else "detected",
        "chunk_hashes": [one for one in item.chunk_hashes if one in meant.current],
        "names": {},
        "unknown_chunks": [one for one in lacking if one not in outdated],
        **({"outdated_chunks": outdated} if outdated else {}),
    }
