"""Which versions are the latest: of their model (`latest`), and of their stage in it (`leads`).

Flags of the versions themselves, so that indexes serve a search for them, and a page of models needs one more query
for all their latest versions, however many versions there are. That one stops or begins to be the latest is no
change to it: nobody is told, and no ETag is new.
"""

from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from regesta import Action, Change
from regesta.store import collection_of, update_each
from regesta_models.documents import Model, Registered, Stage, Version

Update = tuple[Mapping[str, Any], Mapping[str, Any]]  # a filter, and what becomes of all that it matches

OLDER = {"latest": False, "leads": False}


@dataclass(slots=True)
class _News:
    """What several changes mean to the versions of one model."""

    created: list[Version] = field(default_factory=list)
    stages: set[Stage] = field(default_factory=set)  # that versions left
    time: datetime | None = None


async def keep_latest(changes: Sequence[Change[Registered]], session: Any) -> None:
    """Write what these changes mean to other versions, and to when their models changed.

    Two versions that are created together are numbered one after the other, by the model, which both write.
    """
    found = _news(changes)
    if overtaken := [update for model, news in found.items() for update in _overtaken(_below(model), news.created)]:
        await update_each(collection_of(Version), overtaken, session)
    for model, news in found.items():
        if news.time is not None:
            await _look(_below(model), news.stages, session)
            update = {"$max": {"revised_at": news.time}}
            await collection_of(Model).update_one({"_id": model[1]}, update, session=session)


def _below(model: tuple[str, Any]) -> dict[str, Any]:
    workspace, identity = model
    return {"workspace": workspace, "model_id": identity}


def _news(changes: Sequence[Change[Registered]]) -> dict[tuple[str, Any], _News]:
    found: defaultdict[tuple[str, Any], _News] = defaultdict(_News)
    for change in changes:
        before, after = change.before, change.after
        version = after if after is not None else before
        if not isinstance(version, Version) or change.cascaded:
            continue
        news = found[version.workspace, version.model_id]
        if change.action is Action.CREATE:
            news.created.append(version)
            continue
        stages = {one.stage for one in (before, after) if isinstance(one, Version)}
        if after is None or len(stages) > 1:
            time = change.time if after is None else version.revised_at
            news.stages |= stages
            news.time = max(news.time or time, time)
    return found


def _overtaken(below: Mapping[str, Any], created: Sequence[Version]) -> Iterator[Update]:
    """New versions have the highest numbers: what was the latest is it no more."""
    highest = {version.stage: version.number for version in sorted(created, key=lambda version: version.number)}
    last = max(highest.values(), default=1)
    if last > 1:
        leading = {**below, "leads": True}
        for stage, number in highest.items():
            yield {**leading, "stage": stage.value, "number": {"$lt": number}}, {"$set": OLDER}
        yield {**leading, "latest": True, "number": {"$lt": last}}, {"$set": {"latest": False}}


async def _look(below: Mapping[str, Any], stages: Collection[Stage], session: Any) -> None:
    """Where versions went or moved: look for those that lead now."""
    versions = collection_of(Version)
    for flag, where in [("latest", {}), *(("leads", {"stage": stage.value}) for stage in sorted(stages))]:
        among = {**below, **where}
        top = await versions.find_one(among, {"number": 1, flag: 1}, sort=[("number", -1)], session=session)
        if top is None:
            continue
        older = {**among, flag: True, "number": {"$lt": top["number"]}}
        await versions.update_many(older, {"$set": {flag: False}}, session=session)
        if not top[flag]:
            await versions.update_one({"_id": top["_id"]}, {"$set": {flag: True}}, session=session)
