"""`GET /books:facets?by=year,author.name`: how many documents have each value."""

from typing import Any

from pydantic import BaseModel, Field
from starlette.requests import Request
from starlette.responses import Response

from regesta.declarations import Operation
from regesta.http.exchange import Exchange
from regesta.http.headers import check_path
from regesta.http.responses import JsonResponse
from regesta.operations import facets
from regesta.schemas import dumps


class FacetValue(BaseModel):
    """A value, as the items show it, and how many documents have it."""

    value: str | float | int | bool | None = Field(description="null: there is no value.")
    count: int


class FacetCounts(BaseModel):
    """The most frequent values of each field, most frequent first."""

    facets: dict[str, list[FacetValue]] = Field(description="By the names that `by` has.")
    truncated: list[str] = Field(description="The fields that have more values than are shown.")


class Facets:
    """The endpoint."""

    def __init__(self, exchange: Exchange[Any]) -> None:
        self._exchange = exchange
        self._operations = exchange.operations

    async def endpoint(self, request: Request, scope: Any = None, actor: Any = None) -> Response:
        """How many of the documents that the filters match have each value of the fields in `by`."""
        check_path(request)
        query = self._operations.rules.parse_facets(request.scope["query_string"])
        caller, keys = await self._exchange.reader(request, scope, actor, Operation.FACETS)
        found = await facets(self._operations, caller, keys, query)
        body = {
            "facets": {
                name: [{"value": value, "count": count} for value, count in facet.counts]
                for name, facet in found.items()
            },
            "truncated": [name for name, facet in found.items() if facet.truncated],
        }
        return JsonResponse(dumps(body))
