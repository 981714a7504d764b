"""The public names: exported on purpose, documented, and typed as users see them (mypy reads `assert_type`)."""

import importlib
import inspect
from collections.abc import Callable
from typing import Annotated, Any, assert_type

import pytest
from beanie import Document
from fastapi import APIRouter

import regesta
from regesta import (
    Action,
    Actor,
    AuditEvent,
    Caller,
    Change,
    Entries,
    Hooks,
    Immutable,
    Invalid,
    Issue,
    Operations,
    Parent,
    Registry,
    Resource,
    Stored,
    Unit,
    Written,
    caller_of,
    crud_router,
    hookimpl,
    reads_when,
)

PACKAGES = (
    "regesta",
    "regesta.audit",
    "regesta.http",
    "regesta.operations",
    "regesta.query",
    "regesta.schemas",
    "regesta.service",
    "regesta.store",
)


class Shelf(Document):
    """A document for the checks below."""

    name: Annotated[str, Immutable]


class Label(Document):
    """A document whose entries are found by keys."""

    marked: Annotated[list[Shelf], Entries(key="name", value="name", qualifiers=("name",))]


def names_changed(change: Change[Any]) -> bool:
    """For which changes the hook below reads."""
    return change.after is not None


class LabelRules:
    """A plugin whose hook says when it reads: it stays the function it was."""

    @hookimpl
    @reads_when(names_changed)
    async def validate_change(self, change: Change[Label]) -> None:
        """Read a field through the change."""
        if change.after is not None:
            assert_type(change.after, Label)


class ShelfRules:
    """A plugin whose hook is typed by its document."""

    @hookimpl
    async def validate_change(self, change: Change[Shelf]) -> None:
        """Read a field through the change."""
        if change.after is not None:
            assert_type(change.after, Shelf)
            assert_type(change.action, Action)
            assert_type(change.actor, Actor)
            assert_type(change.event, AuditEvent)


async def check_operations(operations: Operations[Shelf], registry: Registry, caller: Caller) -> None:
    """What the operations take and give; read by mypy, never run."""
    stored = await operations.get(caller, ("a",))
    assert_type(stored, Stored[Shelf])
    assert_type(stored.document, Shelf)
    assert_type(stored.etag, str)
    assert_type(await operations.create(caller, (), lambda: Shelf(name="b")), Written[Shelf])
    assert_type(await operations.update(caller, ("a",), lambda stored, shelf: shelf), Written[Shelf])

    async def both(unit: Unit) -> int:
        await operations.delete(caller, ("a",), unit=unit)
        return 1

    assert_type(await registry.run("shelves", both), int)
    assert_type(await operations.skip_to(caller, (), 3, Unit()), int)


def test_declarations_are_typed() -> None:
    shelves = Resource(Shelf, key="name", name="shelves")
    assert_type(shelves, Resource[Shelf])
    assert_type(shelves.document, type[Shelf])
    assert_type(crud_router(Shelf, key="name", hooks=Hooks(ShelfRules())), APIRouter)
    assert_type(crud_router(shelves), APIRouter)
    assert_type(caller_of(Registry([shelves])["shelves"], "look"), Callable[..., Any])
    assert_type(Invalid("name", "is taken").issues, tuple[Issue, ...])
    assert_type(Parent(resource=shelves, field="name").stores, str)


@pytest.mark.parametrize("package", PACKAGES)
def test_names_are_exported_on_purpose(package: str) -> None:
    module = importlib.import_module(package)
    # constants first, then classes, then functions, each sorted: as the linter keeps it
    assert len(set(module.__all__)) == len(module.__all__)
    assert all(hasattr(module, name) for name in module.__all__)


def test_the_package_exports_nothing_else() -> None:
    visible = {
        name for name, value in vars(regesta).items() if not name.startswith("_") and not inspect.ismodule(value)
    }
    assert visible == set(regesta.__all__)


@pytest.mark.parametrize("package", PACKAGES)
def test_public_names_are_documented(package: str) -> None:
    module = importlib.import_module(package)
    for name in module.__all__:
        value = getattr(module, name)
        if inspect.isclass(value) or inspect.isfunction(value):
            assert inspect.getdoc(value), f"{package}.{name}"
            own = (
                member for key, member in vars(value).items() if not key.startswith("_") and inspect.isfunction(member)
            )
            assert [member.__name__ for member in own if not inspect.getdoc(member)] == [], f"{package}.{name}"


def test_a_wrong_key_is_a_clear_error() -> None:
    with pytest.raises(regesta.DeclarationError, match="isbn"):
        crud_router(Shelf, key="isbn")
