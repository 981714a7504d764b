"""The rules that models and versions keep, as hooks."""

from regesta import Action, Change, Conflict, hookimpl
from regesta_models.documents import Registered, Version

_TIME_OF_CHANGE = {"updated_at", "revision_id"}


@hookimpl
def prepare_change(change: Change[Registered]) -> None:
    """Every change is a later `updated_at`; a write that changes nothing is none."""
    before, after = change.before, change.after
    if after is not None and (before is None or _content(before) != _content(after)):
        after.updated_at = change.time
        if change.action is Action.CREATE:
            after.created_at = change.time


@hookimpl
def validate_change(change: Change[Version]) -> None:
    """A version that an alias names stays, unless its whole model goes. Raises Conflict."""
    version = change.before
    if change.action is Action.DELETE and version is not None and version.aliases and not change.cascaded:
        named = ", ".join(sorted(version.aliases))
        raise Conflict(
            f"version {version.number} is what {named} stands for: move or delete the alias first", code="HAS_ALIASES"
        )


def _content(document: Registered) -> str:
    """As JSON, in which 1, 1.0 and true are three things."""
    content: str = document.model_dump_json(exclude=_TIME_OF_CHANGE, warnings=False)
    return content
