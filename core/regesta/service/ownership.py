"""Whose documents are: no collection belongs to two plugins, and no resource to every tenant by mistake."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from beanie import Document

from regesta.audit import AuditRecord, AuditTrail
from regesta.errors import PluginError
from regesta.hooks import Hooks
from regesta.inheritance import collection_name
from regesta.operations.registry import OWN_COLLECTIONS
from regesta.resource import Resource

CORE = "regesta itself"


def check_collections(resources: Mapping[str, Sequence[Resource[Any]]], hooks: Hooks) -> None:
    """Raises PluginError, naming the collection and both plugins, if two plugins use one collection.

    A plugin uses what its resources serve and what its `register_collections` answers. To nest a resource below
    another plugin's is no use of that plugin's collection, as long as it is the same document class.
    """
    owners = dict.fromkeys(OWN_COLLECTIONS, CORE) | {collection_name(AuditRecord): AuditTrail.name}
    kept = hooks.kept
    for plugin, _ in hooks:
        served = [resource.document for resource in resources.get(plugin, ())]
        for used in (*served, *(one for owner, one in kept if owner == plugin)):
            _claim(owners, used if isinstance(used, str) else collection_name(used), plugin)
    known = {resource.document for found in resources.values() for resource in found}
    for plugin, found in resources.items():
        for document in _ancestors(found):
            if document not in known:
                _claim(owners, collection_name(document), plugin)


def check_scopes(resources: Mapping[str, Sequence[Resource[Any]]]) -> None:
    """Raises PluginError for a resource that would show everything to everybody and does not say so."""
    for plugin, found in resources.items():
        for resource in found:
            if resource.inherited_scope is None and not resource.shared:
                raise PluginError(
                    f"plugin {plugin!r}: the resource {resource.name!r} has no scope, so everybody would see and "
                    f"change all of it: derive {resource.document.__name__} from Workspaced and declare "
                    "scope=workspace_scope, or declare shared=True"
                )


def _claim(owners: dict[str, str], name: str, plugin: str) -> None:
    owner = owners.setdefault(name, plugin)
    if owner != plugin:
        raise PluginError(
            f"plugins {owner!r} and {plugin!r} both use the collection {name!r}, so each could read and change what "
            f"the other keeps: give the document of {plugin!r} another `name` in its Settings, such as "
            f"'{plugin.replace('-', '_')}_{name}'"
        )


def _ancestors(resources: Sequence[Resource[Any]]) -> Iterator[type[Document]]:
    for resource in resources:
        above = resource.parent
        while above is not None:
            yield above.resource.document
            above = above.resource.parent
