"""Topics: made-up groups with known members, names, coverage and gaps. Loads BERTopic."""

from __future__ import annotations

import numpy as np
import pytest

from rag_bench.analytics.clusters import Clusters, cluster
from rag_bench.analytics.topics import TopicCoverage, describe_topics
from rag_bench.analytics.traffic import Asked
from rag_bench.errors import RagBenchError

GROUPS = {
    "стипендия": ("когда стипендия", "стипендию не платят", "размер стипендии"),
    "общежитие": ("оплата общежития", "общежитие на лето", "гости в общежитие"),
    "пересдача": ("пересдача экзамена", "когда пересдача", "пересдачи у комиссии"),
}
SIZES = (40, 30, 20)


def made() -> tuple[list[str], np.ndarray, list[int]]:
    """Texts, unit vectors in three well separated groups, and the group of each; mixed up."""
    rng = np.random.default_rng(1)
    centres = rng.normal(size=(3, 24))
    rows = [
        (GROUPS[name][i % 3], centres[group] + 0.2 * rng.normal(size=24), group)
        for group, (name, size) in enumerate(zip(GROUPS, SIZES, strict=True))
        for i in range(size)
    ]
    order = rng.permutation(len(rows)).tolist()
    vectors = np.array([rows[i][1] for i in order])
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    return [rows[i][0] for i in order], vectors.astype(np.float32), [rows[i][2] for i in order]


@pytest.fixture(scope="module")
def clusters() -> Clusters:
    texts, vectors, _ = made()
    return cluster(texts, vectors, 3)


def test_groups_are_found_largest_first_and_named_in_russian(clusters: Clusters) -> None:
    _, _, groups = made()
    assert clusters.labels.tolist() == groups
    assert [words[0][:7] for words in clusters.keywords] == ["стипенд", "общежит", "пересда"]
    assert clusters.name(0).startswith("стипенди")
    assert not any(
        word in ("", "когда", "не", "на") for words in clusters.keywords for word in words
    )
    # One form of a word is enough.
    assert sum(word.startswith("стипенд") for word in clusters.keywords[0]) == 1


def test_silhouette_against_its_definition(clusters: Clusters) -> None:
    # PCA with all its components keeps all distances: only the centre goes.
    _, vectors, _ = made()
    vectors = vectors - vectors.mean(axis=0)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    distances = np.linalg.norm(vectors[:, None] - vectors[None], axis=2)
    labels = clusters.labels
    values = []
    for i, own in enumerate(labels):
        inside = [distances[i, j] for j in range(len(labels)) if labels[j] == own and j != i]
        outside = min(
            np.mean(distances[i, labels == other]) for other in set(labels.tolist()) - {own}
        )
        a = np.mean(inside)
        values.append((outside - a) / max(a, outside))
    assert clusters.silhouette == pytest.approx(np.mean(values), abs=1e-4)
    assert clusters.by_topic[2] == pytest.approx(np.mean(np.array(values)[labels == 2]), abs=1e-4)
    assert clusters.n_measured == 90


def test_the_same_again_gives_the_same(clusters: Clusters) -> None:
    texts, vectors, _ = made()
    again = cluster(texts, vectors, 3)
    assert again.labels.tolist() == clusters.labels.tolist()
    assert again.keywords == clusters.keywords


@pytest.mark.parametrize("n", [1, 2, 3])
def test_a_handful_of_questions_is_no_reason_to_fail(n: int) -> None:
    _, vectors, _ = made()
    found = cluster(["как", "а где", "справка"][:n], vectors[:n], 20)
    assert sorted(found.labels.tolist()) == list(range(n))
    assert found.silhouette is None, "undefined, and not 0"
    assert found.name(int(found.labels[0])) == f"topic {found.labels[0]}"


def test_equal_questions_are_one_topic() -> None:
    _, vectors, _ = made()
    found = cluster(["стипендия"] * 5, np.repeat(vectors[:1], 5, axis=0), 20)
    assert found.labels.tolist() == [0] * 5
    assert found.name(0) == "стипендия"


