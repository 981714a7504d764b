"""Which events a change of a model or a version is, whichever way it came."""

from collections.abc import Iterator, Mapping
from typing import Any

from regesta import Action, Change
from regesta_mlflow.searches import PROMPT
from regesta_mlflow.versions import PROMPT_TEXT
from regesta_mlflow.webhooks import Event
from regesta_mlflow.wire import source_of
from regesta_models import Kind, Model, Registered, Version

_INTERNAL = ("mlflow.prompt.", "_mlflow_prompt_")


def events_of(change: Change[Registered]) -> Iterator[Event]:
    """The events, in the order in which they are told."""
    after = change.after
    if isinstance(after, Model):
        yield from _of_model(change.before, after)
    elif isinstance(after, Version):
        before = change.before if isinstance(change.before, Version) else None
        if change.action is Action.CREATE:
            yield _new_version(after)
        elif before is not None:
            yield from _of_version(before, after, change.caller.request_id)


def examples() -> Iterator[Event]:
    """One of each kind, for tests of webhooks."""
    named: dict[str, Any] = {"name": "example"}
    numbered = {**named, "version": "1"}
    new = {"tags": {"key": "value"}, "description": "An example"}
    tag, alias = {"key": "key", "value": "value"}, {"alias": "example"}
    yield Event("registered_model", "created", {**named, **new})
    yield Event("model_version", "created", {**numbered, "source": "s3://example", "run_id": "example", **new})
    yield Event("prompt", "created", {**named, **new})
    yield Event("prompt_version", "created", {**numbered, "template": "Hello {{name}}", **new})
    for kind, of in (("model_version_tag", numbered), ("prompt_version_tag", numbered), ("prompt_tag", named)):
        yield Event(kind, "set", {**of, **tag})
        yield Event(kind, "deleted", {**of, "key": "key"})
    for kind in ("model_version_alias", "prompt_alias"):
        yield Event(kind, "created", {**numbered, **alias})
        yield Event(kind, "deleted", {**named, **alias})


def _of_model(before: Registered | None, after: Model) -> Iterator[Event]:
    prompt = after.kind is Kind.PROMPT
    if before is None:
        tags = _shown(after) if prompt else _tags(after)
        data = {"name": after.name, "tags": tags, "description": after.description or None}
        yield Event("prompt" if prompt else "registered_model", "created", data)
    elif prompt:
        yield from _tagged("prompt_tag", {"name": after.name}, before, after)


def _new_version(version: Version) -> Event:
    named: dict[str, Any] = {"name": version.model, "version": str(version.number)}
    described = {"description": version.description or None}
    if _is_prompt(version):
        template = _tags(version).get(PROMPT_TEXT, "")
        return Event("prompt_version", "created", {**named, "template": template, "tags": _shown(version), **described})
    raw = version.model_dump(include={"source", "foreign", "kind"})
    made = {"source": source_of(raw), "run_id": (version.run and version.run.id) or None}
    return Event("model_version", "created", {**named, **made, "tags": _tags(version), **described})


def _of_version(before: Version, after: Version, request: str) -> Iterator[Event]:
    named = {"name": after.model, "version": str(after.number)}
    prompt = _is_prompt(after)
    yield from _tagged("prompt_version_tag" if prompt else "model_version_tag", named, before, after)
    entity = "prompt_alias" if prompt else "model_version_alias"
    for alias in [one for one in before.aliases if one not in after.aliases]:
        about = f"{after.model_id}/{alias}/{request}" if request else ""
        yield Event(entity, "deleted", {"name": after.model, "alias": alias}, about)
    for alias in [one for one in after.aliases if one not in before.aliases]:
        about = f"{after.model_id}/{alias}/{request}" if request else ""
        yield Event(entity, "created", {**named, "alias": alias}, about)


def _tagged(entity: str, named: Mapping[str, Any], before: Registered, after: Registered) -> Iterator[Event]:
    old, new = _tags(before), _tags(after)
    for key, value in new.items():
        if old.get(key) != value:
            yield Event(entity, "set", {**named, "key": key, "value": value})
    for key in old.keys() - new.keys():
        yield Event(entity, "deleted", {**named, "key": key})


def _is_prompt(version: Version) -> bool:
    return version.kind is Kind.PROMPT or _tags(version).get(PROMPT, "").lower() == "true"


def _tags(document: Registered) -> dict[str, str]:
    return {tag.key: tag.value for tag in document.tags}


def _shown(document: Registered) -> dict[str, str]:
    """The tags of a prompt, without those by which it is one."""
    return {key: value for key, value in _tags(document).items() if not key.startswith(_INTERNAL)}
