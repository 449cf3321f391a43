"""The steps of a tier that asks generation models: answers, and what is measured of them.

Tier 2 gives generators the relevant chunks themselves, tier 3 what retrieval found. They differ in
words and in what their answers are made from.
"""

from rag_bench.tiers.registry import Axis, Option, Step
from rag_bench.tiers.stages import ANSWERS, RAGAS, SCORES, YOUR_METRICS

ASK_RAGAS = Option("ragas", "RAGAS' metrics as well; many more calls.")
NAMED_METRICS = Option(
    "custom_metrics",
    "The metrics that the settings name, and BERTScore.",
    by_settings="rag_bench.tiers.users_metrics.custom_metrics:anything_configured",
)
RAGAS_KINDS = ("postgres", "openai", "ragas")
RAGAS_TEXTS = "rag_bench.llm.ragas.prompts:prompt_hash"
RAGAS_VERSION = "3"
READABLE = "rag_bench.assets.factories.step_checks:replies_are_readable"


def answered(
    tier: str, reads: tuple[str, ...], answers: str, scores: str, contexts: str
) -> tuple[Step, ...]:
    """Return the four steps; the texts are descriptions, ``contexts`` what RAGAS holds against."""
    from_answers = (f"tier{tier}_answers",)
    return (
        Step(
            f"tier{tier}_answers",
            "answers",
            "rag_bench.tiers.answers.answers:answer_tasks",
            "6",
            ANSWERS,
            answers,
            by=Axis.GENERATOR,
            reads=reads,
            prompts=("generation_answer",),
            checks=("rag_bench.assets.factories.step_checks:reads_russian",),
        ),
        Step(
            f"tier{tier}_scores",
            "scores",
            "rag_bench.tiers.answers.scores:score_tasks",
            "3",
            SCORES,
            scores,
            by=Axis.PAIR,
            reads=from_answers,
            rubrics=True,
            checks=("rag_bench.assets.factories.step_checks:prompts_are_whole", READABLE),
        ),
        Step(
            f"tier{tier}_custom_metrics",
            "custom",
            "rag_bench.tiers.users_metrics.custom_metrics:custom_metric_tasks",
            "2",
            YOUR_METRICS,
            f"Tier {tier}: your own metrics (RAG_BENCH_CUSTOM_METRICS) and BERTScore "
            "(RAG_BENCH_BERTSCORE_MODEL) of each generation model's answers. Calls no model of a "
            "provider.",
            by=Axis.GENERATOR,
            reads=from_answers,
            pays=False,
            checks=("rag_bench.assets.tiers.custom_metrics:measured_alike",),
            kinds=("postgres", "python"),
            option=NAMED_METRICS,
        ),
        Step(
            f"tier{tier}_ragas_scores",
            "ragas",
            "rag_bench.tiers.answers.ragas:ragas_answer_tasks",
            RAGAS_VERSION,
            RAGAS,
            f"Tier {tier}: faithfulness to the {contexts} chunks, answer relevancy, answer "
            "correctness and semantic similarity (RAGAS, 0 to 1) of each generation model's "
            "answers by each benchmark judge. Verdicts are counted before a ratio is taken. Calls "
            "models.",
            by=Axis.PAIR,
            reads=from_answers,
            texts=RAGAS_TEXTS,
            checks=(READABLE,),
            kinds=RAGAS_KINDS,
            option=ASK_RAGAS,
            instrument="RAGAS",
        ),
    )
