"""Late interaction: by hand, against a second implementation, and over the default encoder."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from rag_bench.retrieval.encoder import Encoder, load_encoder
from rag_bench.retrieval.identity import EncoderIdentity, encoder_folder
from rag_bench.retrieval.rerankers.late_interaction import LateInteraction, max_sim
from rag_bench.settings import Settings

PASSAGES = [
    "Стипендию назначают приказом ректора два раза в год.",
    "Общежитие открыто круглосуточно, гости уходят до 23:00.",
    "The library is open on Sundays from ten to six.",
]


def test_max_sim_by_hand() -> None:
    question = np.array([[1, 0], [0.6, 0.8]], dtype=np.float32)
    passage = np.array([[0, 1], [0.8, 0.6]], dtype=np.float32)
    # The first token is nearest to (0.8, 0.6): 0.8. The second to it, too: 0.48 + 0.48 = 0.96.
    assert max_sim([question], passage) == pytest.approx([0.88])
    assert max_sim([question, passage[:1], passage], passage) == pytest.approx([0.88, 1.0, 1.0])


def test_a_text_without_tokens_has_nothing_that_speaks_for_it() -> None:
    nothing = np.zeros((0, 2), dtype=np.float32)
    one = np.array([[1, 0]], dtype=np.float32)
    assert max_sim([nothing, one], one).tolist() == [0.0, 1.0]
    assert max_sim([one], nothing).tolist() == [0.0]


class Letters:
    """An encoder whose tokens are letters: each a unit vector of its own."""

    identity = EncoderIdentity("letters", "w", "", "", None)

    def __init__(self) -> None:
        self.asked: list[str] = []

    def encode_tokens(self, texts: Sequence[str]) -> list[np.ndarray]:
        self.asked += texts
        return [np.eye(64, dtype=np.float32)[[ord(c) % 64 for c in text]] for text in texts]


def test_scores_are_of_each_questions_own_candidates() -> None:
    scorer = LateInteraction(Letters())
    found = scorer.scores(["ab", "cd"], [[1, 0], [2]], ["ax", "ab", "cx"])
    assert [row.tolist() for row in found] == [[1.0, 0.5], [0.5]]


def test_a_passage_is_encoded_once_while_there_is_room() -> None:
    encoder = Letters()
    scorer = LateInteraction(encoder, memory_bytes=3 * 64 * 4)
    scorer.scores(["a"], [[0, 1, 2]], ["a", "b", "c"])
    scorer.scores(["b"], [[0, 1, 2]], ["a", "b", "c"])
    assert scorer.n_encoded == 3
    scorer.scores(["b"], [[0]], ["d"])  # in place of the one that was used longest ago
    scorer.scores(["b"], [[0, 1]], ["b", "c"])
    assert scorer.n_encoded == 4
    scorer.scores(["b"], [[0]], ["a"])
    assert scorer.n_encoded == 5


def test_more_than_the_memory_holds_is_scored_all_the_same() -> None:
    passages = [chr(97 + n) for n in range(20)]
    small = LateInteraction(Letters(), memory_bytes=1)
    [found] = small.scores(["ac"], [range(20)], passages)
    assert found.tolist() == [0.5, 0, 0.5, *[0] * 17]


def test_against_plain_loops_over_torch(default_encoder: Encoder) -> None:
    import torch
    from sentence_transformers import SentenceTransformer

    model = SentenceTransformer(str(encoder_folder(Settings())))
    question = "Когда назначают стипендию?"
    [ours] = LateInteraction(default_encoder).scores([question], [[0, 1, 2]], PASSAGES)

    def tokens(text: str) -> torch.Tensor:
        ids = model.tokenizer(text, return_tensors="pt")
        with torch.inference_mode():
            hidden = model[0].auto_model(**ids).last_hidden_state[0]
        return torch.nn.functional.normalize(hidden[1:-1], dim=-1).double()  # without <s> and </s>

    asked = tokens(f"query: {question}")
    theirs = []
    for passage in PASSAGES:
        found = tokens(f"passage: {passage}")
        best = [max(float(a @ b) for b in found) for a in asked]
        theirs.append(sum(best) / len(best))
    assert ours == pytest.approx(theirs, abs=2e-6)
    assert int(np.argmax(ours)) == 0


def test_token_vectors_do_not_depend_on_the_other_texts(default_encoder: Encoder) -> None:
    alone = [default_encoder.encode_tokens([text])[0] for text in PASSAGES]
    together = default_encoder.encode_tokens(PASSAGES[::-1])[::-1]
    for one, other in zip(alone, together, strict=True):
        assert one.shape == other.shape
        assert one == pytest.approx(other, abs=2e-6)
        assert np.linalg.norm(one, axis=1) == pytest.approx(np.ones(len(one)), abs=1e-5)


def test_tokens_of_chunks_are_kept_from_the_pass_that_encodes_them() -> None:
    passages = [f"passage: {text}" for text in [*PASSAGES, "ещё один"]]
    with_questions = [*passages, "query: Когда назначают стипендию?"]
    apart = load_encoder(Settings(encoder_batch_size=2)).encode_tokens(passages)
    encoder = load_encoder(Settings(encoder_batch_size=3))
    plain = encoder.encode(with_questions)
    assert not encoder._remembered
    encoder.remember_tokens()
    np.testing.assert_allclose(encoder.encode(with_questions).vectors, plain.vectors, atol=2e-6)
    assert set(encoder._remembered) == set(passages)
    kept = encoder._remembered.pop(passages[-1])
    for one, other in zip(encoder.encode_tokens(passages), apart, strict=True):
        assert one == pytest.approx(other, abs=2e-6)
    assert not encoder._remembered  # who asked keeps them
    encoder.remember_tokens(kept.nbytes)
    encoder.encode(passages)
    assert len(encoder._remembered) < len(passages)
