"""The rules of promotion: who may approve, what policies are for, and whether an alias may move.

An alias is on a version only together with a promotion that says so: `check_recorded` refuses any other write of
aliases, and `judge` lets no promotion pass that the gates refuse. Both read within the transaction of the move.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from regesta import Action, Change, Conflict, Forbidden, Issue
from regesta_models.cards import ModelCard, VersionCard, front_matter_of
from regesta_models.documents import Model, Version, VersionStatus
from regesta_models.gates import Facts, failures
from regesta_models.promotions import Approval, FailedGate, Override, Promotion, PromotionPolicy

ANONYMOUS = "anonymous"
STATUS = "status"


async def newest(where: Mapping[str, Any], session: Any) -> Promotion | None:
    """The last promotion of an alias: `where` names workspace, model_id and alias."""
    return await Promotion.find(where, session=session).sort("-number").first_or_none()


# promotions


async def judge(change: Change[Promotion]) -> None:
    """Fill in what a promotion tells. Raises Conflict with each gate that is not met, unless it overrides them."""
    after = change.after
    if after is None or change.action is not Action.CREATE:
        return
    after.by, after.at = change.actor.subject, change.time
    if after.rolls_back is not None:
        await _check_rollback(after, change.session)
    elif after.version is not None:
        await _check_gates(after, change.session)


async def _check_gates(promotion: Promotion, session: Any) -> None:
    policies = await _policies(promotion, session)
    if not policies:
        return
    facts = await _facts(promotion, session)
    failed = [
        FailedGate(policy=policy.name, gate=index, type=kind, message=message)
        for policy in policies
        for index, kind, message in failures(policy.gates, facts)
    ]
    if facts.version.status is not VersionStatus.READY:
        message = f"version {facts.version.number} is {facts.version.status}"
        failed.insert(0, FailedGate(policy="", gate=0, type=STATUS, message=message))
    if failed and promotion.override is None:
        raise refusal(promotion, failed)
    promotion.policies = [policy.name for policy in policies]
    promotion.approved_by = sorted(facts.approvers)
    if promotion.override is not None:
        promotion.override = Override(reason=promotion.override.reason, gates=failed)


async def _policies(promotion: Promotion, session: Any) -> Sequence[PromotionPolicy]:
    """Those that guard the alias. A model is known by its id and its name: neither a rename nor a new start evades."""
    model = await Model.find_one({"_id": promotion.model_id}, session=session)
    guarded: list[dict[str, Any]] = [{"model": None}, {"model_id": promotion.model_id}]
    if model is not None:
        guarded.append({"model": model.name})
    wanted = {"workspace": promotion.workspace, "alias": promotion.alias, "$or": guarded}
    return await PromotionPolicy.find(wanted, session=session).sort("name").to_list()


async def _facts(promotion: Promotion, session: Any) -> Facts:
    version = await _version(promotion, promotion.version, session)
    if version is None:
        raise Conflict(f"there is no version {promotion.version}", code="VERSION_GONE")
    own = {"workspace": promotion.workspace, "version_id": version.id}
    approvals = await Approval.find(own, session=session).to_list()
    card = await VersionCard.find_one(own, session=session) or await ModelCard.find_one(
        {"workspace": promotion.workspace, "model_id": promotion.model_id}, session=session
    )
    return Facts(
        version=version,
        holder=await _version(promotion, await _stood_for(promotion, session), session),
        approvers=frozenset(approval.by for approval in approvals) - {version.created_by},
        card=None if card is None else front_matter_of(card.text),
    )


async def _stood_for(promotion: Promotion, session: Any) -> int | None:
    """What the alias stands for, or stood for last: taking it away first must not spare a comparison."""
    if promotion.previous is not None:
        return promotion.previous
    last = await newest(_alias(promotion), session)
    return None if last is None else last.previous


async def _version(promotion: Promotion, number: int | None, session: Any) -> Version | None:
    if number is None:
        return None
    wanted = {"workspace": promotion.workspace, "model_id": promotion.model_id, "number": number}
    return await Version.find_one(wanted, session=session)


def _alias(promotion: Promotion) -> dict[str, Any]:
    return {"workspace": promotion.workspace, "model_id": promotion.model_id, "alias": promotion.alias}


def refusal(promotion: Promotion, failed: Sequence[FailedGate]) -> Conflict:
    """The problem that lists what is missing."""
    issues = [
        Issue(
            ("policy", gate.policy, "gates", gate.gate) if gate.policy else ("version", STATUS), gate.message, gate.type
        )
        for gate in failed
    ]
    detail = f"version {promotion.version} does not meet {len(failed)} of the gates of alias {promotion.alias!r}"
    return Conflict(detail, code="GATES_NOT_MET", issues=issues)


async def _check_rollback(promotion: Promotion, session: Any) -> None:
    """A rollback goes where the alias stood, and nowhere else: that is why gates are not asked again."""
    last = await newest(_alias(promotion), session)
    target = None if last is None else await origin(last, session)
    if last is None or last.number != promotion.rolls_back or target != (promotion.version, promotion.returns_to):
        raise Conflict(f"alias {promotion.alias!r} did not stand there before", code="NOTHING_TO_ROLL_BACK")


async def origin(last: Promotion, session: Any) -> tuple[int, int | None] | None:
    """Where a rollback from a promotion leads: the version, and where one from there would lead."""
    if last.returns_to is None:
        # An alias that is older than promotions: where it stood is all that is known.
        return None if last.previous is None or last.rolls_back is not None else (last.previous, None)
    wanted = {"workspace": last.workspace, "model_id": last.model_id, "number": last.returns_to}
    target = await Promotion.find_one(wanted, session=session)
    return None if target is None or target.version is None else (target.version, target.returns_to)


# versions


def moved_aliases(change: Change[Version]) -> frozenset[str]:
    """The aliases that a write puts on a version or takes from it; none where the version goes."""
    before, after = change.before, change.after
    if not isinstance(after, Version):
        return frozenset()
    return frozenset(before.aliases if before is not None else ()) ^ frozenset(after.aliases)


async def check_recorded(change: Change[Version], moved: frozenset[str]) -> None:
    """Aliases move with a promotion that was judged, or not at all. Raises Conflict."""
    after = change.after
    if after is None:
        return
    for alias in sorted(moved):
        where = {"workspace": after.workspace, "model_id": after.model_id, "alias": alias}
        last = await newest(where, change.session)
        carries = last is not None and last.version == after.number
        if carries is not (alias in after.aliases) or last is None:
            raise Conflict(f"alias {alias!r} moves by a promotion only: use Aliases", code="NOT_PROMOTED")


# approvals and policies


async def prepare_approval(change: Change[Approval]) -> None:
    """Who approves, of what is final. Raises Conflict."""
    after = change.after
    if after is None or change.action is not Action.CREATE:
        return
    if change.actor.method == ANONYMOUS:
        raise Conflict("nobody is known to have sent this, and an approval is somebody's", code="ANONYMOUS_APPROVAL")
    version = await Version.find_one({"_id": after.version_id}, session=change.session)
    if version is None or version.status is not VersionStatus.READY:
        raise Conflict("the version is not ready: what it is made of may still change", code="NOT_READY")
    after.by, after.at = change.actor.subject, change.time


def check_withdrawal(change: Change[Approval]) -> None:
    """An approval is withdrawn by who gave it, or goes with its version. Raises Forbidden."""
    withdrawn = change.action is Action.DELETE and not change.cascaded
    if withdrawn and change.before is not None and change.before.by != change.actor.subject:
        raise Forbidden("only who gave an approval may withdraw it", code="NOT_YOURS")


async def prepare_policy(change: Change[PromotionPolicy]) -> None:
    """The model that a policy names is there. Raises Conflict."""
    before, after = change.before, change.after
    if after is None or (before is not None and before.model == after.model):
        return
    after.model_id = None
    if after.model is not None:
        wanted = {"workspace": after.workspace, "name": after.model}
        model = await Model.find_one(wanted, session=change.session)
        if model is None:
            raise Conflict(f"there is no model {after.model!r}", code="NO_SUCH_MODEL")
        after.model_id = model.id
