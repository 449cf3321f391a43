"""Why a cell's cases failed, in words, and what to do about it: the most frequent cause.

Codes (``LLM_FAILED 122``) count; they say neither that the address lacks its /v1 nor which variable
holds the key. What the provider said is in each case's detail, without secrets.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from rag_bench.llm.config.targets import is_target
from rag_bench.tiers.base.health import NOT_ASKED

RETRY_FLAG = "--retry-failed"
_LONGEST = 300  # characters of a cause that is shown


@dataclass(frozen=True)
class Cause:
    """The most frequent cause of a cell's failures.

    Attributes:
        n: cases that failed so, of ``n_failed``.
        words: what happened, with the address where there is one.
        advice: what to do; empty where nothing is known.
    """

    n: int
    n_failed: int
    words: str
    advice: str = ""

    def __str__(self) -> str:
        share = "" if self.n == self.n_failed else f"{self.n} of {self.n_failed}: "
        advice = f". {self.advice[:1].upper()}{self.advice[1:]}" if self.advice else ""
        return f"{share}{self.words}{advice}"


# What is read in a case's detail, first match first, and what to do. {P} is how the provider's
# variables begin, {url} its address.
_ADVICE: tuple[tuple[str, str], ...] = (
    (r"^no answer to (?:score|measure)", "mend the answers first, then materialize this again"),
    (r"\badd (?:PROVIDER_|\")|\braise (?:it|PROVIDER_|RAG_BENCH_|\")|\blower ", ""),  # is said
    (
        r"^http 404\b",
        "does the address end in /v1, and has the provider a model of this name? "
        "See {P}BASE_URL and the list of models",
    ),
    (r"^http 401\b", "check the key: {P}API_KEY, or the key variable of the role"),
    (
        r"^http 403\b",
        "the key may not use this model, or not from here: see {P}API_KEY and the plan",
    ),
    (
        r"^http 402\b|insufficient_quota|insufficient.balance|billing",
        "the account has no money left",
    ),
    (r"^http 413\b|context.length", "the request is too long for this model: give fewer chunks"),
    (
        r"^http (?:400|415|422)\b",
        "the provider refuses the request; {P}RESPONSE_FORMAT and {P}MODEL_OPTIONS change what is "
        "sent",
    ),
    (
        r"^http 429\b",
        "its limit stays reached: set {P}RPM, {P}TPM or {P}CONCURRENCY, and run again later",
    ),
    (r"^http (?:5\d\d|4(?:08|09|2[345]|49|60|9[89]))\b", "the provider's own failure: run again "
     "later"),
    (
        r"^http (?:3\d\d)\b",
        "the address redirects; put the place that it leads to into {P}BASE_URL",
    ),
    (r"certificate", "its certificate cannot be verified: see {P}CA_FILE"),
    (r"^cannot connect|^no connection", "is the server up, and is {P}BASE_URL its address?"),
    (
        r"in time|within \d",
        "give it longer with {P}TIMEOUT_SECONDS (or RAG_BENCH_CALL_TIMEOUT_SECONDS), or ask less "
        "at once with {P}CONCURRENCY",
    ),
    (r"the connection broke", "run again; if it stays so, ask less at once with {P}CONCURRENCY"),
    (
        r"^truncated|the thinking was cut|the model only thought",
        "give longer replies with {P}MAX_TOKENS, then run with " + RETRY_FLAG,
    ),
    (
        r"^unreadable reply: (?:not JSON|JSON, but no|empty|longer)",
        "this is no chat completion: does the address end in /v1? See {P}BASE_URL",
    ),
    (
        r"^unreadable reply",
        "the model does not keep to the form that is asked for: try {P}RESPONSE_FORMAT or a "
        "stronger model",
    ),
)  # fmt: skip
# The same of live assistants; what fits none of these, as above.
_ADVICE_OF_TARGETS: tuple[tuple[str, str], ...] = (
    (r"^TARGET_\w+: ", "rag-bench target check {name} shows what a reply holds"),
    (r"^http 404\b", "is {P}URL its address?"),
    (r"^http 40[13]\b", "see {P}HEADERS and the variables that it names"),
    (r"^http (?:400|405|413|415|422)\b", "it refuses the request: see {P}BODY and {P}METHOD"),
    (r"^http 429\b", "its limit stays reached: set {P}RPM or {P}CONCURRENCY, and run again later"),
    (r"^http 3\d\d\b", "the address redirects; put the place that it leads to into {P}URL"),
    (r"^cannot connect|^no connection", "is the assistant up, and is {P}URL its address?"),
    (r"in time|within \d", "give it longer with {P}TIMEOUT, or ask less at once with "
     "{P}CONCURRENCY"),
    (r"^unreadable reply", "neither JSON nor a stream of events: is {P}URL its address?"),
)  # fmt: skip
_REPEATED = re.compile(r"^(?:http \d|cannot connect|no connection|the connection broke)")


def most_frequent(
    failures: Iterable[tuple[str, str | None]],
    models: Iterable[str] = (),
    addresses: Mapping[str, str] | None = None,
) -> Cause | None:
    """Return the most frequent cause among cases' codes and details, or None if none failed.

    Args:
        failures: (error code, detail) of each failed case.
        models: keys of the models that were asked; what they begin a detail with is left out.
        addresses: of providers, by name.
    """
    known = list(models)
    found: dict[str, str] = {}
    counts: Counter[str] = Counter()
    model_of: dict[str, str] = {}
    n_failed = 0
    for code, detail in failures:
        n_failed += 1
        words, model = _words(code, detail or "", known)
        kind = re.sub(r"\d+", "#", re.sub(r"'[^']*'|\"[^\"]*\"|«[^»]*»", "…", words))
        # A status is no number among others.
        kind = f"{words[:8]}{kind}" if words.startswith("http ") else kind
        counts[kind] += 1
        found.setdefault(kind, words)
        if model:
            model_of.setdefault(kind, model)
    if not counts:
        return None
    kind, n = counts.most_common(1)[0]
    words = found[kind]
    model = model_of.get(kind) or next(iter(known), "")
    of_target = is_target(model)
    provider = model if of_target else model.partition("/")[0]
    name = model.partition("/")[2]
    url = (addresses or {}).get(provider, "")
    table = (*_ADVICE_OF_TARGETS, *_ADVICE) if of_target else _ADVICE
    advice = next((text for pattern, text in table if re.search(pattern, words)), "")
    prefix = f"TARGET_{name.upper()}_" if of_target else f"PROVIDER_{provider.upper()}_"
    advice = advice.format(P=prefix, url=url, name=name)
    shown = words if len(words) <= _LONGEST else words[: _LONGEST - 1] + "…"
    where = f" (at {url})" if url and _REPEATED.match(words) else ""
    return Cause(n, n_failed, f"{shown}{where}", advice)


def _words(code: str, detail: str, models: list[str]) -> tuple[str, str]:
    """Return the first cause that a detail names, without the names before it; and its model."""
    text, model = detail, ""
    for key in models:
        at = text.find(f"{key}: ")
        if at >= 0:
            head, text, model = text[:at], text[at + len(key) + 2 :], key
            if head.endswith("no answer to score: ") or head.endswith("no answer to measure: "):
                text = head[head.rfind("no answer to") :] + text
            break
    else:
        text = re.sub(r"^(?:[a-z][\w@]*: )+(?=no answer to|unreadable reply)", "", text)
        if text.startswith(NOT_ASKED):
            text = text.removeprefix(NOT_ASKED)
    # A case that was asked several things has a detail of several parts.
    text = re.split(r"; it begins with |; [a-z][\w@]*: |; run again later$", text)[0]
    return text.strip() or code, model
