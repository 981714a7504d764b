"""Another name for a model: what names it elsewhere follows, each by a change of its own, all or nothing."""

from datetime import datetime
from typing import Any

from regesta import Caller, Registry, Stored, Unit, Written
from regesta_models.documents import Model, Version


async def rename(
    registry: Registry, caller: Caller, name: str, new_name: str, unit: Unit, *, time: datetime
) -> Written[Model]:
    """Rename a model at `time`, which its versions say too; they, tags and aliases stay with it.

    Raises NotFound, Duplicate where the new name is taken, or what a hook raised.
    """

    def renamed(_: Stored[Model], model: Model) -> Model:
        model.name, model.revised_at = new_name, time
        return model

    written = await registry["models"].update(caller, (name,), renamed, unlocked=("name",), unit=unit)
    below = {"model_id": written.raw["_id"]}
    versions = registry["versions"].collection
    await versions.update_many(below, {"$set": {"revised_at": time}}, session=unit.session)
    if name != new_name:
        await _follow(registry, caller, name, new_name, unit)
    return written


async def _follow(registry: Registry, caller: Caller, name: str, new_name: str, unit: Unit) -> None:
    """Versions that were made from those of this model name it: theirs is a visible change."""

    def following(_: Stored[Version], version: Version) -> Version:
        version.lineage.parents = [
            parent.model_copy(update={"model": new_name}) if parent.model == name else parent
            for parent in version.lineage.parents
        ]
        return version

    versions = registry["versions"]
    made_from = {**caller.scope, "lineage.parents.model": name}
    found: list[dict[str, Any]] = await versions.collection.find(
        made_from, {"model": 1, "number": 1}, session=unit.session
    ).to_list(None)
    for raw in found:
        await versions.update(caller, (raw["model"], str(raw["number"])), following, unit=unit)
