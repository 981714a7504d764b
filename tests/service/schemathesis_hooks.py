"""What the generator of requests is told beside the OpenAPI."""

from typing import Any

import schemathesis


@schemathesis.hook
def map_body(context: Any, body: Any) -> Any:
    """JSON Schema takes 1.0 for an integer; Regesta refuses it on purpose, so whole numbers are sent as such."""
    return _whole(body)


def _whole(value: Any) -> Any:
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, dict):
        return {key: _whole(item) for key, item in value.items()}
    return [_whole(item) for item in value] if isinstance(value, list) else value


@schemathesis.hook
def before_call(context: Any, case: Any, kwargs: Any) -> None:
    """One phase sends `0` for any header it takes for valid, whatever the pattern says."""
    if case.meta is not None and case.meta.generation.mode.is_positive:
        for name in ("If-Match", "If-None-Match"):
            if (case.headers or {}).get(name) == "0":
                del case.headers[name]