def test_impossible_wishes() -> None:
    texts, vectors, _ = made()
    with pytest.raises(ValueError, match="at least 1"):
        cluster(texts, vectors, 0)
    with pytest.raises(ValueError, match="need questions"):
        cluster([], vectors[:0], 3)
    with pytest.raises(RagBenchError, match="reduction to pca"):
        cluster(texts[:10], vectors[:10], 3, "umap")


def covered(clusters: Clusters, *, show_samples: bool = True) -> TopicCoverage:
    """Group 0 is answered and liked, group 1 not answered, group 2 far from every chunk."""
    texts, _, groups = made()
    asked = [
        Asked(
            str(i),
            f"{text} +7 912 345-67-89",
            "Ответ не найден." if group == 1 else "Да.",
            (5 if i % 2 else 1) if group == 2 else None,
            user_id=i,
        )
        for i, (text, group) in enumerate(zip(texts, groups, strict=True))
    ]
    # Every group finds chunk 0 and one of its own; chunks 0 and 1 share a page.
    found = np.array([[0, 1 + group] for group in groups])
    best = np.array([0.9 - 0.3 * (group == 2) - 0.001 * (i % 5) for i, group in enumerate(groups)])
    pages = ["p0", "p0", "p1", "p2"]
    return describe_topics(asked, clusters, found, best, pages, top_k=2, show_samples=show_samples)


def test_coverage_by_hand(clusters: Clusters) -> None:
    coverage = covered(clusters)
    _, _, groups = made()
    topics = [topic.as_json() for topic in coverage.topics]
    assert [topic["question_count"] for topic in topics] == list(SIZES)
    assert [topic["unique_chunks"] for topic in topics] == [2, 2, 2]
    assert [topic["unique_urls"] for topic in topics] == [1, 2, 2]
    assert [topic["with_answers_rate"] for topic in topics] == [1.0, 0.0, 1.0]
    assert [topic["gaps"] for topic in topics] == [[], ["low_answered"], ["low_similarity"]]
    assert topics[2]["mean_best_similarity"] == pytest.approx(0.598, abs=0.002)
    liked = [i % 2 for i, group in enumerate(groups) if group == 2]
    assert topics[2]["satisfied_rate"] == pytest.approx(sum(liked) / 20)
    assert topics[2]["mean_score"] == pytest.approx(sum(4 * yes + 1 for yes in liked) / 20)
    assert topics[0]["mean_score"] is None, "nobody rated it"
    assert topics[1]["metrics"]["with_answers_rate"]["n_scored"] == 30
    metrics = coverage.metrics
    assert metrics["with_answers_rate"].value == pytest.approx(60 / 90)
    assert metrics["avg_chunks_per_topic"].value == 2
    assert metrics["avg_urls_per_topic"].value == pytest.approx(5 / 3)
    assert metrics["gap_question_rate"].value == pytest.approx(50 / 90)
    assert metrics["n_gaps"].value == 2
    ids = [question for topic in coverage.topics for question in topic.question_ids]
    assert sorted(map(int, ids)) == list(range(90)), "no question is left outside"


def test_samples_are_masked_different_and_can_be_left_out(clusters: Clusters) -> None:
    for topic in covered(clusters).topics:
        assert len(topic.sample_questions) == len(set(topic.sample_questions)) == 3
        assert all(text.endswith("[number]") for text in topic.sample_questions)
    assert not any(topic.sample_questions for topic in covered(clusters, show_samples=False).topics)


def test_a_topic_of_little_traffic_is_no_gap() -> None:
    n = 60
    asked = [Asked(str(i), "где", None if i < 9 else "Да.", user_id=i) for i in range(n)]
    labels = np.array([1] * 9 + [0] * (n - 9))
    clusters = Clusters(labels, [["а"], ["б"]], None, [None, None], 0, np.zeros(n))
    found = np.zeros((n, 1), int)
    coverage = describe_topics(asked, clusters, found, np.full(n, 0.9), ["p"], top_k=1)
    assert [topic.gaps for topic in coverage.topics] == [(), ()]
    assert coverage.topics[1].with_answers.value == 0
    assert coverage.metrics["silhouette"].value is None
