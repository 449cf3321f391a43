"""What tier 1 shows beside its metrics: a plot, what was not found, texts on several pages."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from rag_bench.assets.factories.describe import bars, picture, reading_order, words_table

if TYPE_CHECKING:
    from rag_bench.store.evaluations import StoredEvaluation
    from rag_bench.tiers.base.bench import Bench


def shown(bench: "Bench", evaluation: "StoredEvaluation") -> dict[str, Any]:
    """Return metadata of a retrieval."""
    from rag_bench.store.evaluations import cases_of

    names = [name for name in reading_order(evaluation.metrics) if "precision" not in name]
    found = [evaluation.metrics[name] for name in names]
    plot = picture(
        bars(
            f"Retrieval on {bench.public_dataset.name}, {len(bench.items)} questions, "
            "95 % intervals",
            names,
            [metric["value"] for metric in found],
            [(metric["ci_low"], metric["ci_high"]) for metric in found],
            "hit rate: share of questions; others: mean over questions",
            (0.0, 1.0),
        )
    )
    question_of = {item.item_id: item.question for item in bench.items}
    missed = [
        [question_of[case.case_id], (case.retrieved or [{}])[0].get("page_url")]
        for case in cases_of(bench.engine, evaluation.id)
        if case.scores.get("chunk_mrr") == 0
    ]
    metadata: dict[str, Any] = {"plot": plot, "n_not_found": len(missed)}
    if bench.searched.identity != bench.encoder_identity:
        metadata["retrieval_encoder"] = bench.searched.identity.name
    metadata |= _twins(evaluation.inputs.get("twins", {}))
    if missed:
        metadata["not_found"] = words_table(
            [f"question whose chunk is not among the first {bench.run.top_k}", "best page"],
            missed[:10],
            bench.engine,
        )
    return metadata


def _twins(met: Mapping[str, int]) -> dict[str, Any]:
    """Say how many questions are about a text that stands on several pages."""
    if not met.get("chunks"):
        return {}
    return {
        "questions_with_twins": met["questions"],
        "twins": f"{met['chunks']} chunks share {met['texts']} texts. {met['questions']} questions "
        f"have such a chunk as relevant; in {met['counted']} a twin was found first and counted as "
        f"it. {met['contexts_repeated']} questions are given the same text more than once.",
    }
