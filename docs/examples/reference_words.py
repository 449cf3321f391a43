"""A metric module for HuggingFace's library evaluate: a class derived from evaluate.Metric."""

import datasets
import evaluate


class ReferenceWords(evaluate.Metric):
    """The share of the reference's distinct words that the answer uses."""

    def _info(self) -> evaluate.MetricInfo:
        text = datasets.Value("string")
        return evaluate.MetricInfo(
            description="Share of the reference's words that the prediction uses.",
            citation="",
            inputs_description="predictions and references: texts",
            features=datasets.Features({"predictions": text, "references": text}),
        )

    def _compute(self, predictions: list[str], references: list[str]) -> dict[str, float]:
        shares = []
        for prediction, reference in zip(predictions, references, strict=True):
            wanted = set(reference.lower().split())
            shares.append(len(wanted & set(prediction.lower().split())) / len(wanted))
        return {"share": sum(shares) / len(shares), "n": len(shares)}
