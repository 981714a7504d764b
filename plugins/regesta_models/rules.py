"""The rules that the documents of the registry keep, as hooks."""

from typing import Any

from regesta import Action, Change, Conflict, hookimpl, reads_when
from regesta_models import judging
from regesta_models.artifacts import check_sizes
from regesta_models.cards import Card, base_models_of
from regesta_models.deployments import Deployment, prepare_deployment
from regesta_models.documents import Entry, Registered, Version, VersionStatus
from regesta_models.lineage import check_lineage, names_parents
from regesta_models.parts import VersionReference
from regesta_models.promotions import Approval, Promotion, PromotionPolicy

_TIME_OF_CHANGE = {"updated_at", "revision_id"}
_SEALED = ("source", "artifacts", "params", "signature")


def _never(_: Change[Any]) -> bool:
    """What it looks for are documents of other resources, which no batch of this one holds back."""
    return False


@hookimpl
@reads_when(_never)
async def prepare_change(change: Change[Entry]) -> None:
    """Every change is a later `updated_at`; a write that changes nothing is none. Who did it is what the server knows.

    Raises Conflict, Invalid.
    """
    after: Any = change.after
    asked: Any = change
    if isinstance(after, Registered | PromotionPolicy):
        _stamp(change, after)
    match after:
        case Card() if change.before is None or _content(change.before) != _content(after):
            after.updated_at, after.updated_by = change.time, change.actor.subject
            after.base_models = base_models_of(after.text)
        case Promotion():
            await judging.judge(asked)
        case Approval():
            await judging.prepare_approval(asked)
        case PromotionPolicy():
            await judging.prepare_policy(asked)
        case Deployment():
            await prepare_deployment(asked)


def _looks_around(change: Change[Entry]) -> bool:
    asked: Any = change
    return names_parents(asked) or bool(judging.moved_aliases(asked))


@hookimpl
@reads_when(_looks_around)
async def validate_change(change: Change[Entry]) -> None:
    """What stands, stays: protected documents, versions that an alias names, what a ready version is made of.

    Nor is a version made from itself, or an alias put on it without a promotion, or another size said of bytes that
    are kept. Raises Conflict, Forbidden, Invalid.
    """
    before, after = change.before, change.after
    asked: Any = change
    if isinstance(before, Approval):
        judging.check_withdrawal(asked)
    elif change.action is Action.DELETE and isinstance(before, Registered):
        _check_deletion(before, cascaded=change.cascaded)
    elif isinstance(before, Version) and isinstance(after, Version):
        _check_status(before, after)
    if isinstance(after, Version):
        await check_sizes(asked)
    if names_parents(asked):
        await check_lineage(asked)
    if moved := judging.moved_aliases(asked):
        await judging.check_recorded(asked, moved)


def _stamp(change: Change[Entry], after: Registered | PromotionPolicy) -> None:
    if change.before is not None and _content(change.before) == _content(after):
        return
    after.updated_at = change.time
    if isinstance(after, Registered):
        _revise(change, after)
    if change.action is not Action.CREATE:
        return
    after.created_at = change.time
    if isinstance(after, Version):
        after.created_by = "" if change.actor.method == judging.ANONYMOUS else change.actor.subject
        after.reference = VersionReference(model=after.model, version=after.number)


def _revise(change: Change[Entry], after: Registered) -> None:
    """Say when, where it was not said: what changes several at once gives them one time."""
    before = change.before
    if not isinstance(before, Registered) or (
        before.revised_at == after.revised_at and _revision(before) != _revision(after)
    ):
        after.revised_at = change.time


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


def _revision(document: Registered) -> tuple[object, ...]:
    return document.description, getattr(document, "stage", None), getattr(document, "name", None)


def _part(version: Version, name: str) -> str:
    """As JSON, in which 1, 1.0 and true are three things."""
    part: str = version.model_dump_json(include={name}, warnings=False)
    return part


def _content(document: Entry) -> str:
    content: str = document.model_dump_json(exclude=_TIME_OF_CHANGE, warnings=False)
    return content
