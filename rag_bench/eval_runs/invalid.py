"""What a request that cannot be meant ends with; the API tells it as 400, a command in words."""

from rag_bench.strict_json.places import InvalidInput, Place, TooLarge, pointer

__all__ = ["InvalidInput", "Place", "TooLarge", "pointer"]
