"""Topics over time: hand-made groups stay, are born, die, split and merge. Loads BERTopic."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest

from rag_bench.analytics import topic_changes, topic_model
from rag_bench.analytics.topic_model import TIE, KnownTopic, TopicModel, assign, new_model

DIMENSIONS = 24
WORDS = ("стипендия", "общежитие", "пересдача", "столовая", "справка")
AT = np.linalg.qr(np.random.default_rng(5).normal(size=(DIMENSIONS, DIMENSIONS)))[0]
Group = tuple[str, np.ndarray, int]


def group(number: int, size: int, beside: float = 0.0) -> Group:
    """A group of questions about one word; ``beside`` moves it away from its place."""
    return WORDS[number], AT[number] + beside * AT[number + 10], size


def asked(*groups: Group, seed: int = 1) -> tuple[list[str], np.ndarray]:
    """Texts and unit vectors of groups, mixed up; the same group and seed give the same ones."""
    texts, vectors = [], []
    for word, centre, size in groups:
        noise = np.random.default_rng([seed, *map(ord, word)])
        for i in range(size):
            texts.append(f"{word} вопрос{i} {seed}")
            vectors.append(centre + 0.05 * noise.normal(size=DIMENSIONS))
    order = np.random.default_rng(7).permutation(len(texts))
    found = np.array(vectors)[order]
    found /= np.linalg.norm(found, axis=1, keepdims=True)
    return [texts[i] for i in order], found.astype(np.float32)


def model_of(
    texts: Sequence[str], vectors: np.ndarray, n: int, parent: TopicModel | None = None
) -> TopicModel:
    return new_model(texts, vectors, encoder="e", n_topics=n, parent=parent)


FIRST = (group(0, 60), group(1, 40), group(2, 30))


@pytest.fixture(scope="module")
def model() -> TopicModel:
    return model_of(*asked(*FIRST), 3)


def since(
    model: TopicModel, texts: Sequence[str], vectors: np.ndarray
) -> topic_changes.TopicChanges:
    words = [text.split()[:1] for text in texts]
    placed = assign(model, texts, vectors)
    return topic_changes.since_made(model, texts, words, range(len(texts)), placed)


def by_refit(
    parent: TopicModel, texts: Sequence[str], vectors: np.ndarray, n: int
) -> tuple[TopicModel, topic_changes.TopicChanges]:
    made = model_of(texts, vectors, n, parent)
    before, after = assign(parent, texts, vectors), assign(made, texts, vectors)
    changes = topic_changes.between_generations(parent, made, before, after, range(len(texts)))
    return made, changes


def names(records: Sequence[dict[str, object]]) -> list[str]:
    return [str(one["name"]).split(",")[0].split(" ")[0] for one in records]


def test_the_same_questions_stay_where_they_are(model: TopicModel) -> None:
    texts, vectors = asked(*FIRST)
    placed = assign(model, texts, vectors)
    assert [model.topics[label].name.split(",")[0] for label in placed.labels] == [
        text.split()[0] for text in texts
    ]
    found = since(model, texts, vectors)
    assert (found.born, found.died, found.split) == ([], [], [])
    assert found.outside.value == 0, "what topics are made of lies inside of them"
    # Another order, another subset, other processors: the same topic for each.
    backwards = assign(model, texts[::-1], vectors[::-1] + np.float32(1e-6))
    assert backwards.labels[::-1].tolist() == placed.labels.tolist()
    assert assign(model, texts[:7], vectors[:7]).labels.tolist() == placed.labels[:7].tolist()


def test_made_again_it_is_the_same_model_in_whatever_order(model: TopicModel) -> None:
    texts, vectors = asked(*FIRST)
    again = model_of(texts[::-1], vectors[::-1], 3)
    assert again.id == model.id
    assert [t.key for t in again.topics] == [t.key for t in model.topics]
    stored = TopicModel.from_json(model.id, json.loads(json.dumps(model.to_json())))
    assert assign(stored, texts, vectors).labels.tolist() == (
        assign(model, texts, vectors).labels.tolist()
    )
    assert stored.topics == model.topics
    assert stored.texts == model.texts
    # A fit of the same questions after it changes nothing, either.
    made, changes = by_refit(model, texts, vectors, 3)
    assert made.generation == 2
    assert {t.key: t.name for t in made.topics} == {t.key: t.name for t in model.topics}
    assert (changes.born, changes.died, changes.split, changes.merged) == ([], [], [], [])
    assert changes.moved.value == 0


def test_new_questions_go_to_the_known_topics(model: TopicModel) -> None:
    texts, vectors = asked(group(2, 50), group(0, 20), seed=2)
    placed = assign(model, texts, vectors)
    assert [model.topics[label].name.split(",")[0] for label in placed.labels] == [
        text.split()[0] for text in texts
    ]
    assert topic_model.share_known(model, texts) == 0
    clusters, topics = topic_model.as_clusters(model, placed)
    assert np.bincount(clusters.labels).tolist() == [50, 20], "the largest first"
    assert names([vars(topic) for topic in topics]) == [WORDS[2], WORDS[0]]
    assert clusters.name(0) == topics[0].name


def test_a_topic_is_born_outside_of_the_known_ones(model: TopicModel) -> None:
    texts, vectors = asked(*FIRST, group(3, 25))
    found = since(model, texts, vectors)
    (born,) = found.born
    assert names([born]) == [WORDS[3]]
    assert born["n_questions"] == 25
    assert found.outside.value == pytest.approx(25 / 155)
    assert (found.died, found.split) == ([], [])
    made, changes = by_refit(model, texts, vectors, 4)
    assert names(changes.born) == [WORDS[3]]
    assert changes.moved.value == pytest.approx(25 / 155), "they alone changed their topic"
    assert {t.key for t in model.topics} < {t.key for t in made.topics}
    assert [t.born for t in made.topics if t.key not in {k.key for k in model.topics}] == [2]


def test_a_few_stray_questions_are_no_topic(model: TopicModel) -> None:
    texts, vectors = asked(*FIRST, group(3, topic_changes.LEAST - 1))
    assert since(model, texts, vectors).born == []
    # Many, but each about something else.
    rng = np.random.default_rng(3)
    odd = rng.normal(size=(15, DIMENSIONS))
    odd[:, :] -= odd @ AT[:3].T @ AT[:3]
    odd /= np.linalg.norm(odd, axis=1, keepdims=True)
    every = [*texts, *(f"что-то {i}" for i in range(15))]
    found = since(model, every, np.vstack([vectors, odd.astype(np.float32)]))
    assert found.born == []
    assert found.outside.value is not None
    assert found.outside.value > 0.1


def test_a_topic_dies(model: TopicModel) -> None:
    texts, vectors = asked(group(0, 60), group(1, 40), group(2, 2), seed=3)
    found = since(model, texts, vectors)
    (died,) = found.died
    assert names([died]) == [WORDS[2]]
    assert died["n_questions"] == 2
    assert died["expected"] == pytest.approx(102 * 30 / 130, abs=0.1)
    texts, vectors = asked(group(0, 60), group(1, 40))
    made, changes = by_refit(model, texts, vectors, 2)
    assert names(changes.died) == [WORDS[2]]
    assert changes.moved.value == 0
    assert len(made.topics) == 2


def test_a_topic_splits(model: TopicModel) -> None:
    # What was one thing is two: either half as near to the old centre.
    halves = (group(0, 40, 0.45), ("стипендия летом", AT[0] - 0.45 * AT[10], 35))
    texts, vectors = asked(*halves, *FIRST[1:], seed=4)
    wide = replace(model, reach=0.6)
    found = since(wide, texts, vectors)
    (split,) = found.split
    assert names([split]) == [WORDS[0]]
    assert [part["n_questions"] for part in split["into"]] == [40, 35]
    assert found.died == []
    made, changes = by_refit(wide, texts, vectors, 4)
    (split,) = changes.split
    assert names([split]) == [WORDS[0]]
    assert sorted(part["n_questions"] for part in split["into"]) == [35, 40]
    assert changes.born == [], "its parts are no news of their own"
    # The larger half is the topic still; the smaller one changed.
    assert changes.moved.value == pytest.approx(35 / 145)
    assert len({t.key for t in made.topics}) == 4


def test_topics_merge(model: TopicModel) -> None:
    # Two groups that come together while another one needs the place.
    near = (WORDS[1], AT[1] + 0.7 * AT[2], 40), (WORDS[2], AT[2] + 0.7 * AT[1], 38)
    texts, vectors = asked(group(0, 60), *near, group(3, 50), seed=5)
    _, changes = by_refit(replace(model, reach=0.6), texts, vectors, 3)
    (merged,) = changes.merged
    assert sorted(names(merged["out_of"])) == sorted([WORDS[1], WORDS[2]])
    assert names(changes.born) == [WORDS[3]]
    assert changes.died == [], "what was merged has not died"


def test_equally_near_topics_are_told_apart_by_their_keys() -> None:
    centroids = np.eye(2)
    texts = ["между", "почти между"]
    vectors = np.array([[1, 1], [1, 1 + TIE / 10]]) / np.sqrt(2)
    for keys in (("a", "b"), ("b", "a")):
        topics = tuple(KnownTopic(key, key, (), 1) for key in keys)
        made = TopicModel("m", "m", 1, None, "", topics, np.zeros(2), centroids, 2.0, frozenset())
        labels = assign(made, texts, vectors.astype(np.float32)).labels
        assert [topics[label].key for label in labels] == ["a", "a"]


def in_topics(labels: Sequence[int], outside: Sequence[int] = ()) -> topic_model.Assigned:
    n = len(labels)
    out = np.isin(np.arange(n), outside)
    return topic_model.Assigned(np.array(labels), np.zeros(n), out, np.zeros((n, 2)))


def test_matching_by_hand() -> None:
    before = in_topics([0] * 10 + [1] * 10 + [2] * 4)
    after = in_topics([1] * 6 + [0] * 4 + [0] * 10 + [2] * 4)
    # 0 gives 6 of 10 to 1, which has 6; 1 gives 10 of 10 to 0, which has 14; 2 stays.
    assert topic_changes.same_topics(before, after) == {0: 1, 1: 0, 2: 2}
    # What came from outside was of no topic; a third of one is not the same.
    after = in_topics([0] * 4 + [1] * 10)
    assert topic_changes.same_topics(in_topics([0] * 14, range(4, 14)), after) == {0: 0}
    assert (
        topic_changes.same_topics(in_topics([0] * 9), in_topics([0, 0, 0, 1, 1, 1, 2, 2, 2])) == {}
    )


def test_telling_words_by_hand() -> None:
    # tf · log(1 + A / f): "а" 2 · log(1 + 3/2), "б" 1 · log(1 + 3/2), "в" 1 · log(1 + 3/1).
    group_words, others = [["а", "а"], ["б", "в"]], [["б", "г"]]
    assert topic_model.telling_words(group_words, others, 4) == ["а", "в", "б"]
