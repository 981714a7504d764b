"""Deployments: where a version runs."""

from datetime import datetime
from typing import Annotated

from beanie import PydanticObjectId
from pydantic import Field
from pymongo import ASCENDING, IndexModel

from regesta import Action, Change, Conflict, Immutable, ReadOnly
from regesta_models.constraints import LABEL, Label, ModelName, matches
from regesta_models.documents import Entry, Model, Version, utc_now

# Control characters are named: `\s` has some of them in Python, and none in JSON Schema.
ENDPOINT = r"^(?:https?|wss?|grpcs?)://[^/?#@\s\\\u0000-\u001f]+(?:[/?#][^\s\\\u0000-\u001f]*)?$"

Endpoint = Annotated[
    str,
    Field(max_length=2048, json_schema_extra={"pattern": ENDPOINT}),
    matches(ENDPOINT, "must be the URL of an endpoint: http, https, ws, wss, grpc or grpcs, without user and spaces"),
    matches(LABEL, "must be printable text without spaces around it"),
]


class Deployment(Entry):
    """That a version runs somewhere. Which one, since when and by whom is what the server saw when it was created."""

    version_id: PydanticObjectId
    name: Annotated[ModelName, Immutable] = Field(description="One of the version's own: `eu-west-1`.")
    environment: Label = Field(description="`production`, `staging`, ...")
    endpoint: Endpoint | None = Field(default=None, description="The URL that it answers at.")
    description: Annotated[str, Field(max_length=10_000)] = ""
    model_id: Annotated[PydanticObjectId | None, ReadOnly] = None
    model: Annotated[str, ReadOnly] = Field(default="", description="The model's name, when it was deployed.")
    version: Annotated[int, ReadOnly] = 0
    since: Annotated[datetime, ReadOnly] = Field(default_factory=utc_now)
    by: Annotated[str, ReadOnly] = Field(default="", description="The subject of who deployed it.")

    class Settings:
        """How Beanie keeps them."""

        name = "deployments"
        use_revision = True
        indexes = [
            IndexModel([("workspace", ASCENDING), ("version_id", ASCENDING), ("name", ASCENDING)], unique=True),
            IndexModel(
                [("workspace", ASCENDING), ("environment", ASCENDING), ("since", ASCENDING), ("_id", ASCENDING)]
            ),
            IndexModel([("workspace", ASCENDING), ("model", ASCENDING), ("since", ASCENDING), ("_id", ASCENDING)]),
            IndexModel([("workspace", ASCENDING), ("since", ASCENDING), ("_id", ASCENDING)]),
        ]


async def prepare_deployment(change: Change[Deployment]) -> None:
    """What the server saw. Raises Conflict."""
    after = change.after
    if after is None or change.action is not Action.CREATE:
        return
    version = await Version.find_one({"_id": after.version_id}, session=change.session)
    model = None if version is None else await Model.find_one({"_id": version.model_id}, session=change.session)
    if version is None or model is None:
        raise Conflict("the version is gone", code="VERSION_GONE")
    after.model_id, after.model, after.version = model.id, model.name, version.number
    after.since, after.by = change.time, change.actor.subject
