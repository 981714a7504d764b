"""The documents of promotion: policies that guard aliases, approvals of versions, and what became of each alias."""

from datetime import datetime
from typing import Annotated

from beanie import PydanticObjectId
from pydantic import BaseModel, Field
from pymongo import ASCENDING, DESCENDING, IndexModel

from regesta import Immutable, ReadOnly
from regesta_models.constraints import AliasName, ModelName
from regesta_models.documents import Entry, utc_now
from regesta_models.gates import Gate

MOST_GATES = 50
Reason = Annotated[str, Field(min_length=1, max_length=2000, pattern=r"\S")]
Comment = Annotated[str, Field(max_length=10_000)]


class PromotionPolicy(Entry):
    """What a version must have before an alias may stand for it.

    All policies of an alias hold together: one for a model adds to those for all models, and never takes away. A
    version that is not `ready` passes none.
    """

    name: Annotated[ModelName, Immutable]
    alias: AliasName = Field(description="The alias that it guards.")
    model: ModelName | None = Field(
        default=None, description="The model that it is for; all of the workspace unless given."
    )
    model_id: Annotated[PydanticObjectId | None, ReadOnly] = Field(
        default=None, description="The model that is meant, whatever its name becomes."
    )
    gates: Annotated[list[Gate], Field(min_length=1, max_length=MOST_GATES)]
    description: Comment = ""
    created_at: Annotated[datetime, ReadOnly] = Field(default_factory=utc_now)
    updated_at: Annotated[datetime, ReadOnly] = Field(default_factory=utc_now)

    class Settings:
        """How Beanie keeps them."""

        name = "promotion_policies"
        use_revision = True
        indexes = [
            IndexModel([("workspace", ASCENDING), ("name", ASCENDING)], unique=True),
            IndexModel([("workspace", ASCENDING), ("alias", ASCENDING), ("name", ASCENDING)]),
        ]


class Approval(Entry):
    """That somebody approves of a version. It never changes; who gave it may withdraw it, which deletes it."""

    version_id: PydanticObjectId
    by: Annotated[str, ReadOnly] = Field(default="", description="The subject of who gave it.")
    at: Annotated[datetime, ReadOnly] = Field(default_factory=utc_now)
    comment: Comment = ""

    class Settings:
        """How Beanie keeps them."""

        name = "approvals"
        use_revision = True
        indexes = [IndexModel([("workspace", ASCENDING), ("version_id", ASCENDING), ("by", ASCENDING)], unique=True)]


class FailedGate(BaseModel):
    """A gate that was passed by without being met."""

    policy: str = Field(description="The name of the policy; empty where the version was not ready.")
    gate: int = Field(description="The gate's position in the policy, from 0 on.")
    type: str
    message: str


class Override(BaseModel):
    """That gates did not count, and why."""

    reason: Reason
    gates: list[FailedGate] = Field(default_factory=list, description="Those that were not met.")


class Promotion(Entry):
    """That an alias moved: from which version to which, by whom, when and why. The newest one tells where it stands."""

    model_id: PydanticObjectId
    number: int = Field(description="1, 2, 3, ... in each model.")
    alias: Annotated[AliasName, ReadOnly]
    version: Annotated[int | None, ReadOnly] = Field(
        default=None, description="Which version it stands for from then on; null where it was taken away."
    )
    previous: Annotated[int | None, ReadOnly] = Field(default=None, description="Which one it stood for before.")
    by: Annotated[str, ReadOnly] = ""
    at: Annotated[datetime, ReadOnly] = Field(default_factory=utc_now)
    policies: Annotated[list[str], ReadOnly] = Field(default_factory=list, description="Those that guarded the alias.")
    approved_by: Annotated[list[str], ReadOnly] = Field(
        default_factory=list, description="Whose approvals counted, where policies guarded the alias."
    )
    override: Annotated[Override | None, ReadOnly] = None
    rolls_back: Annotated[int | None, ReadOnly] = Field(
        default=None, description="The number of the promotion that this one takes back."
    )
    returns_to: Annotated[int | None, ReadOnly] = Field(
        default=None, description="The number of the promotion that a rollback from here goes back to."
    )
    reason: Annotated[str, ReadOnly] = Field(default="", description="Of a rollback.")

    class Settings:
        """How Beanie keeps them."""

        name = "promotions"
        use_revision = True
        indexes = [
            IndexModel([("workspace", ASCENDING), ("model_id", ASCENDING), ("number", ASCENDING)], unique=True),
            IndexModel(
                [
                    ("workspace", ASCENDING),
                    ("model_id", ASCENDING),
                    ("alias", ASCENDING),
                    ("number", DESCENDING),
                ]
            ),
        ]
