"""HTTP statuses of providers and the gateways before them: which of them waiting can mend.

429 is not here: it is a word about the pace (`rag_bench.llm.transport.limits`).
"""

from __future__ import annotations

from collections.abc import Mapping

from rag_bench.llm.config.known_quirks import QUIRKS

LIMITED = 429

#: Asked again after a pause, with the reason; every other status stays as it is.
RETRIED: Mapping[int, str] = {
    408: "the server did not get the request in time",
    409: "a conflict with another request, such as a lock",
    423: "locked for a while",
    425: "too early",
    449: "try again, says the server",
    460: "a load balancer lost the client",
    499: "cancelled behind a gateway",
    500: "an internal error",
    502: "a gateway got no good answer",
    503: "not available, or still loading the model",
    504: "a gateway got no answer in time",
    509: "the bandwidth of a while is used up",
    520: "Cloudflare: an unknown answer of the server",
    521: "Cloudflare: the server refused the connection",
    522: "Cloudflare: no connection to the server in time",
    523: "Cloudflare: the server is unreachable",
    524: "Cloudflare: no answer of the server in time",
    525: "Cloudflare: no TLS handshake with the server",
    527: "Cloudflare: the road to the server broke",
    529: "overloaded",
    530: "Cloudflare: the server's name is not found just now",
    598: "a proxy read nothing in time",
    599: "a proxy could not connect in time",
    **{status: reason for quirk in QUIRKS for status, reason in quirk.retried.items()},
}

#: Refusals that are about all models of a provider: its key, its money, its proxy.
_OF_THE_PROVIDER = frozenset({401, 402, 407})


def is_of_the_model(status: int) -> bool:
    """Tell whether a status is about one model or its request, and says nothing of the others:
    a name misspelt, a model that is not in the plan, a parameter that it refuses.
    """
    return 400 <= status < 500 and status not in {LIMITED, *_OF_THE_PROVIDER, *RETRIED}
