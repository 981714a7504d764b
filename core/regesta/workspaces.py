"""Workspaces: the tenants of the bundled service. Every document of ours carries one.

class Dataset(Workspaced): ...
Resource(Dataset, scope=workspace_scope)
"""

from typing import Annotated, Any

from beanie import Document
from fastapi import Header
from pydantic import Field
from starlette.requests import Request

from regesta.declarations import sets
from regesta.errors import Invalid, Issue
from regesta.markers import ReadOnly

HEADER = "X-Regesta-Workspace"
DEFAULT = "default"
PATTERN = r"^[a-z0-9](?:[a-z0-9_-]{0,61}[a-z0-9])?$"


class Workspaced(Document):
    """A document that belongs to a workspace. Lead every unique index with `workspace`."""

    workspace: Annotated[str, ReadOnly] = Field(default=DEFAULT, description="The tenant it belongs to.")


@sets("workspace")
def workspace_scope(
    request: Request,
    workspace: Annotated[
        str, Header(alias=HEADER, pattern=PATTERN, description="The workspace to work in; `default` unless given.")
    ] = DEFAULT,
) -> dict[str, Any]:
    """The scope of a request: the workspace that its header names.

    Raises Invalid for a header that comes more than once: a proxy may have appended its own to the client's.
    """
    if len(request.headers.getlist(HEADER)) > 1:
        raise Invalid.of([Issue(("header", HEADER), "is given more than once", "repeated_header")])
    return {"workspace": workspace}
