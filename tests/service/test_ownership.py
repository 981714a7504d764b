"""No two plugins use one collection, and none uses what the core keeps."""

from typing import Any

import pytest
from beanie import Document

import regesta_models
from regesta import DeclarationError, Hooks, Parent, PluginError, Resource, crud_router, hookimpl
from regesta.audit import AuditRecord, AuditTrail
from regesta.service import Settings, create_app
from regesta.workspaces import Workspaced, workspace_scope

from . import shelf
from .conftest import Serve, service


class Owner:
    """A plugin with these resources, documents and collections."""

    def __init__(self, *resources: Any, documents: Any = (), collections: Any = (), name: str = "rival") -> None:
        self.name = name
        self._resources, self._kept = list(resources), [*documents, *collections]

    @hookimpl
    def register_resources(self) -> Any:
        return self._resources

    @hookimpl
    def register_collections(self) -> Any:
        return self._kept


def kept_in(collection: str) -> Any:
    class Thing(Workspaced):
        class Settings:
            name = collection

    return Thing


def resource(document: Any, name: str = "things", **options: Any) -> Resource[Any]:
    return Resource(document, name=name, scope=workspace_scope, **options)


OWN = ["idempotency_keys", "regesta_sequences"]


@pytest.mark.parametrize("name", ["books", "audit_events", *OWN])
@pytest.mark.parametrize("how", ["resource", "document", "name"])
def test_a_collection_of_somebody_else_stops_start_up(name: str, how: str) -> None:
    rival = {
        "resource": lambda: Owner(resource(kept_in(name))),
        "document": lambda: Owner(documents=[kept_in(name)]),
        "name": lambda: Owner(collections=[name]),
    }[how]()
    owner = {"books": "regesta.*shelf|shelf", "audit_events": "audit-trail"}.get(name, "regesta itself")
    with pytest.raises(PluginError, match=rf"plugins '.*(?:{owner})' and 'rival' both use the collection '{name}'"):
        service(rival)


@pytest.mark.parametrize("view", [AuditRecord, shelf.Book])
def test_the_document_of_another_plugin_is_no_way_in(view: Any) -> None:
    with pytest.raises(PluginError, match="and 'rival' both use the collection"):
        service(Owner(resource(view)))


def test_without_a_trail_its_collection_is_closed_all_the_same() -> None:
    with pytest.raises(PluginError, match="'audit-trail' and 'rival' both use the collection 'audit_events'"):
        create_app(Settings(), hooks=Hooks(Owner(resource(kept_in("audit_events")))))


@pytest.mark.parametrize("name", ["versions", "blobs", "artifacts.files", "artifacts.chunks", "regesta_lineage_turns"])
def test_the_collections_of_the_model_registry_are_its_own(name: str) -> None:
    with pytest.raises(PluginError, match=rf"'(?:models|regesta_models)' and 'rival' both use the collection '{name}'"):
        create_app(Settings(), hooks=Hooks(AuditTrail(), regesta_models, Owner(resource(kept_in(name)))))


class Chapter(Workspaced):
    book: Any = None


class Page(Workspaced):
    parent: Any = None


def test_what_is_nested_below_another_plugins_resource_is_no_second_owner() -> None:
    service(Owner(resource(Chapter, "chapters", parent=Parent(resource=shelf.books, field="book"))))


def test_nor_may_a_parent_that_is_not_served_open_it() -> None:
    hidden = resource(kept_in("books"), "hidden")
    with pytest.raises(PluginError, match="both use the collection 'books'"):
        service(Owner(resource(Page, "pages", parent=Parent(resource=hidden, field="parent"))))


@pytest.mark.parametrize("name", OWN)
def test_a_router_does_not_serve_what_the_core_keeps(name: str) -> None:
    with pytest.raises(DeclarationError, match=f"'things'.*'{name}', which Regesta keeps for itself"):
        crud_router(Resource(kept_in(name), name="things", scope=workspace_scope))


def test_nor_what_a_plugin_keeps() -> None:
    with pytest.raises(DeclarationError, match="'audit_events', which plugin 'audit-trail' keeps for itself"):
        crud_router(resource(kept_in("audit_events")), hooks=Hooks(AuditTrail()))
    with pytest.raises(DeclarationError, match="'turns', which plugin 'rival' keeps for itself"):
        crud_router(resource(kept_in("turns")), hooks=Hooks(Owner(collections=["turns"])))


def test_something_else_than_documents_and_names_stops_start_up() -> None:
    with pytest.raises(PluginError, match="'rival': register_collections must answer a list of Document classes"):
        service(Owner(collections=[1]))


class Log(Document):
    about: str


async def test_the_service_binds_the_documents_of_plugins(serve: Serve) -> None:
    class Logging(Owner):
        @hookimpl
        async def record_change(self, change: Any, session: Any) -> None:
            await Log(about=change.key).insert(session=session)

    async with serve(Logging(documents=[Log])) as client:
        made = await client.post("/api/v1/books", json={"isbn": "1", "title": "one"})
        assert made.status_code == 201, made.text
        assert [log.about for log in await Log.find_all().to_list()] == ["1"]
