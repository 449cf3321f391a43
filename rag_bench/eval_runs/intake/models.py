"""The models that a request names, as keys: resolved as the command line resolves them."""

from __future__ import annotations

from collections.abc import Sequence

from rag_bench.answer_sources import TARGET_PREFIX
from rag_bench.errors import ConfigurationError
from rag_bench.eval_runs.intake.request import EvalRequest
from rag_bench.llm.config import offline
from rag_bench.llm.config.providers import Providers
from rag_bench.llm.config.roles import ROLE_VARIABLES, Role
from rag_bench.strict_json.places import Place, pointer


def generation_model(
    providers: Providers, request: EvalRequest, *, needed_by: str | None, errors: list[Place]
) -> str | None:
    """Return the key of who answers; None: nobody is asked, or the name cannot be meant.

    Args:
        providers: what is configured.
        request: as it was sent.
        needed_by: what has no answer of its own, in words; None: every case has one.
        errors: gets what is wrong.
    """
    if request.target is not None and request.llm_model is not None:
        detail = "Either llm_model answers or target does: leave one out."
        errors.append(Place(detail, pointer=pointer(["target"])))
        return None
    if request.target is not None:
        name = TARGET_PREFIX + request.target.removeprefix(TARGET_PREFIX)
        found = _key(providers, Role.generation, name, "target", errors)
    elif request.llm_model is not None:
        found = _key(providers, Role.generation, request.llm_model, "llm_model", errors)
    else:
        if needed_by is not None:
            detail = (
                f"{needed_by} has no answer: name the model that answers (configured: "
                f"{', '.join(providers.generators())}), a target, or give answers."
            )
            errors.append(Place(detail, pointer=pointer(["llm_model"])))
        return None
    return found if needed_by is not None else None


def judge_model(
    providers: Providers, request: EvalRequest, *, needed: bool, errors: list[Place]
) -> str | None:
    """Return the key of who judges: as named, else the first configured benchmark judge.

    None: nothing that is measured asks one, or the name cannot be meant.
    """
    if request.judge_model is not None:
        found = _key(providers, Role.benchmark_judge, request.judge_model, "judge_model", errors)
        return found if needed else None
    return providers.resolve_models(Role.benchmark_judge)[0] if needed else None


def may_cost(models: Sequence[str | None]) -> bool:
    """Tell whether any of these models is no offline one."""
    return any(one is not None and not offline.is_simulated(one) for one in models)


def _key(
    providers: Providers, role: Role, name: str, field: str, errors: list[Place]
) -> str | None:
    try:
        found = providers.resolve_models(role, name)
        if len(found) != 1:
            raise ConfigurationError(f"{name!r} names several models; a run has one.")
        if offline.is_simulated(found[0]):
            offline.require(found[0], ROLE_VARIABLES[role].all_offline)
    except ConfigurationError as error:
        # Of the command line's list there is nothing to be said here.
        said = str(error).removeprefix("the list: ")
        errors.append(Place(said[:1].upper() + said[1:], pointer=pointer([field])))
        return None
    return found[0]
