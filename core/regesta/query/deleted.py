"""Soft deletes: what lists hide, and the indexes that let a key be taken again."""

from typing import Any

from regesta.declarations import DELETED_AT
from regesta.errors import DeclarationError
from regesta.resource import Resource

from .indexes import indexes
from .parameters import Parameter, flag

PARAMETER = "show_deleted"


def live_filter(resource: Resource[Any]) -> dict[str, Any]:
    """What the documents have in common that are not deleted. Raises DeclarationError for a key taken for good."""
    if not resource.soft_delete:
        return {}
    fields = resource.document.model_fields
    deleted_at = fields[DELETED_AT].alias or DELETED_AT
    key = fields[resource.key].alias or resource.key
    live = {deleted_at: None}
    for index in indexes(resource.document):
        names = [name for name, _ in index.keys]
        if index.options.get("unique") and key in names and index.options.get("partialFilterExpression") != live:
            raise DeclarationError(
                f"resource {resource.name!r}: a deleted document would keep its {resource.key} for good: "
                f'declare IndexModel({names!r}, unique=True, partialFilterExpression={{"{deleted_at}": None}})'
            )
    return live


def deleted_parameter() -> Parameter:
    """`show_deleted`."""
    return flag("Show deleted documents as well (AIP-164).")
