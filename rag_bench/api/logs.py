"""The log of the API: a line for people, or an object a line for programs."""

from __future__ import annotations

import json
import logging
from datetime import UTC, datetime
from typing import Any, Literal

from rag_bench.observing.log_fields import OfTrace

#: Fields that a record may have beside its message.
FIELDS = (
    *("trace_id", "user_id", "key_id", "run_id", "action", "outcome"),
    *("code", "status", "address", "ms"),
)


class JsonLines(logging.Formatter):
    """One JSON object a line, in ASCII, so that no text of a client can begin a line of its own."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line of one record."""
        line: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        for name in FIELDS:
            value = getattr(record, name, None)
            if value is not None:
                line[name] = value
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(line, default=str)


class Lines(logging.Formatter):
    """For people: time, level, message, and the trace id, by which a client's report is found."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line of one record."""
        trace = getattr(record, "trace_id", None)
        return super().format(record) + (f" (trace {trace})" if trace else "")


def log_config(form: Literal["text", "json"]) -> dict[str, Any]:
    """Return the configuration of the API's and uvicorn's logs, for `logging.config`.

    As text problems alone are shown; as JSON every request is.
    """
    formatter: dict[str, Any] = {"()": JsonLines}
    if form == "text":
        formatter = {"()": Lines, "format": "%(asctime)s %(levelname)s %(message)s"}
    level = "INFO" if form == "json" else "WARNING"
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {"ours": formatter},
        "filters": {"of_trace": {"()": OfTrace}},
        "handlers": {
            "err": {
                "class": "logging.StreamHandler",
                "formatter": "ours",
                "filters": ["of_trace"],
            }
        },
        "loggers": {
            name: {"handlers": ["err"], "level": level, "propagate": False}
            for name in ("rag_bench", "uvicorn", "uvicorn.error")
        },
    }
