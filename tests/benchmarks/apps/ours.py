"""The generated routes: what an application that mounts `crud_router` writes, and no more."""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from beanie import init_beanie
from fastapi import FastAPI
from pymongo import AsyncMongoClient

from regesta import Hooks, crud_router
from regesta.audit import AuditTrail

from ..documents import AuditedItem, Item


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    async with AsyncMongoClient[dict[str, Any]](os.environ["BENCHMARK_URI"]) as client:
        database = client[os.environ["BENCHMARK_DATABASE"]]
        await init_beanie(database, document_models=[Item, AuditedItem, AuditTrail.document])
        yield


# Filters are declared because real resources have them; what they cost must show here.
FILTERS = ["sku", "category", "brand", "status", "quantity", "price", "active", "created_at"]
SORTS = ["sku", "price"]

app = FastAPI(lifespan=lifespan)
app.include_router(crud_router(Item, key="sku", name="items", filters=FILTERS, sorts=SORTS, max_page_size=1000))
app.include_router(crud_router(AuditedItem, key="sku", name="audited-items", hooks=Hooks(AuditTrail())))
