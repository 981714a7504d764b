"""Builds the audit event of a stored change."""

from collections.abc import Mapping
from typing import Any

from regesta.change import AuditEvent, Change
from regesta.operations.addresses import key_text
from regesta.operations.etags import etag_of
from regesta.operations.patches import changes_between
from regesta.schemas import Codec, View

REDACTED = "**redacted**"


def event_of(
    change: Change[Any], codec: Codec[Any], before: Mapping[str, Any] | None, after: Mapping[str, Any] | None
) -> AuditEvent:
    """The event of a change from one stored document to another; None stands for no document.

    A secret's value never gets in; that it was set or changed does.
    """
    secrets = {codec.wire_names[name] for name in codec.resource.secret_fields if name in codec.wire_names}
    trees = [None if raw is None else codec.tree(raw, View.WHOLE) for raw in (before, after)]
    changed = {name for name in secrets if (trees[0] or {}).get(name) != (trees[1] or {}).get(name)}
    shown = [_redacted(tree, secrets, changed, first=index == 0) for index, tree in enumerate(trees)]
    return AuditEvent(
        id=change.id,
        time=change.time,
        action=change.action,
        resource=change.resource,
        key=change.key,
        actor=change.caller.actor,
        request_id=change.caller.request_id,
        scope=_scope(change, codec, before if after is None else after),
        parent=_parent(codec, before if after is None else after),
        revision_before=None if before is None else etag_of(before),
        revision_after=None if after is None else etag_of(after),
        changes=tuple(changes_between(*shown)),
    )


def _scope(change: Change[Any], codec: Codec[Any], raw: Mapping[str, Any] | None) -> dict[str, Any]:
    """Whose document it is: as it says, not as the request did, which may see more than that."""
    fields, given = codec.document.model_fields, change.caller.scope
    own = {name: fields[name] for name in (*given, *codec.resource.bound_scope, "workspace") if name in fields}
    return {**given, **{name: (raw or {}).get(info.alias or name) for name, info in own.items()}}


def _parent(codec: Codec[Any], raw: Mapping[str, Any] | None) -> str | None:
    above = codec.resource.parent
    if above is None or raw is None:
        return None
    return key_text(raw.get(codec.document.model_fields[above.field].alias or above.field))


def _redacted(
    tree: dict[str, Any] | None, secrets: set[str], changed: set[str], *, first: bool
) -> dict[str, Any] | None:
    if tree is None or not secrets:
        return tree
    masked = {name: REDACTED for name in secrets & tree.keys() if tree[name] is not None}
    if first:
        masked |= dict.fromkeys(changed & masked.keys(), "")
    return tree | masked
