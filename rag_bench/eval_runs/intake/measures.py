"""The metrics that a request names, by their names here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from rag_bench.errors import ConfigurationError
from rag_bench.evaluation import catalogue
from rag_bench.evaluation.custom import SETTING, parse_metrics
from rag_bench.evaluation.metrics.bertscore import BERTSCORE_NAMES
from rag_bench.settings import Settings
from rag_bench.strict_json.places import Place, pointer

#: What people call several metrics at once, in lower case.
FAMILIES: Mapping[str, tuple[str, ...]] = {
    "bleu": ("bleu",),
    "rouge": ("rouge1_f", "rouge2_f", "rougeL_f"),
    "rouge1": ("rouge1_f",),
    "rouge2": ("rouge2_f",),
    "rougel": ("rougeL_f",),
    "chrf": ("chrf",),
    "bertscore": BERTSCORE_NAMES,
}
#: Tiers whose metrics a run can have: of answers and of retrieval.
_TIERS = frozenset({"1", "2", "3"})
#: How metrics begin that a judge is asked for.
_JUDGED = ("ragas_", "rubric_")


def named_metrics(asked: Sequence[str], settings: Settings, errors: list[Place]) -> tuple[str, ...]:
    """Return the metrics that are asked for by name, each once, in the order of the request."""
    found: dict[str, None] = {}
    own = _own(settings)
    for number, name in enumerate(asked):
        names = FAMILIES.get(name.lower()) or ((name,) if _is_known(name, own) else ())
        detail = ""
        if not names:
            detail = (
                f"There is no metric {name!r}. There are BLEU, ROUGE, chrF, BERTScore, those of "
                f"docs/metrics.md, and of {SETTING}: {', '.join(own) or 'none'}."
            )
        elif set(names) & set(BERTSCORE_NAMES) and not settings.bertscore_model:
            detail = (
                "BERTScore needs a model: set RAG_BENCH_BERTSCORE_MODEL to the folder of a "
                "transformers model, or to encoder."
            )
        if detail:
            errors.append(Place(detail, pointer=pointer(["metrics", number])))
        else:
            found |= dict.fromkeys(names)
    return tuple(found)


def asks_a_judge(eval_types: Sequence[str], metrics: Sequence[str]) -> bool:
    """Tell whether anything that is measured asks a judge."""
    judged = any(name.startswith(_JUDGED) for name in metrics)
    return judged or bool({"ragas", "rubric"} & set(eval_types))


def reads_answers(eval_types: Sequence[str], metrics: Sequence[str]) -> bool:
    """Tell whether anything that is measured is of answers: retrieval alone is not."""
    return bool(set(eval_types) - {"retrieval"}) or any(
        (declared := catalogue.known(name)) is None or declared.tiers != ("1",) for name in metrics
    )


def _own(settings: Settings) -> tuple[str, ...]:
    try:
        return tuple(parse_metrics(settings.custom_metrics))
    except ConfigurationError:
        return ()  # what measures them tells it


def _is_known(name: str, own: tuple[str, ...]) -> bool:
    if name in own:
        return True
    declared = catalogue.known(name)
    return declared is not None and bool(_TIERS & set(declared.tiers))
