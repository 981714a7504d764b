"""The documents of the model registry: models, and the versions below them."""

from datetime import UTC, datetime
from enum import StrEnum
from typing import Annotated

from beanie import PydanticObjectId
from pydantic import BaseModel, Field
from pymongo import ASCENDING, IndexModel

from regesta import Immutable, ReadOnly
from regesta.workspaces import Workspaced
from regesta_models.constraints import (
    AliasName,
    ArtifactPath,
    Digest,
    Dimension,
    Label,
    ModelName,
    Parameters,
    Source,
    Tags,
    distinct,
)

MOST_ALIASES = 100
LARGEST = 2**63 - 1


def utc_now() -> datetime:
    """The time, with its zone."""
    return datetime.now(UTC)


class Registered(Workspaced):
    """What models and versions have in common."""

    description: Annotated[str, Field(max_length=10_000)] = ""
    framework: Label | None = None
    tags: Tags = Field(default_factory=list)
    created_at: Annotated[datetime, ReadOnly] = Field(default_factory=utc_now)
    updated_at: Annotated[datetime, ReadOnly] = Field(default_factory=utc_now)


class Model(Registered):
    """A registered model: a name, under which versions are kept."""

    name: Annotated[ModelName, Immutable]
    task: Label | None = Field(default=None, description="What it is for, `image classification`.")
    license: Label | None = Field(default=None, description="An SPDX identifier, where there is one.")
    owner: Label | None = None

    class Settings:
        """How Beanie keeps them."""

        name = "models"
        use_revision = True
        indexes = [
            IndexModel([("workspace", ASCENDING), ("name", ASCENDING)], unique=True),
            IndexModel([("workspace", ASCENDING), ("tags", ASCENDING), ("name", ASCENDING)]),
            IndexModel([("workspace", ASCENDING), ("task", ASCENDING), ("name", ASCENDING)]),
            IndexModel([("workspace", ASCENDING), ("created_at", ASCENDING), ("_id", ASCENDING)]),
            IndexModel([("workspace", ASCENDING), ("updated_at", ASCENDING), ("_id", ASCENDING)]),
        ]


class VersionStatus(StrEnum):
    """Whether a version's files are there."""

    PENDING = "pending"
    READY = "ready"
    FAILED = "failed"


class Artifact(BaseModel):
    """One file of a version."""

    path: ArtifactPath = Field(description="Relative to the version's source or its folder.")
    size: Annotated[int, Field(ge=0, le=LARGEST)] = Field(description="Bytes.")
    sha256: Digest


class Tensor(BaseModel):
    """One input or output."""

    name: Annotated[str, Field(min_length=1, max_length=500)]
    dtype: Annotated[str, Field(min_length=1, max_length=100)] = Field(description="`float32`, `tensor(int64)`.")
    shape: Annotated[list[Dimension], Field(max_length=64)] = Field(
        default_factory=list, description="Sizes; -1 for any size, a text for a size with a name."
    )


Tensors = Annotated[list[Tensor], Field(max_length=1000)]


class Signature(BaseModel):
    """What goes in and what comes out."""

    inputs: Tensors = Field(default_factory=list)
    outputs: Tensors = Field(default_factory=list)


class Metric(BaseModel):
    """One measured value."""

    name: Label
    value: Annotated[float, Field(allow_inf_nan=False)]
    dataset: Label | None = Field(default=None, description="What it was measured on.")
    step: Annotated[int, Field(ge=0, le=LARGEST)] | None = None
    measured_at: datetime | None = None


class VersionReference(BaseModel):
    """A version of a model in the same workspace. It need not exist any more."""

    model: ModelName
    version: Annotated[int, Field(ge=1, le=LARGEST)]


class Lineage(BaseModel):
    """Where a version comes from."""

    parents: Annotated[list[VersionReference], Field(max_length=100)] = Field(default_factory=list)
    datasets: Annotated[list[Label], Field(max_length=100)] = Field(default_factory=list)


class Version(Registered):
    """A version of a model: where its files are, what they are, how good they are.

    `aliases` are moved by the routes below `/models/{model}/aliases`. They stand on the version they name, so
    a unique index lets only one version of a model carry each.
    """

    model_id: PydanticObjectId
    number: int = Field(description="1, 2, 3, ... in each model: given by the server, never given twice.")
    source: Source | None = Field(default=None, description="The URI of the files.")
    artifacts: Annotated[
        list[Artifact],
        Field(max_length=1000, json_schema_extra={"uniqueItems": True}),
        distinct(lambda file: file.path, "must not contain the same path twice"),
    ] = Field(default_factory=list)
    signature: Signature | None = None
    params: Parameters = Field(default_factory=dict)
    metrics: Annotated[list[Metric], Field(max_length=1000)] = Field(default_factory=list)
    lineage: Lineage = Field(default_factory=Lineage)
    status: VersionStatus = VersionStatus.READY
    aliases: Annotated[list[AliasName], Field(max_length=MOST_ALIASES), ReadOnly] = Field(default_factory=list)

    class Settings:
        """How Beanie keeps them."""

        name = "versions"
        use_revision = True
        indexes = [
            IndexModel([("workspace", ASCENDING), ("model_id", ASCENDING), ("number", ASCENDING)], unique=True),
            IndexModel(
                [("workspace", ASCENDING), ("model_id", ASCENDING), ("aliases", ASCENDING)],
                unique=True,
                # Two versions without aliases are no duplicates of each other.
                partialFilterExpression={"aliases": {"$gt": ""}},
            ),
            # Deleting a model looks for versions by its id alone.
            IndexModel([("model_id", ASCENDING)]),
        ]
