"""Logs: one line per event on standard error, as JSON or, on a terminal, for people.

structlog renders what the service itself says; what comes through the standard library (uvicorn, plugins,
`regesta.*`) goes through the same renderer. Lines that belong to a request carry its `request_id`.
"""

import json
import logging
import sys
from contextvars import ContextVar
from typing import Any

import orjson
import structlog
from structlog.typing import EventDict, Processor

from regesta.schemas import unbroken
from regesta.service.settings import LogFormat, LogLevel

current_request: ContextVar[str] = ContextVar("regesta_request_id", default="")

# Their debug lines tell of every heartbeat and every selected socket.
_NOISY = ("asyncio", "httpcore", "httpx", "pymongo")


def configure_logging(log_format: LogFormat, level: LogLevel) -> None:
    """Set up structlog and the root logger of this process."""
    as_json = log_format == "json" or (log_format == "auto" and not sys.stderr.isatty())
    number = logging.getLevelNamesMapping()[level.upper()]
    before: list[Processor] = [
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True, key="time"),
        add_request_id,
    ]
    if as_json:
        before.append(structlog.processors.format_exc_info)
    _configure_structlog(before, number, as_json=as_json)
    _configure_standard_library(before, number, as_json=as_json)


def add_request_id(_: Any, __: str, event: EventDict) -> EventDict:
    """The id of the request that is being served, where there is one."""
    if (request_id := current_request.get()) and "request_id" not in event:
        event["request_id"] = request_id
    return event


def to_json(event: EventDict, **_: Any) -> bytes:
    """One line of JSON, whatever is in it."""
    try:
        return unbroken(orjson.dumps(event, default=repr, option=orjson.OPT_NON_STR_KEYS))
    except TypeError:  # half of a surrogate pair, an integer beyond 64 bits
        return json.dumps(event, default=repr).encode()


def _configure_structlog(before: list[Processor], level: int, *, as_json: bool) -> None:
    # Straight to the stream: through the standard library a line would cost as much as the rest of a read.
    factory: Any
    if as_json:
        factory = structlog.BytesLoggerFactory(sys.stderr.buffer)
        last: Processor = structlog.processors.JSONRenderer(serializer=to_json)
    else:
        factory = structlog.WriteLoggerFactory(sys.stderr)
        last = _for_people()
    structlog.configure(
        processors=[*before, last],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=factory,
        cache_logger_on_first_use=True,
    )


def _configure_standard_library(before: list[Processor], level: int, *, as_json: bool) -> None:
    last: Processor = structlog.processors.JSONRenderer(serializer=_to_text) if as_json else _for_people()
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[structlog.stdlib.add_logger_name, *before],
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, last],
        )
    )
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(level)
    for name in _NOISY:
        logging.getLogger(name).setLevel(max(level, logging.INFO))
    # It announces each step of starting and stopping; the command line says what matters of it.
    logging.getLogger("uvicorn").setLevel(max(level, logging.WARNING))


def _for_people() -> Processor:
    # Not the default tracebacks: they print local variables, and with them secrets.
    return structlog.dev.ConsoleRenderer(
        colors=sys.stderr.isatty(), exception_formatter=structlog.dev.plain_traceback, timestamp_key="time"
    )


def _to_text(event: EventDict, **_: Any) -> str:
    return to_json(event).decode()
