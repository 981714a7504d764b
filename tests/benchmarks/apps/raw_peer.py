"""FastAPI with PyMongo Async and orjson and nothing between: the practical limit of this stack.

No model on the way out, no instance, no page token, no ETag. What a generated route loses against this
is what its contract costs.
"""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Annotated, Any
from uuid import uuid4

import orjson
from bson import ObjectId
from fastapi import FastAPI, HTTPException, Query, Request, Response
from pymongo import AsyncMongoClient
from pymongo.asynchronous.client_session import AsyncClientSession

from ..documents import ItemBody
from ..workloads import RAW_EVENTS

client = AsyncMongoClient[dict[str, Any]](os.environ["BENCHMARK_URI"])
database = client[os.environ["BENCHMARK_DATABASE"]]
items = database["items"]
audited_items = database["audited_items"]
audit_events = database[RAW_EVENTS]


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    async with client:
        yield


app = FastAPI(lifespan=lifespan)


def answer(content: Any, status: int = 200) -> Response:
    return Response(orjson.dumps(content, default=str), status, media_type="application/json")


@app.get("/items/{sku}")
async def get_item(sku: str) -> Response:
    document = await items.find_one({"sku": sku})
    if document is None:
        raise HTTPException(404)
    document["id"] = document.pop("_id")
    return answer(document)


@app.get("/items")
async def list_items(page_size: Annotated[int, Query(ge=1, le=1000)] = 100) -> Response:
    documents = await items.find().limit(page_size).to_list()
    for document in documents:
        document["id"] = document.pop("_id")
    return answer(documents)


@app.post("/items")
async def create_item(body: ItemBody) -> Response:
    document = body.model_dump()
    await items.insert_one(document)
    document["id"] = document.pop("_id")
    return answer(document, 201)


@app.post("/audited-items")
async def create_audited_item(body: ItemBody, request: Request) -> Response:
    fields = body.model_dump()
    document = {"_id": ObjectId(), **fields}
    event = {
        "_id": ObjectId(),
        "time": datetime.now(UTC),
        "action": "create",
        "resource": "audited-items",
        "key": body.sku,
        "actor": {
            "subject": "anonymous",
            "method": "none",
            "address": request.client.host if request.client else "",
        },
        "request_id": str(uuid4()),
        "revision_before": None,
        "revision_after": None,
        "changes": [{"op": "add", "path": f"/{name}", "value": value} for name, value in fields.items()],
    }

    async def both(session: AsyncClientSession) -> None:
        await audited_items.insert_one(document, session=session)
        await audit_events.insert_one(event, session=session)

    async with client.start_session() as session:
        await session.with_transaction(both)
    document["id"] = document.pop("_id")
    return answer(document, 201)
