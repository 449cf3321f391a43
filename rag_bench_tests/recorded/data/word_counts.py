"""A metric of a user's own, as the recorded store was measured with it; its text is hashed."""


def words(answer: str) -> float:
    return len(answer.split())
