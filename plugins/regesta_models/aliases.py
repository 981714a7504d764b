"""Aliases: names that stand for one version of a model each, and move.

An alias lives on the version it names. Moving it writes the old and the new version in one transaction, so it
always stands for exactly one; a version that is being deleted is the same document, so one of the two waits.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, TypeVar

from regesta import Caller, Invalid, NotFound, Precondition, Registry, Stored, Unit
from regesta.errors import Conflict
from regesta.operations import NO_CONDITION
from regesta_models.documents import MOST_ALIASES, Version
from regesta_models.judging import origin
from regesta_models.promotions import Override, Promotion

R = TypeVar("R")


@dataclass(frozen=True, slots=True)
class Move:
    """An alias on its way to a version, or to none."""

    model: str
    alias: str
    number: int | None
    override: Override | None = None
    rolls_back: int | None = None
    returns_to: int | None = None
    reason: str = ""

    def promotion(self, previous: int | None) -> Promotion:
        """What is written down of it; the server fills in the rest."""
        built: Promotion = Promotion.model_construct(
            alias=self.alias,
            version=self.number,
            previous=previous,
            override=self.override,
            rolls_back=self.rolls_back,
            returns_to=self.returns_to,
            reason=self.reason,
        )
        return built


class Aliases:
    """Reads and moves the aliases of every model.

    Each move is written down as a promotion, which the gates of the alias judge, in the same transaction. With
    `validate_only` nothing of it stands; `unit` joins a unit of work that `Registry.run` opened. A `condition` is about
    the version that the alias stands for, whose ETag `get` answers.
    """

    def __init__(self, registry: Registry) -> None:
        self._registry = registry
        self._versions = registry["versions"]
        self._promotions = registry["promotions"]

    async def get(self, caller: Caller, model: str, alias: str) -> Stored[Version]:
        """The version that an alias stands for. Raises NotFound, Unavailable."""
        found = await self._versions.find_where(caller, (model,), {"aliases": alias})
        if found is None:
            raise no_alias(alias)
        return found

    async def set(
        self,
        caller: Caller,
        model: str,
        alias: str,
        number: int,
        *,
        override: Override | None = None,
        condition: Precondition = NO_CONDITION,
        validate_only: bool = False,
        unit: Unit | None = None,
    ) -> tuple[Stored[Version], bool]:
        """Let an alias stand for a version; that version, and whether the alias is new.

        Raises NotFound, PreconditionFailed, Conflict with each gate that is not met, Invalid, Unavailable.
        """

        async def work(unit: Unit) -> tuple[Stored[Version], bool]:
            back = await self._way_back(unit, caller, model, alias, number)
            return await self._move(unit, caller, Move(model, alias, number, override, returns_to=back), condition)

        return await self._in(unit, work, caller, model, validate_only=validate_only)

    async def rollback(
        self,
        caller: Caller,
        model: str,
        alias: str,
        *,
        reason: str = "",
        condition: Precondition = NO_CONDITION,
        validate_only: bool = False,
        unit: Unit | None = None,
    ) -> Stored[Version]:
        """Let an alias stand where it stood before, and once more: where it stood before that. Gates are not asked.

        Raises NotFound, PreconditionFailed, Conflict where there is no way back or the version is gone, Unavailable.
        """

        async def work(unit: Unit) -> Stored[Version]:
            last = await self._newest(unit, caller, model, alias)
            if last is None:
                raise no_alias(alias)
            target = await origin(last, unit.session)
            if target is None:
                raise Conflict(f"alias {alias!r} stood for no other version before", code="NOTHING_TO_ROLL_BACK")
            number, back = target
            if await self._versions.find(caller, (model, str(number)), unit.session) is None:
                raise Conflict(f"version {number}, which {alias!r} stood for before, is gone", code="VERSION_GONE")
            move = Move(model, alias, number, rolls_back=last.number, returns_to=back, reason=reason)
            written, _ = await self._move(unit, caller, move, condition)
            return written

        return await self._in(unit, work, caller, model, validate_only=validate_only)

    async def delete(
        self,
        caller: Caller,
        model: str,
        alias: str,
        *,
        condition: Precondition = NO_CONDITION,
        unit: Unit | None = None,
    ) -> None:
        """Take an alias away. Raises NotFound, PreconditionFailed, Unavailable."""

        async def work(unit: Unit) -> None:
            holder = await self._holder(caller, model, alias, unit)
            if holder is None:
                raise no_alias(alias)
            condition.check(holder.etag)
            number = _number(holder)
            back = await self._way_back(unit, caller, model, alias, None)
            move = Move(model, alias, None, returns_to=back)
            await self._promotions.create(caller, (model,), lambda: move.promotion(number), unit)
            await self._versions.update(caller, (model, str(number)), _without(alias), unit=unit)

        await self._in(unit, work, caller, model, validate_only=False)

    async def _move(
        self, unit: Unit, caller: Caller, move: Move, condition: Precondition
    ) -> tuple[Stored[Version], bool]:
        # Looked for and judged before anything is written: the memory store undoes nothing.
        keys = (move.model, str(move.number))
        raw = await self._versions.find(caller, keys, unit.session)
        if raw is None:
            raise NotFound(f"there is no version '{move.number}'")
        standing = await self._holder(caller, move.model, move.alias, unit)
        condition.check(None if standing is None else standing.etag)
        holder = None if standing is None else _number(standing)
        if holder == move.number:
            return self._versions.stored(raw), False
        if len(raw["aliases"]) >= MOST_ALIASES:
            raise Invalid("aliases", f"must be at most {MOST_ALIASES} of one version", type="too_long")
        await self._promotions.create(caller, (move.model,), lambda: move.promotion(holder), unit)
        if unit.read_only:
            return self._versions.stored({**raw, "aliases": [*raw["aliases"], move.alias]}), holder is None
        if holder is not None:
            await self._versions.update(caller, (move.model, str(holder)), _without(move.alias), unit=unit)
        return await self._versions.update(caller, keys, _with(move.alias), unit=unit), holder is None

    async def _newest(self, unit: Unit, caller: Caller, model: str, alias: str) -> Promotion | None:
        found = await self._promotions.find_where(
            caller, (model,), {"alias": alias}, sort=[("number", -1)], session=unit.session
        )
        return None if found is None else found.document

    async def _way_back(self, unit: Unit, caller: Caller, model: str, alias: str, number: int | None) -> int | None:
        """Which promotion a rollback of a move from here to a version will go back to."""
        last = await self._newest(unit, caller, model, alias)
        if last is not None and last.version is None and last.returns_to is not None:
            # It was taken away, which is no place to go back to.
            wanted = {"alias": alias, "number": last.returns_to}
            found = await self._promotions.find_where(caller, (model,), wanted, session=unit.session)
            last = None if found is None else found.document
        if last is None or last.version is None:
            return None
        return last.number if last.version != number else last.returns_to

    async def _in(
        self,
        unit: Unit | None,
        work: Callable[[Unit], Awaitable[R]],
        caller: Caller,
        model: str,
        *,
        validate_only: bool,
    ) -> R:
        if unit is not None:
            return await work(unit)
        return await self._versions.run(work, (str(caller.scope), model), validate_only=validate_only)

    async def list(self, caller: Caller, model: str) -> dict[str, int]:
        """The number of the version that each alias stands for, all at one moment. Raises NotFound, Unavailable."""

        async def work(unit: Unit) -> dict[str, int]:
            filter_ = await self._below(caller, model, unit)
            found = self._versions.collection.find(
                {**filter_, "aliases": {"$gt": ""}}, {"number": 1, "aliases": 1}, session=unit.session
            )
            return {alias: raw["number"] async for raw in found for alias in raw["aliases"]}

        aliases = await self._registry.run("versions", work)
        return dict(sorted(aliases.items()))

    async def _holder(self, caller: Caller, model: str, alias: str, unit: Unit) -> Stored[Version] | None:
        return await self._versions.find_where(caller, (model,), {"aliases": alias}, session=unit.session)

    async def _below(self, caller: Caller, model: str, unit: Unit) -> dict[str, Any]:
        """What all versions of a model have in common. Raises NotFound."""
        parent = await self._versions.parent_value(caller, (model,), unit.session)
        return self._versions.addresses.collection_filter(caller.scope, parent)


def no_alias(alias: str) -> NotFound:
    """The error for an alias that stands for nothing."""
    return NotFound(f"there is no alias {alias!r}")


def _number(stored: Stored[Version]) -> int:
    return int(stored.raw["number"])


def _with(alias: str) -> Callable[[Stored[Version], Version], Version]:
    def edit(_: Stored[Version], version: Version) -> Version:
        if alias not in version.aliases:
            version.aliases = [*version.aliases, alias]
        return version

    return edit


def _without(alias: str) -> Callable[[Stored[Version], Version], Version]:
    def edit(_: Stored[Version], version: Version) -> Version:
        version.aliases = [other for other in version.aliases if other != alias]
        return version

    return edit
