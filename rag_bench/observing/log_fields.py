"""Ids in the log: whatever is logged while a run is executed names the run, trace and user."""

from __future__ import annotations

import logging

from rag_bench.observing.trace import current_trace


class OfTrace(logging.Filter):
    """Adds the current trace's ids to a record that does not have its own; lets all through."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Return True."""
        trace = current_trace()
        if trace is not None:
            for name in ("trace_id", "run_id", "user_id"):
                if getattr(record, name, None) is None:
                    setattr(record, name, getattr(trace, name))
        return True
