"""What a synthetic dataset is made by: models, types, numbers, the hash of the writer's part."""

from __future__ import annotations

from dataclasses import dataclass

from rag_bench.hashing import content_hash
from rag_bench.llm.tasks import prompts
from rag_bench.questions.critics import critics_for, prompt_name
from rag_bench.questions.writer import QuestionType, prompt_names

CODE_VERSION = "3"
#: Near enough to be one question. Cosines of the default encoder are high: the nearest other one of
#: 122 gold questions is at 0.84 to 0.92, "first" for "second" in a short one gives 0.945, typing
#: errors alone 0.976.
NEAR_DUPLICATE = 0.97


@dataclass(frozen=True)
class Recipe:
    """Who writes what, and who criticises it (``critic`` None: nobody).

    ``extends``: id of a dataset whose questions are kept, and about whose chunks nothing more is
    asked; they count towards ``max_questions``. ``near_duplicate_threshold``: the cosine from
    which two questions are one.
    """

    writer: str
    critic: str | None = None
    types: tuple[QuestionType, ...] = (QuestionType.simple,)
    questions_per_chunk: int = 1
    max_questions: int | None = None
    extends: str | None = None
    near_duplicate_threshold: float = NEAR_DUPLICATE

    @property
    def prompts(self) -> list[str]:
        """The prompt files of the writer."""
        return sorted({name for kind in self.types for name in prompt_names(kind)})

    @property
    def critics_prompts(self) -> list[str]:
        """The prompt files of the critics."""
        used = {prompt_name(critic) for kind in self.types for critic in critics_for(kind)}
        return sorted(used) if self.critic else []

    @property
    def hash(self) -> str:
        """The address of what the writer makes; critics and thresholds read it only."""
        types = [kind.value for kind in self.types]
        asked = prompts.prompt_hash(self.prompts)
        return content_hash([self.writer, types, self.questions_per_chunk, CODE_VERSION, asked])
