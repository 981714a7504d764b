"""The rules that models and versions keep, as hooks."""

from regesta import Action, Change, Conflict, hookimpl, reads_when
from regesta_models.documents import Registered, Version, VersionStatus
from regesta_models.lineage import check_lineage, names_parents
from regesta_models.parts import VersionReference

_TIME_OF_CHANGE = {"updated_at", "revision_id"}
_SEALED = ("source", "artifacts", "params", "signature")


@hookimpl
def prepare_change(change: Change[Registered]) -> None:
    """Every change is a later `updated_at`; a write that changes nothing is none."""
    before, after = change.before, change.after
    if after is not None and (before is None or _content(before) != _content(after)):
        after.updated_at = change.time
        if change.action is Action.CREATE:
            after.created_at = change.time
            if isinstance(after, Version):
                after.reference = VersionReference(model=after.model, version=after.number)


@hookimpl
@reads_when(names_parents)
async def validate_change(change: Change[Registered]) -> None:
    """What stands, stays: protected documents, versions that an alias names, what a ready version is made of.

    Nor is a version made from itself. Raises Conflict.
    """
    if change.action is Action.DELETE and change.before is not None:
        _check_deletion(change.before, cascaded=change.cascaded)
    elif isinstance(change.before, Version) and isinstance(change.after, Version):
        _check_status(change.before, change.after)
    if names_parents(change):
        await check_lineage(change)


def _check_deletion(document: Registered, *, cascaded: bool) -> None:
    version = document if isinstance(document, Version) else None
    if document.protected:
        what = "the model" if version is None else f"version {version.number}"
        raise Conflict(f"{what} is protected: set `protected` to false first", code="PROTECTED")
    if version is not None and version.aliases and not cascaded:
        named = ", ".join(sorted(version.aliases))
        raise Conflict(
            f"version {version.number} is what {named} stands for: move or delete the alias first", code="HAS_ALIASES"
        )


def _check_status(before: Version, after: Version) -> None:
    if before.status is VersionStatus.PENDING:
        return
    if after.status is not before.status:
        raise Conflict(f"version {before.number} is {before.status}, which is final", code="STATUS_IS_FINAL")
    if before.status is VersionStatus.READY:
        changed = [name for name in _SEALED if _part(before, name) != _part(after, name)]
        if changed:
            named = ", ".join(changed)
            raise Conflict(f"version {before.number} is ready: its {named} cannot change: add a version", code="SEALED")


def _part(version: Version, name: str) -> str:
    """As JSON, in which 1, 1.0 and true are three things."""
    part: str = version.model_dump_json(include={name}, warnings=False)
    return part


def _content(document: Registered) -> str:
    content: str = document.model_dump_json(exclude=_TIME_OF_CHANGE, warnings=False)
    return content
