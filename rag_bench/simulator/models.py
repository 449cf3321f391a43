"""What an offline model is: its kinds and their stated qualities. `roster` has the models.

`extractive` is a real, if humble, model: it knows no answers. All others are simulated: they draw
what they do from their stated shares, by hashing, so that a benchmark can be checked against what
is known to be true.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from rag_bench.simulator.truth import Quality


@dataclass(frozen=True)
class Extractive:
    """The true baseline: the sentences of the context nearest to the question, cited."""

    name: str = "extractive"


@dataclass(frozen=True)
class Generator:
    """A simulated generation model. Shares are probabilities per question, and sum to 1.

    Attributes:
        shares: of answers by quality, where the context holds the answer.
        refuses_when_absent: where the context does not hold it, an answer that would have been
            correct or partial becomes a refusal with this probability, else a hallucination.
        variation: probability that a repeat draws anew; other repeats equal the first answer.
        verbose: of correct answers, the share given as a whole sentence of the context where
            one holds the reference.
        no_citation: share of answers (refusals aside) that cite nothing.
        invalid_citation: share that cite a fragment that does not exist.
    """

    name: str
    shares: Mapping[Quality, float]
    refuses_when_absent: float
    variation: float
    verbose: float
    no_citation: float
    invalid_citation: float

    def __post_init__(self) -> None:
        if set(self.shares) != set(Quality) or abs(sum(self.shares.values()) - 1) > 1e-9:
            raise ValueError(f"the shares of {self.name} must cover all qualities and sum to 1")


@dataclass(frozen=True)
class Judge:
    """A simulated benchmark judge, on a scale of 1 to 5.

    Attributes:
        sensitivity: share of answers worth 4 or 5 that it scores 4 or 5.
        specificity: share of answers worth 1 or 2 that it scores 3 or less.
        bias: probability of one point more (negative: less) for an answer, at every repeat.
        noise: probability of one point up or down, drawn anew at every repeat.
        variation: probability that a repeat decides anew whether the answer is good.
        unreadable: share of replies that are not the JSON asked for.
        position_bias: of two answers, probability that the one shown first (negative: second)
            wins, whatever they say, in both orders. Else the better one wins with probability
            (sensitivity + specificity) / 2, in both orders alike; equal ones tie.
        length_bias: probability of one point more (negative: less) for an answer between
            sentences without content.
        style_bias: likewise for an answer in Markdown.

    The last two may move a score anywhere from 1 to 5; a plain answer they leave alone. Noise and
    bias move a score within 4 to 5 or within 1 to 3, so sensitivity and specificity
    are exactly as stated; an answer worth 3 may move anywhere.
    """

    name: str
    sensitivity: float
    specificity: float
    bias: float
    noise: float
    variation: float
    unreadable: float
    position_bias: float = 0.0
    length_bias: float = 0.0
    style_bias: float = 0.0


@dataclass(frozen=True)
class Gate:
    """A simulated production judge.

    Attributes:
        sensitivity: share of good answers (correct, partial, or labelled so) that it shows.
        specificity: share of bad ones (wrong, hallucinated, refused) that it hides.
        unreadable: share of replies that are neither ``Yes`` nor ``No: reason``.
    """

    name: str
    sensitivity: float
    specificity: float
    unreadable: float


OfflineModel = Extractive | Generator | Judge | Gate
