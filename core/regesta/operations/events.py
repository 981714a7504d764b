"""Builds the audit event of a stored change."""

from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from typing import Any

from regesta.change import AuditEvent, Change
from regesta.errors import Unreadable
from regesta.operations.etags import etag_of
from regesta.operations.keys import key_text
from regesta.operations.patches import changes_between
from regesta.schemas import Codec, View
from regesta.store import legible

REDACTED = "**redacted**"


def event_of(
    change: Change[Any],
    codec: Codec[Any],
    before: Mapping[str, Any] | None,
    after: Mapping[str, Any] | None,
    tag: str = "",
) -> AuditEvent:
    """The event of a change from one stored document to another; None stands for no document.

    `tag` is the entity tag of `after`, where it is known already. A secret's value never gets in; that it was set
    or changed does.
    """
    trees = [None if raw is None else _tree(codec, raw) for raw in (before, after)]
    if secrets := codec.secret_names:
        changed = {name for name in secrets if (trees[0] or {}).get(name) != (trees[1] or {}).get(name)}
        trees = [_redacted(tree, secrets, changed, first=index == 0) for index, tree in enumerate(trees)]
    subject = before if after is None else after
    return AuditEvent(
        id=change.id,
        time=change.time,
        action=change.action,
        resource=change.resource,
        key=change.key,
        actor=change.caller.actor,
        request_id=change.caller.request_id,
        scope=_scope(change, codec, subject or {}),
        parent=_parent(codec, subject or {}),
        revision_before=None if before is None else etag_of(before),
        revision_after=None if after is None else tag or etag_of(after),
        changes=tuple(changes_between(*trees)),
    )


def _tree(codec: Codec[Any], raw: Mapping[str, Any]) -> dict[str, Any]:
    """All of a document; what JSON cannot show of one that another program wrote, as a text for people."""
    try:
        return codec.tree(raw, View.WHOLE)
    except Unreadable:
        return codec.tree(legible(raw), View.WHOLE)


def _scope(change: Change[Any], codec: Codec[Any], raw: Mapping[str, Any]) -> dict[str, Any]:
    """Whose document it is: as it says, not as the request did, which may see more than that."""
    given, stored = change.caller.scope, codec.stored_names
    own = (name for name in (*given, *codec.resource.bound_scope, "workspace") if name in stored)
    return {**given, **{name: raw.get(stored[name]) for name in own}}


def _parent(codec: Codec[Any], raw: Mapping[str, Any]) -> str | None:
    above = codec.resource.parent
    return key_text(raw.get(codec.stored_names[above.field])) if above and raw else None


def _redacted(
    tree: dict[str, Any] | None, secrets: AbstractSet[str], changed: set[str], *, first: bool
) -> dict[str, Any] | None:
    if tree is None:
        return tree
    masked = {name: REDACTED for name in secrets & tree.keys() if tree[name] is not None}
    if first:
        masked |= dict.fromkeys(changed & masked.keys(), "")
    return tree | masked
