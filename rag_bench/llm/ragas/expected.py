"""How often RAGAS asks about a case, and how much it shows, known before anything is answered.

ragas writes its prompts one after another, the later ones of earlier replies: of those only the
length can be estimated, by the texts that they are made from. Imports no ragas.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from rag_bench.llm.ragas.prompts import Language, head

if TYPE_CHECKING:
    from rag_bench.llm.ragas.metrics import Sample

#: Questions that answer relevancy has a judge make of an answer.
STRICTNESS = 3


def expected_prompts(language: Language, metric: str, sample: Sample) -> list[int]:
    """Return the characters of each prompt of one case, in the order in which they are sent.

    An estimate: a list of statements counts as long as the text that it is made from.
    """
    question, answer, reference = (
        len(text) for text in (sample.question, sample.answer, sample.reference)
    )
    contexts = [len(text) for text in sample.contexts]
    match metric:
        case "faithfulness":
            shown = [("statements", question + answer), ("faithfulness", sum(contexts) + answer)]
        case "answer_relevancy":
            shown = [("answer_relevancy", answer)] * STRICTNESS
        case "context_precision":
            shown = [("context_precision", question + reference + each) for each in contexts]
        case "context_recall":
            shown = [("context_recall", question + sum(contexts) + reference)]
        case "answer_correctness":
            shown = [
                ("statements", question + answer),
                ("statements", question + reference),
                ("answer_correctness", question + answer + reference),
            ]
        case _:
            raise ValueError(f"no such metric: {metric}")
    return [len(head(language, name)) + given for name, given in shown]
