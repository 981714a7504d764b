"""What a model knows of its versions: the highest of each stage, and when one came, went or moved on.

Kept beside the fields of the model, where no client sees or sends it: a page of models needs one more query for all
their latest versions, however many versions there are.
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from regesta import Action, Change
from regesta.store import collection_of
from regesta_models.documents import Model, Registered, Stage, Version

LATEST = "latest_versions"  # {"None": {"number": 3, "id": ObjectId}}


@dataclass(slots=True)
class _News:
    """What several changes mean to one model."""

    time: datetime
    highest: dict[Stage, Version] = field(default_factory=dict)
    unknown: set[Stage] = field(default_factory=set)


async def keep_latest(changes: Sequence[Change[Registered]], session: Any) -> None:
    """Write it to the models, with the changes."""
    for (workspace, model), news in _news(changes).items():
        update: dict[str, dict[str, Any]] = defaultdict(dict)
        update["$max"]["revised_at"] = news.time
        for stage, version in news.highest.items():
            update["$set"][f"{LATEST}.{stage}"] = {"number": version.number, "id": version.id}
        for stage in sorted(news.unknown):
            found = await collection_of(Version).find_one(
                {"workspace": workspace, "model_id": model, "stage": stage.value},
                {"number": 1},
                sort=[("number", -1)],
                session=session,
            )
            if found is None:
                update["$unset"][f"{LATEST}.{stage}"] = ""
            else:
                update["$set"][f"{LATEST}.{stage}"] = {"number": found["number"], "id": found["_id"]}
        await collection_of(Model).update_one({"_id": model}, update, session=session)


def _news(changes: Sequence[Change[Registered]]) -> dict[tuple[str, Any], _News]:
    found: dict[tuple[str, Any], _News] = {}
    for change in changes:
        before, after = change.before, change.after
        version = after if after is not None else before
        if not isinstance(version, Version) or change.cascaded:
            continue
        if isinstance(before, Version) and isinstance(after, Version) and before.stage is after.stage:
            continue
        time = change.time if after is None else after.revised_at
        news = found.setdefault((version.workspace, version.model_id), _News(time))
        news.time = max(news.time, time)
        if change.action is Action.CREATE:
            # Numbers only grow: a new version is the highest of its stage.
            news.highest[version.stage] = version
            news.unknown.discard(version.stage)
        else:
            stages = {one.stage for one in (before, after) if isinstance(one, Version)}
            news.unknown |= stages
            for stage in stages:
                news.highest.pop(stage, None)
    return found
