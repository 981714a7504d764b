"""What the promises are tried on."""

from collections.abc import Sequence
from typing import Annotated, Any

from beanie import Document, Indexed, init_beanie
from fastapi import FastAPI

from regesta import Hooks, Immutable, crud_router
from regesta.audit import AuditRecord, AuditTrail
from regesta.store import collection_of


class Account(Document):
    """With a revision."""

    name: Annotated[str, Indexed(unique=True), Immutable]
    balance: int = 0
    note: str = ""

    class Settings:
        use_revision = True


class Plain(Document):
    """Without one: its ETag is a hash, compared inside of the write."""

    name: Annotated[str, Indexed(unique=True), Immutable]
    balance: int = 0
    note: str = ""


async def serve(database: Any, *plugins: Any, trail: Any = None, seconds: float = 30.0) -> FastAPI:
    """An application with `/accounts` and `/plains`.

    `trail` audits them: AuditTrail unless given, nothing where it is False.
    """
    await init_beanie(database, document_models=[Account, Plain, AuditRecord])
    trails: Sequence[Any] = () if trail is False else [trail or AuditTrail()]
    app = FastAPI()
    for document in (Account, Plain):
        app.include_router(crud_router(document, key="name", hooks=Hooks(*trails, *plugins), timeout=seconds))
    return app


async def stored(document: type[Document] = Account) -> list[dict[str, Any]]:
    """Every stored document."""
    found: list[dict[str, Any]] = await collection_of(document).find({}).to_list(None)
    return found


async def events() -> list[dict[str, Any]]:
    """Every stored audit event, oldest first."""
    found: list[dict[str, Any]] = await collection_of(AuditRecord).find({}).sort("time", 1).to_list(None)
    return found
