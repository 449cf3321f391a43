"""Every fault that is planted: what, at which sizes, and how. The one table of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from dataclasses import dataclass, replace
from typing import Any

from rag_bench.errors import ConfigurationError
from rag_bench.llm.transport.context import fresh_replicates
from rag_bench.planted import dump_edits, seams
from rag_bench.planted.dump_edits import Edit
from rag_bench.planted.world import GENERATOR, JUDGE
from rag_bench.simulator.models import Judge, OfflineModel
from rag_bench.simulator.roster import Catalogue
from rag_bench.simulator.serving import Failing, Serving, served_as

#: The repeat from which everything is asked anew: as releases ask again, other draws.
ANEW = 500
_LOST = (
    "4. После каждого утверждения ставь номер фрагмента, из которого оно взято, в квадратных "
    "скобках: [1]. Если источников несколько, перечисли их: [1][3].\n"
)


@dataclass(frozen=True)
class Plant:
    """One fault at one size.

    Attributes:
        fault: its name, which chooses it; "nothing" is the control.
        words: what it is.
        size: how large.
        dump: what is done to the dump's chunks before it is loaded; None: no dump is loaded.
        planted: is in place while everything is measured.
        anew: models are asked again, or only what follows from the change is.
    """

    fault: str
    words: str
    size: str
    dump: Edit | None = None
    planted: Callable[[], AbstractContextManager[None]] = nullcontext
    anew: bool = False

    @property
    def is_control(self) -> bool:
        """Whether nothing is planted."""
        return self.fault == CONTROL

    @contextmanager
    def in_place(self) -> Iterator[None]:
        """Have it planted in the block."""
        with ExitStack() as stack:
            if self.anew:
                stack.enter_context(fresh_replicates(ANEW))
            stack.enter_context(self.planted())
            yield


CONTROL = "nothing"


def _serving(serving: Serving) -> Callable[[], AbstractContextManager[None]]:
    return lambda: served_as(serving)


def _model(key: str) -> OfflineModel:
    return Catalogue().by_name[key.partition("/")[2]]


def _judge_with(**changed: Any) -> Callable[[], AbstractContextManager[None]]:
    judge = _model(JUDGE)
    assert isinstance(judge, Judge)
    return _serving(Serving().with_model(judge.name, replace(judge, **changed)))


def _served_by(other: str, *, says: bool) -> Callable[[], AbstractContextManager[None]]:
    name = GENERATOR.partition("/")[2]
    model = _model(f"simulator/{other}")
    return _serving(Serving().with_model(name, model, says=other if says else None))


def _failing(
    share: float, attempts: int | None = None
) -> Callable[[], AbstractContextManager[None]]:
    status = 400 if attempts is None else 503
    return _serving(Serving(failing=Failing(share, status, attempts)))


@contextmanager
def _without_instruction() -> Iterator[None]:
    """Lose an instruction, with a model that follows the others."""
    with served_as(Serving(cites_if_asked=True)), seams.misprinted(_LOST, ""):
        yield


def _percent(share: float) -> str:
    return f"{share * 100:g} %"


PLANTS: Sequence[Plant] = (
    Plant(CONTROL, "nothing planted", "all asked anew", anew=True),
    Plant(CONTROL, "nothing planted", "the same texts in a new dump", dump_edits.reindexed()),
    *(
        Plant(
            "page-misread",
            "pages of the dump in a wrong encoding",
            f"{_percent(share)} of pages",
            dump_edits.pages_as(share, dump_edits.misread),
        )
        for share in (0.01, 0.03, 0.1)
    ),
    *(
        Plant(
            "page-lost",
            "an error page of the web server in place of pages",
            f"{_percent(share)} of pages",
            dump_edits.pages_as(share, dump_edits.error_page),
        )
        for share in (0.01, 0.03, 0.1)
    ),
    *(
        Plant("chunks-cut", "chunks cut", f"to {_percent(share)}", dump_edits.cut(share))
        for share in (0.75, 0.5, 0.25)
    ),
    *(
        Plant(
            "off-by-one",
            "retrieval off by one: the best chunk is left out",
            f"{_percent(share)} of questions",
            planted=lambda share=share: seams.off_by_one(share),  # type: ignore[misc]
            anew=True,
        )
        for share in (0.03, 0.1, 1.0)
    ),
    Plant(
        "prompt",
        "prompt of the answers misprinted",
        "one letter",
        planted=lambda: seams.misprinted("Опирайся", "Опирайсч"),
    ),
    Plant(
        "prompt",
        "prompt of the answers misprinted",
        "the instruction to cite is lost",
        planted=_without_instruction,
    ),
    Plant(
        "prompt",
        "prompt of the answers misprinted",
        "a placeholder misspelt",
        planted=lambda: seams.misprinted("{{context}}", "{{contxet}}"),
    ),
    *(
        Plant(
            "judge-drifts",
            "the judge drifts",
            f"a point less in {_percent(share)} of answers",
            planted=_judge_with(bias=-share),
            anew=True,
        )
        for share in (0.05, 0.1, 0.2)
    ),
    *(
        Plant(
            "judge-length",
            "the judge is biased by length",
            f"a point more in {_percent(share)} of wordy answers",
            planted=_judge_with(length_bias=share),
            anew=True,
        )
        for share in (0.1, 0.3, 0.6)
    ),
    *(
        Plant(
            "errors",
            "the provider refuses calls for good",
            f"{_percent(share)} of calls",
            planted=_failing(share),
            anew=True,
        )
        for share in (0.01, 0.03, 0.1)
    ),
    Plant(
        "errors-once",
        "the provider fails, and answers when asked once more",
        "3 % of calls",
        planted=_failing(0.03, attempts=1),
        anew=True,
    ),
    *(
        Plant(
            "served-model",
            "another model behind the name, and the replies say so"
            if says
            else "another model behind the name, and the replies do not say so",
            f"{words} weaker ({other})",
            planted=_served_by(other, says=says),
            anew=True,
        )
        for says in (True, False)
        for words, other in (("slightly", "sim-medium"), ("much", "sim-weak"))
    ),
)


def known(faults: Sequence[str]) -> list[str]:
    """Return the names of faults, if there are such.

    Raises:
        ConfigurationError: there is none of a name.
    """
    names = list(dict.fromkeys(one.fault for one in PLANTS if not one.is_control))
    for name in faults:
        if name not in names:
            raise ConfigurationError(
                f"There is no fault {name!r} to plant; there are: {', '.join(names)}."
            )
    return list(faults)


def chosen(faults: Sequence[str]) -> list[Plant]:
    """Return the plants of these faults, and the controls; no faults: all.

    Raises:
        ConfigurationError: there is none of a name.
    """
    wanted = known(faults)
    return [one for one in PLANTS if one.is_control or not wanted or one.fault in wanted]
