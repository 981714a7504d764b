"""FastAPI with Beanie as its tutorials write it: a response model and document instances all the way.

The return annotations are the response models; `response_model=` would do the same.
"""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated, Any

from beanie import init_beanie
from fastapi import FastAPI, HTTPException, Query
from pymongo import AsyncMongoClient

from ..documents import Item


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    async with AsyncMongoClient[dict[str, Any]](os.environ["BENCHMARK_URI"]) as client:
        await init_beanie(client[os.environ["BENCHMARK_DATABASE"]], document_models=[Item])
        yield


app = FastAPI(lifespan=lifespan)


@app.get("/items/{sku}")
async def get_item(sku: str) -> Item:
    item = await Item.find_one(Item.sku == sku)
    if item is None:
        raise HTTPException(404)
    return item


@app.get("/items")
async def list_items(page_size: Annotated[int, Query(ge=1, le=1000)] = 100) -> list[Item]:
    return await Item.find_all(limit=page_size).to_list()


@app.post("/items", status_code=201)
async def create_item(item: Item) -> Item:
    return await item.insert()
