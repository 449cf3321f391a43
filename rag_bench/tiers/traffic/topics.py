"""Which topics users' questions are put into: the known ones, or new ones where asked or needed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from rag_bench.hashing import content_hash
from rag_bench.store.topics.models import model_of, newest_models, save_model

if TYPE_CHECKING:
    import numpy as np

    from rag_bench.analytics.clusters import Reduction
    from rag_bench.analytics.topic_model import TopicModel
    from rag_bench.tiers.traffic.analysis import Analysis, Questions

# Topics are of these questions if so much of either's texts is common to both …
_SHARED = 0.1
# … or if no more of the questions lie outside of all of them: else it is another assistant's log.
_OUTSIDE = 0.2


@dataclass(frozen=True)
class KnownTopics:
    """The topics to use, and those of the generation before; None for the first."""

    model: TopicModel
    parent: TopicModel | None


def known_topics(
    analysis: Analysis,
    questions: Questions,
    *,
    n_topics: int,
    reduction: Reduction,
    refit: bool = False,
) -> KnownTopics:
    """Return the topics that these questions belong to; make them where there are none.

    The newest generation that was made under the same settings, of a log that this one continues.
    ``refit``: make a new generation of these questions; where the newest was made of the very same
    ones, there is nothing to make.

    Raises:
        NotInstalledError: BERTopic is not installed, and topics are to be made.
    """
    from rag_bench.analytics import topic_model

    encoder = analysis.encoder_identity.key
    texts = [question.text for question in questions.asked]
    kind = kind_of(encoder, n_topics, reduction)
    found = _fitting(newest_models(analysis.engine, kind), analysis, questions, texts)
    source = topic_model.made_from(encoder, texts, n_topics, reduction)
    if found is None or (refit and found.made_from != source):
        made = topic_model.new_model(
            texts,
            _vectors(analysis, questions),
            encoder=encoder,
            n_topics=n_topics,
            reduction=reduction,
            parent=found,
            public_names=analysis.public_names,
        )
        found = save_model(analysis.engine, kind, made)
    return KnownTopics(found, model_of(analysis.engine, found.parent))


def kind_of(encoder: str, n_topics: int, reduction: Reduction) -> str:
    """Return the kind of topics that are made by an encoder under these settings."""
    from rag_bench.analytics import topic_model

    return content_hash([topic_model.VERSION, encoder, n_topics, reduction])


def _fitting(
    models: Sequence[TopicModel], analysis: Analysis, questions: Questions, texts: Sequence[str]
) -> TopicModel | None:
    """Return the topics of this log: those of the most common texts, else of the fewest outside."""
    from rag_bench.analytics import topic_model

    shares = [(topic_model.share_known(model, texts), model) for model in models]
    common = [(share, -place) for place, (share, _) in enumerate(shares) if share >= _SHARED]
    if common:
        return models[-max(common)[1]]
    if not models:
        return None
    vectors = _vectors(analysis, questions)
    outside = [
        (float(topic_model.assign(model, texts, vectors).outside.mean()), place)
        for place, model in enumerate(models)
    ]
    share, place = min(outside)
    return models[place] if share <= _OUTSIDE else None


def _vectors(analysis: Analysis, questions: Questions) -> np.ndarray:
    return analysis.question_vectors(questions.asked)
