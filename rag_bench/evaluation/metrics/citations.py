"""What an answer cites: how much of it is right, and how much of what is right."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence

from rag_bench.errors import ErrorCode
from rag_bench.evaluation.answer_metrics import AnswerCase, AnswerMetrics
from rag_bench.evaluation.metric_spec import UNIT, Need, entries

# A cached answer cites a page, not chunks.
_NEEDS = (Need.in_scope, Need.generated)
METRICS = (
    *entries(
        ("citation_precision",),
        ("2", "3"),
        "mean",
        UNIT,
        True,
        r"\|cited ∩ given ∩ R\| / \|cited\|; null without citations",
        # An answer without citations has no precision; its recall is 0.
        needs=(*_NEEDS, Need.relevant_chunks, Need.value),
    ),
    *entries(
        ("citation_recall",),
        ("2", "3"),
        "mean",
        UNIT,
        True,
        r"\|cited ∩ given ∩ R\| / \|R\|; 0 without citations, with the flag `NO_CITATIONS`, the "
        "one code with a value",
        needs=(*_NEEDS, Need.relevant_chunks),
    ),
    *entries(
        ("n_citations",), ("2", "3"), "mean", None, None, "distinct chunks cited", needs=_NEEDS
    ),
    *entries(
        ("n_invalid_citations",),
        ("2", "3"),
        "mean",
        None,
        False,
        "distinct chunks cited that the answer was not given; they count against precision",
        needs=_NEEDS,
    ),
)


def citation_metrics(
    cited: Iterable[str],
    retrieved: Collection[str],
    relevant: Collection[str],
    same: Callable[[str], str] = str,
) -> tuple[dict[str, float | None], list[str]]:
    """Return one answer's citation scores and its flags.

    ``cited``: chunk ids that the answer cites (a repeat counts once); ``retrieved``: those it was
    given; ``relevant``: those that hold the answer. A citation of a chunk that was not given is
    invalid: it counts against precision and never towards recall.

    ``same``: one chunk for all with its text; a citation of a relevant chunk's twin is one of the
    relevant chunk, and citations of two twins are one.

    ``citation_precision`` = given, relevant and cited / cited, None without citations.
    ``citation_recall`` = given, relevant and cited / relevant; 0 without citations, which is
    flagged ``NO_CITATIONS``. Both are None where no relevant chunk is known.
    ``n_citations``, ``n_invalid_citations``: counts.
    """
    unique, given, gold = set(cited), set(retrieved), set(relevant)
    named, texts = {same(chunk) for chunk in unique}, {same(chunk) for chunk in gold}
    hits = len({same(chunk) for chunk in unique & given} & texts)
    scores: dict[str, float | None] = {
        "citation_precision": hits / len(named) if unique and gold else None,
        "citation_recall": hits / len(texts) if gold else None,
        "n_citations": float(len(unique)),
        "n_invalid_citations": float(len(unique - given)),
    }
    return scores, [] if unique else [ErrorCode.NO_CITATIONS.value]


def _of_cases(cases: Sequence[AnswerCase]) -> list[dict[str, float | None]]:
    found = (citation_metrics(case.cited, case.given, case.relevant, case.same) for case in cases)
    return [scores for scores, _ in found]


OF_ANSWERS = (AnswerMetrics(METRICS, _of_cases, version=None, reads_vectors=False),)
