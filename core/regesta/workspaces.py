"""Workspaces: the tenants of the bundled service. Every document of ours carries one.

class Dataset(Workspaced): ...
Resource(Dataset, scope=workspace_scope)
"""

from typing import Annotated, Any

from beanie import Document
from fastapi import Header
from pydantic import Field

from regesta.markers import ReadOnly

HEADER = "X-Regesta-Workspace"
DEFAULT = "default"
PATTERN = r"^[a-z0-9](?:[a-z0-9_-]{0,61}[a-z0-9])?$"


class Workspaced(Document):
    """A document that belongs to a workspace. Lead every unique index with `workspace`."""

    workspace: Annotated[str, ReadOnly] = Field(default=DEFAULT, description="The tenant it belongs to.")


def workspace_scope(
    workspace: Annotated[
        str, Header(alias=HEADER, pattern=PATTERN, description="The workspace to work in; `default` unless given.")
    ] = DEFAULT,
) -> dict[str, Any]:
    """The scope of a request: the workspace that its header names."""
    return {"workspace": workspace}
