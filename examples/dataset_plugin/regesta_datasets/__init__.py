"""Datasets: where they are, how large, under which licence. A Regesta plugin in one file."""

import logging
from collections import Counter
from typing import Annotated, Any

from pydantic import Field
from pymongo import ASCENDING, IndexModel

from regesta import AuditEvent, Change, Immutable, Invalid, Resource, hookimpl
from regesta.workspaces import Workspaced, workspace_scope

logger = logging.getLogger("regesta_datasets")

# By action. A real observer would send the event somewhere.
seen: Counter[str] = Counter()


class Dataset(Workspaced):
    """A named collection of examples."""

    name: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9._-]{0,99}$"), Immutable]
    uri: Annotated[str, Field(min_length=1, max_length=2000)]
    license: str | None = Field(default=None, description="An SPDX identifier.")
    rows: Annotated[int, Field(ge=0)] = 0
    public: bool = False

    class Settings:
        name = "datasets"
        use_revision = True
        indexes = [IndexModel([("workspace", ASCENDING), ("name", ASCENDING)], unique=True)]


@hookimpl
def register_resources() -> list[Resource[Any]]:
    return [Resource(Dataset, name="datasets", key="name", scope=workspace_scope)]


@hookimpl
def validate_change(change: Change[Dataset]) -> None:
    """What a schema cannot say: two fields together, or a field before and after."""
    before, after = change.before, change.after
    if after and after.public and not after.license:
        raise Invalid("license", "is needed before a dataset is made public")
    if before and after and after.rows < before.rows:
        raise Invalid("rows", f"never shrinks: there are {before.rows}")


@hookimpl
async def audit_event(event: AuditEvent) -> None:
    """After the commit. It cannot fail the request any more."""
    if event.resource == "datasets":
        seen[event.action] += 1
        logger.info("%s %s dataset %s", event.actor.subject, event.action, event.key)
