"""Search over the versions of all models: the same documents in another light, read only.

What a search needs beside a version stands hidden in it, so that it is no part of what clients read, write and get an
ETag of: the name of its model, and whether it is the model's latest.
"""

from collections.abc import Sequence
from typing import Annotated, Any
from uuid import uuid4

from bson import Binary
from pydantic import Field
from pymongo import ASCENDING, DESCENDING, TEXT, IndexModel

from regesta import READS, Action, Change, Operation, ReadOnly, Resource, hookimpl
from regesta.store import collection_of
from regesta.workspaces import workspace_scope
from regesta_models.constraints import ModelName
from regesta_models.documents import Model, Version
