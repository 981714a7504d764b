"""What the generator of requests is told beside the OpenAPI."""

from typing import Any
from urllib.parse import urlencode

import schemathesis

MAX_QUERY = 30_000


@schemathesis.hook
def map_body(context: Any, body: Any) -> Any:
    """JSON Schema takes 1.0 for an integer; Regesta refuses it on purpose, so whole numbers are sent as such."""
    return _whole(body)


def _whole(value: Any) -> Any:
    if isinstance(value, float) and value.is_integer() and abs(value) < 2**63:
        return int(value)
    if isinstance(value, dict):
        return {key: _whole(item) for key, item in value.items()}
    return [_whole(item) for item in value] if isinstance(value, list) else value


@schemathesis.hook
def before_call(context: Any, case: Any, kwargs: Any) -> None:
    """Mend what is no matter of the application.

    One phase sends `0` for any header it takes for valid, whatever the pattern says; and a request line that is
    longer than the server reads is answered by the server itself.
    """
    if len(urlencode(case.query or {}, doseq=True)) > MAX_QUERY:
        for name, value in case.query.items():
            case.query[name] = value[:1] if isinstance(value, list) else value
    if case.meta is not None and case.meta.generation.mode.is_positive:
        for name in ("If-Match", "If-None-Match"):
            if (case.headers or {}).get(name) == "0":
                del case.headers[name]
