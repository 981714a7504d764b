"""Beanie's inheritance: classes that share a collection. Beanie has no public names for what is read here."""

from collections.abc import Mapping
from typing import Any

from beanie import Document


def children_of(document: type[Document]) -> Mapping[str, type[Document]]:
    """The classes below an initialised document by the names they are stored under; empty for most."""
    return document._children  # noqa: SLF001 - Beanie has no public name for it


def class_filter(document: type[Document]) -> dict[str, Any]:
    """Only this class and its children, where several share a collection. Needs an initialised document."""
    parent, name = document._parent, document._class_id  # noqa: SLF001 - Beanie has no public name for them
    if parent is None:
        return {}
    return {document.get_settings().class_id: {"$in": [name, *children_of(document)]}}
