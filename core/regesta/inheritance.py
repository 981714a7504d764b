"""Which collection keeps a document class, and what tells its documents from those of other classes there.

Beanie has two ways to keep several classes in one collection: inheritance (`is_root`) and `union_doc`. Either way each
document says which class it belongs to. The functions that need an initialised document say so; the others read the
declaration.
"""

from collections.abc import Mapping
from typing import Any

from beanie import Document

from regesta.store import collection_of

CLASS_ID = "_class_id"


def collection_name(document: type[Document]) -> str:
    """The name of the collection that Beanie will use."""
    root = root_of(document) or document
    kept = union_of(root) or root
    return str(_setting(kept, "name") or kept.__name__)


def root_of(document: type[Document]) -> type[Document] | None:
    """The class at the top of Beanie's inheritance (`is_root`); None if the class takes no part in it."""
    above = _above(document)
    if above is not Document and (found := root_of(above)) is not None:
        return found
    return document if _setting(document, "is_root") else None


def union_of(document: type[Document]) -> Any:
    """The UnionDoc that the class belongs to; None if there is none."""
    return _setting(document, "union_doc")


def class_field(document: type[Document]) -> str | None:
    """The stored field that tells the class of a document; None if the class says nothing there."""
    if root_of(document) is None and union_of(document) is None:
        return None
    return str(_setting(document, "class_id") or CLASS_ID)


def are_kept_apart(one: type[Document], other: type[Document]) -> bool:
    """Whether documents of both classes can be told from each other, wherever they are kept.

    A class and those that inherit from it are: each is shown as what it is.
    """
    if one is other or collection_name(one) != collection_name(other):
        return True
    if class_field(one) != class_field(other):
        return False
    if root_of(one) is not None and root_of(one) is root_of(other):
        return True
    return union_of(one) is not None and union_of(one) is union_of(other)


def may_hold(one: type[Document], other: type[Document]) -> bool:
    """Whether what is read as `one` may be a document of `other`."""
    root = root_of(one)
    return one is other or (
        root is not None and root is root_of(other) and (issubclass(one, other) or issubclass(other, one))
    )


def children_of(document: type[Document]) -> Mapping[str, type[Document]]:
    """The classes below an initialised document by the names they are stored under; empty for most."""
    return document._children  # noqa: SLF001 - Beanie has no public name for it


def class_filter(document: type[Document]) -> dict[str, Any]:
    """Only this class and its children, if several share a collection. Needs an initialised document.

    It is empty for a root of inheritance: it shows all of its collection.
    """
    collection_of(document)  # raises what to do about a class that is not initialised
    settings = document.get_settings()
    parent, name = document._parent, document._class_id  # noqa: SLF001 - Beanie has no public name for them
    if name and (parent is not None or settings.union_doc is not None):
        return {settings.class_id: {"$in": [name, *children_of(document)]}}
    if settings.union_doc is not None:
        return {settings.class_id: settings.union_doc_alias}
    return {}


def class_name(document: type[Document]) -> str | None:
    """What is stored as the class of a document; None if nothing is. Needs an initialised document."""
    settings = document.get_settings()
    own: str | None = document._class_id  # noqa: SLF001 - Beanie has no public name for it
    return own or (settings.union_doc_alias if settings.union_doc is not None else None)


def _above(document: type[Document]) -> type[Document]:
    return next((base for base in document.__bases__ if issubclass(base, Document)), Document)


def _setting(document: type[Any], name: str) -> Any:
    return getattr(getattr(document, "Settings", None), name, None)
