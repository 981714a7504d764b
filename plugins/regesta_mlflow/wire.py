"""Models and versions as this protocol shows them. What has no value is left out."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson
from bson import DatetimeMS

from regesta.store import legible
from regesta_models import COUNTER

EPOCH, EPOCH_UTC = datetime(1970, 1, 1), datetime(1970, 1, 1, tzinfo=UTC)  # noqa: DTZ001 - BSON's have no zone
MILLISECOND = timedelta(milliseconds=1)

STATUSES = {"ready": "READY", "pending": "PENDING_REGISTRATION", "failed": "FAILED_REGISTRATION"}
PROMPT_SOURCE = "dummy-source"

# What is read of versions: their metrics and files may be large, and are not shown here.
VERSION_FIELDS = dict.fromkeys(
    (
        *("model_id", "model", "number", "created_at", "revised_at", "stage", "description", "source", "run"),
        *("status", "status_message", "tags", "aliases", "foreign", "kind", "leads"),
    ),
    1,
)
MODEL_FIELDS = dict.fromkeys(("name", "created_at", "revised_at", "description", "tags", "kind", COUNTER), 1)

Raw = Mapping[str, Any]
_NOTHING: Raw = {}


def dumped(body: Any) -> bytes:
    """JSON for clients of this protocol, which cannot say that a text is none: it shows what can be read of it."""
    try:
        return orjson.dumps(body)
    except orjson.JSONEncodeError:
        return orjson.dumps(legible(body))


def milliseconds(time: datetime | DatetimeMS) -> int:
    """Since the epoch."""
    if isinstance(time, DatetimeMS):  # of another program: Python has no such year
        return int(time)
    return (time - (EPOCH if time.tzinfo is None else EPOCH_UTC)) // MILLISECOND


def source_of(raw: Raw) -> str:
    """Where a version's files are, as it was registered."""
    foreign = raw.get("foreign") or {}
    return foreign.get("source") or raw.get("source") or (PROMPT_SOURCE if raw.get("kind") == "prompt" else "")


def files_of(raw: Raw) -> str:
    """Where a version's files really are."""
    return (raw.get("foreign") or {}).get("files") or source_of(raw)


def version_wire(raw: Raw) -> dict[str, Any]:
    """A version."""
    run, foreign = raw.get("run") or _NOTHING, raw.get("foreign") or _NOTHING
    found: dict[str, Any] = {
        "name": raw["model"],
        "version": str(raw["number"]),
        "creation_timestamp": milliseconds(raw["created_at"]),
        "last_updated_timestamp": milliseconds(raw["revised_at"]),
        "current_stage": raw.get("stage", "None"),
        "description": raw.get("description", ""),
        "source": source_of(raw),
        "run_id": run.get("id") or "",
        "run_link": run.get("link") or "",
        "status": STATUSES[raw.get("status", "ready")],
    }
    if message := raw.get("status_message"):
        found["status_message"] = message
    if tags := raw.get("tags"):
        found["tags"] = tags
    if aliases := raw.get("aliases"):
        found["aliases"] = sorted(aliases)
    if logged := foreign.get("logged_model"):
        found["model_id"] = logged
    return found


def model_wire(raw: Raw, latest: Sequence[Raw], aliased: Iterable[Raw]) -> dict[str, Any]:
    """A model with the latest version of each stage, and its aliases."""
    found: dict[str, Any] = {
        "name": raw["name"],
        "creation_timestamp": milliseconds(raw["created_at"]),
        "last_updated_timestamp": milliseconds(raw["revised_at"]),
    }
    if description := raw.get("description"):
        found["description"] = description
    if latest:
        found["latest_versions"] = [version_wire(one) for one in sorted(latest, key=lambda one: int(one["number"]))]
    if tags := raw.get("tags"):
        found["tags"] = tags
    aliases = {alias: str(one["number"]) for one in aliased for alias in one["aliases"]}
    if aliases:
        found["aliases"] = [{"alias": alias, "version": version} for alias, version in sorted(aliases.items())]
    return found
