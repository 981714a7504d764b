"""The documents of the model registry: models, and the versions below them."""

from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any

from beanie import PydanticObjectId
from pydantic import Field
from pymongo import ASCENDING, DESCENDING, TEXT, IndexModel

from regesta import Immutable, ReadOnly, WriteOnly
from regesta.store import now
from regesta.workspaces import Workspaced
from regesta_models.constraints import AliasName, Digest, Label, ModelName, Parameters, Source, distinct
from regesta_models.parts import (
    Artifact,
    Code,
    Deprecation,
    Environment,
    Foreign,
    Lineage,
    Metrics,
    Run,
    Signature,
    Tags,
    VersionReference,
)

MOST_ALIASES = 100
COUNTER = "versions"  # of a stored model, where its versions are counted


def utc_now() -> datetime:
    """The time of the database, with its zone."""
    return now()


class Entry(Workspaced):
    """A document of the model registry."""


class Registered(Entry):
    """What models and versions have in common."""

    description: Annotated[str, Field(max_length=10_000)] = ""
    framework: Label | None = None
    tags: Tags = Field(default_factory=list)
    deprecation: Deprecation | None = None
    protected: bool = Field(default=False, description="Whether deleting it is refused.")
    created_at: Annotated[datetime, ReadOnly] = Field(default_factory=utc_now)
    updated_at: Annotated[datetime, ReadOnly] = Field(default_factory=utc_now)
    # When name, description, stage or, of a model, its versions changed; tags and aliases come and go without. Hidden:
    # other protocols show it.
    revised_at: Annotated[datetime, ReadOnly, WriteOnly] = Field(default_factory=utc_now)


class Kind(StrEnum):
    """What is registered: versions of a prompt are numbered, tagged and aliased as those of a model are."""

    MODEL = "model"
    PROMPT = "prompt"


class Model(Registered):
    """A registered model: a name, under which versions are kept."""

    name: Annotated[ModelName, Immutable]
    kind: Annotated[Kind, Immutable] = Kind.MODEL
    task: Label | None = Field(default=None, description="What it is for, `image classification`.")
    license: Label | None = Field(default=None, description="An SPDX identifier, where there is one.")
    owner: Label | None = None

    class Settings:
        """How Beanie keeps them."""

        name = "models"
        use_revision = True
        indexes = [
            IndexModel([("workspace", ASCENDING), ("name", ASCENDING)], unique=True),
            IndexModel(
                [("workspace", ASCENDING), ("tags.key", ASCENDING), ("tags.value", ASCENDING), ("name", ASCENDING)]
            ),
            IndexModel([("workspace", ASCENDING), ("task", ASCENDING), ("name", ASCENDING)]),
            IndexModel([("workspace", ASCENDING), ("created_at", ASCENDING), ("_id", ASCENDING)]),
            IndexModel([("workspace", ASCENDING), ("updated_at", ASCENDING), ("_id", ASCENDING)]),
            IndexModel([("workspace", ASCENDING), ("revised_at", ASCENDING), ("name", ASCENDING)]),
        ]


class VersionStatus(StrEnum):
    """Whether a version's files are there: `pending` until they are, or known never to come.

    Of a version that is `ready`, source, artifacts, params and signature do not change any more.
    """

    PENDING = "pending"
    READY = "ready"
    FAILED = "failed"


class Stage(StrEnum):
    """Where a version stands on its way, for clients that know no aliases."""

    NONE = "None"
    STAGING = "Staging"
    PRODUCTION = "Production"
    ARCHIVED = "Archived"


def _newest(*paths: str, **options: Any) -> IndexModel:
    """What has one value at these paths, in the order of searches."""
    keys = [(path, ASCENDING) for path in ("workspace", *paths, "created_at", "_id")]
    return IndexModel(keys, **options)


# Those that end with the order find few among many and many among many; a range of a metric is found by itself,
# and where it matches much, MongoDB walks along the order instead.
SEARCHED = (
    _newest(),
    _newest("model"),
    _newest("tags.key", "tags.value"),
    _newest("latest", partialFilterExpression={"latest": True}),
    IndexModel([("workspace", ASCENDING), ("metrics.name", ASCENDING), ("metrics.value", ASCENDING)]),
    # Older servers know no wildcard index with another field in front.
    IndexModel([("params.$**", ASCENDING)]),
    # "none": no stemming, and no word is too common: descriptions may be in any language.
    IndexModel([("workspace", ASCENDING), ("model", TEXT), ("description", TEXT)], default_language="none"),
)


class Version(Registered):
    """A version of a model: where its files are, what they are, how good they are.

    `aliases` are moved by the routes below `/models/{model}/aliases`.
    """

    # Aliases stand on the version they name, so a unique index lets only one version of a model carry each.
    # `model` and `kind` (of its model), `latest`, `leads` and `reference` are what searches and lineages need
    # (search.py, latest.py, lineage.py). They are hidden: what happens to other documents changes them, and no ETag.

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
    metrics: Metrics = Field(default_factory=list)
    environment: Environment | None = None
    run: Run | None = None
    code: Code | None = None
    lineage: Lineage = Field(default_factory=Lineage)
    status: VersionStatus = VersionStatus.READY
    status_message: Annotated[str, Field(max_length=10_000)] = ""
    stage: Stage = Stage.NONE
    origin: Annotated[Digest | None, ReadOnly] = Field(
        default=None, description="What a bundle knew it by, where it came with one."
    )
    foreign: Annotated[Foreign | None, ReadOnly] = None
    kind: Annotated[Kind, ReadOnly, WriteOnly] = Kind.MODEL
    aliases: Annotated[list[AliasName], Field(max_length=MOST_ALIASES), ReadOnly] = Field(default_factory=list)
    model: Annotated[str, ReadOnly, WriteOnly] = ""
    latest: Annotated[bool, ReadOnly, WriteOnly] = True
    leads: Annotated[bool, ReadOnly, WriteOnly] = True
    reference: Annotated[VersionReference | None, ReadOnly, WriteOnly] = None
    created_by: Annotated[str, ReadOnly] = Field(
        default="", description="The subject of who created it; empty where nobody knows."
    )

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
            # Which versions have this file, and whether any has.
            IndexModel([("workspace", ASCENDING), ("artifacts.sha256", ASCENDING)]),
            # Deleting a model looks for versions by its id alone; a new version for those that were the latest.
            IndexModel([("model_id", ASCENDING), ("leads", ASCENDING)]),
            *SEARCHED,
            IndexModel([("workspace", ASCENDING), ("reference", ASCENDING)]),
            IndexModel([("workspace", ASCENDING), ("lineage.parents", ASCENDING)]),
            IndexModel([("workspace", ASCENDING), ("model", ASCENDING), ("number", ASCENDING)]),
            IndexModel(
                [("workspace", ASCENDING), ("model", ASCENDING), ("aliases", ASCENDING)],
                partialFilterExpression={"aliases": {"$gt": ""}},
            ),
            IndexModel(
                [
                    ("workspace", ASCENDING),
                    ("revised_at", DESCENDING),
                    ("model", ASCENDING),
                    ("number", DESCENDING),
                ]
            ),
        ]
