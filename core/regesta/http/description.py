"""`GET /books:schema`: what a client can know of a resource without reading documentation."""

import hashlib
from typing import Any

from pydantic import BaseModel, Field
from starlette.requests import Request
from starlette.responses import Response

from regesta.declarations import Operation
from regesta.http.exchange import Exchange
from regesta.http.headers import check_path, has_condition, is_wanted
from regesta.http.responses import JsonResponse, quoted
from regesta.operations import Operations
from regesta.query import MAX_SEARCH, described_keys, parse_parameters
from regesta.resource import Resource
from regesta.schemas import dumps, json_schemas
from regesta.schemas.parts import plain

DIALECT = "https://json-schema.org/draft/2020-12/schema"


class DescribedFilter(BaseModel):
    """How one field can be compared."""

    operators: list[str] = Field(description="`eq`: `year=1990`; any other: `year__gte=1990`.")
    schema_: dict[str, Any] = Field(alias="schema", description="The JSON Schema of one value.")


class DescribedKeys(BaseModel):
    """How values that are found by keys in a field are compared, in `filter=` alone."""

    written: str = Field(description="`metrics.NAME[.DATASET]`, with the keys in place of the capitals.")
    operators: list[str] = Field(description="By their signs: `gte` is `>=`.")
    schema_: dict[str, Any] = Field(alias="schema", description="The JSON Schema of one value.")


class DescribedSearch(BaseModel):
    """Whether `q=` searches."""

    available: bool
    max_length: int


class ResourceDescription(BaseModel):
    """A resource: its JSON Schemas (2020-12), and what can be asked of it."""

    name: str
    singular: str
    key: str
    operations: list[str]
    schemas: dict[str, dict[str, Any]] = Field(description="Of `read`, and of `create`, `replace` and `patch` bodies.")
    filters: dict[str, DescribedFilter]
    keyed_filters: dict[str, DescribedKeys]
    sorts: list[str]
    default_sort: str
    fields: list[str] = Field(description="What `fields=` can name.")
    facets: list[str] = Field(description="What `by=` can name.")
    expand: list[str] = Field(description="What `expand=` can name.")
    q: DescribedSearch
    page_size: int
    max_page_size: int


class Description:
    """The endpoint; what it answers is made once."""

    def __init__(self, exchange: Exchange[Any]) -> None:
        self._operations = exchange.operations
        self._callers = exchange.callers
        self._made: dict[frozenset[str], tuple[bytes, str]] = {}

    async def endpoint(self, request: Request, scope: Any = None, actor: Any = None) -> Response:
        """JSON Schemas of what is read and sent, and what can be asked: filters, sorts, facets, operations."""
        check_path(request)
        parse_parameters(request.scope["query_string"], {})
        caller = await self._callers.of(request, Operation.SCHEMA, scope, actor)
        content, etag = self._content(frozenset(self._operations.addresses.scopes.given(caller.scope)))
        headers = {"ETag": quoted(etag)}
        if has_condition(request) and not is_wanted(request, etag):
            return Response(status_code=304, headers=headers)
        return JsonResponse(content, headers=headers)

    def _content(self, given: frozenset[str]) -> tuple[bytes, str]:
        if given not in self._made:
            content = dumps(described(self._operations, given))
            self._made[given] = content, hashlib.blake2b(content, digest_size=16).hexdigest()
        return self._made[given]


def described(operations: Operations[Any], given: frozenset[str] = frozenset()) -> dict[str, Any]:
    """What the endpoint answers. The fields of `given` (Python names) are the server's: the scope sets them."""
    resource, rules = operations.resource, operations.rules
    return {
        "name": resource.name,
        "singular": resource.singular,
        "key": operations.codec.wire_names[resource.key],
        "operations": [operation for operation in Operation if operation in offered(operations)],
        "schemas": _schemas(operations, given),
        "filters": rules.operators(),
        "keyed_filters": described_keys(rules.filters),
        "sorts": list(rules.sorts),
        "default_sort": rules.default_sort,
        "fields": list(rules.field_names),
        "facets": list(rules.facets) if Operation.FACETS in resource.operations else [],
        "expand": list(rules.expandable),
        "q": {"available": rules.text is not None, "max_length": MAX_SEARCH},
        "page_size": resource.page_size,
        "max_page_size": resource.max_page_size,
    }


def offered(operations: Operations[Any]) -> frozenset[Operation]:
    """The operations that have a route: none where there is nothing for them to do or to read."""
    resource: Resource[Any] = operations.resource
    unknown = not operations.hooks.has("read_history")
    without = {
        Operation.FACETS: not operations.rules.facets,
        Operation.BATCH: not resource.in_batches,
        Operation.RESTORE: not resource.soft_delete,
        Operation.HISTORY: unknown,
        Operation.REVERT: unknown or Operation.REPLACE not in resource.operations,
    }
    return frozenset(found for found in map(Operation, resource.operations) if not without.get(found))


def _schemas(operations: Operations[Any], given: frozenset[str]) -> dict[str, Any]:
    codec, offers = operations.codec, operations.resource.operations
    left_out = {codec.input_names.get(name) for name in given}
    made = {
        Operation.CREATE: json_schemas.create_schema,
        Operation.REPLACE: json_schemas.replace_schema,
        Operation.PATCH: json_schemas.patch_schema,
    }
    bodies = {
        str(operation): json_schemas.without(make(codec), left_out)
        for operation, make in made.items()
        if operation in offers
    }
    return {
        name: {"$schema": DIALECT, **plain(schema)}
        for name, schema in {"read": json_schemas.read_schema(codec), **bodies}.items()
    }
