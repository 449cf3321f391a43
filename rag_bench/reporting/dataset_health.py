"""What a report says of its dataset: what the questions cover, give away and can still tell."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def sentences(found: Mapping[str, Any]) -> list[str]:
    """Return a dataset's health in words; ``found``: of `tiers.datasets.health`."""
    covered, said = found["coverage"], []
    chunks, pages, topics = (covered[name] for name in ("chunks", "pages", "topics"))
    said.append(
        f"Its {found['n_items']} questions name {chunks['covered']} of {chunks['all']} chunks and "
        f"{pages['covered']} of {pages['all']} pages."
    )
    if topics and topics["traffic_covered"] is not None:
        said.append(
            f"They ask about {topics['covered']} of {topics['all']} topics of real questions, "
            f"which have {topics['traffic_covered']:.0%} of the traffic."
        )
    leaks = found["leakage"]["by_language"]
    asked = sum(one["copied_rate"]["n_scored"] for one in leaks.values())
    if asked:
        said.append(
            f"{len(found['leakage']['copied'])} of {asked} questions repeat their chunk's wording, "
            "which makes retrieval easier than with people's words."
        )
    told = found["discrimination"]
    if told is not None and told["n_models"] > 1:
        said.append(
            f"{len(told['telling'])} questions tell the models apart; {len(told['all_right'])} are "
            f"right for all, {len(told['all_wrong'])} for none."
        )
        if told["exhausted"]:
            said.append("The best model leaves no room above it: harder questions are needed.")
    if found["stale"]["items"]:
        said.append(
            f"{found['stale']['items']} items name chunks that the snapshot has no longer; "
            f"{found['stale']['waiting']} of them wait for somebody to confirm, replace or retire "
            "them."
        )
    return said
