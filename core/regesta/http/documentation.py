"""What OpenAPI says of the generated routes."""

from functools import cache
from typing import Any

from pydantic import Field, create_model

from regesta import errors
from regesta.declarations import READS, Operation
from regesta.http.batch_schemas import JSON_PATCH, batch_schema, results_schema
from regesta.http.description import ResourceDescription, offered
from regesta.http.exports import EXPORT_CONTENT
from regesta.http.facets import FacetCounts
from regesta.http.history import HistoryPage, offers_revisions
from regesta.http.idempotency import PARAMETER as IDEMPOTENCY_KEY
from regesta.http.imports import IMPORT_ANSWER, IMPORT_BODY
from regesta.http.methods import METHODS
from regesta.http.problems import MEDIA_TYPE as PROBLEM
from regesta.http.problems import Problem, problem_answer
from regesta.http.unreadable import UnreadableItem
from regesta.http.watching import WATCH_ERRORS, stream_content, stream_headers
from regesta.http.wire_models import Documented, documented
from regesta.operations import Operations, levels
from regesta.resource import Resource
from regesta.schemas import json_schemas
from regesta.schemas.parts import plain

ETAG_HEADER = {"ETag": {"description": "The entity tag of this revision.", "schema": {"type": "string"}}}
LOCATION_HEADER = {"Location": {"description": "Where the new document is.", "schema": {"type": "string"}}}
VALIDATED = "With `validate_only`: the document as it would be"
REPLAYED_HEADER = {
    "Idempotency-Replayed": {
        "description": "`true` where the answer was given before, to the same Idempotency-Key.",
        "schema": {"const": "true"},
    }
}
LINK_HEADER = {"Link": {"description": 'The next page, rel="next" (RFC 8288).', "schema": {"type": "string"}}}
CONTENT_LOCATION_HEADER = {
    "Content-Location": {
        "description": "The path with keys, if the request's had an alias (RFC 9110, 8.7).",
        "schema": {"type": "string"},
    }
}

PART = "Input"  # a model inside a body is stricter than the same one inside an answer

Errors = tuple[type[errors.ProblemError], ...]
ANY_ERRORS: Errors = (errors.Malformed, errors.Invalid, errors.Unavailable)
READ_ERRORS: Errors = (*ANY_ERRORS, errors.Conflict)  # the last for documents that are Unreadable
WRITE_ERRORS = READ_ERRORS
BODY_ERRORS = (*WRITE_ERRORS, errors.TooLarge, errors.UnsupportedMedia)
CHANGE_ERRORS = (errors.NotFound, errors.PreconditionFailed)


class Documentation:
    """The models and OpenAPI fragments of one resource's operations."""

    def __init__(self, operations: Operations[Any]) -> None:
        resource, codec = operations.resource, operations.codec
        document, read = resource.document, json_schemas.read_schema(codec)
        self._operations = operations
        here = offered(operations)
        self._first = next((operation for operation in METHODS if operation in here), None)
        self.read = documented(document, "", read)
        self.create = documented(document, "Create", json_schemas.create_schema(codec), PART)
        self.replace = documented(document, "Replace", json_schemas.replace_schema(codec), PART)
        self.patch = documented(document, "Patch", json_schemas.patch_schema(codec), PART)
        self.batch = documented(document, "Batch", batch_schema(operations), PART)
        results = results_schema(document.__name__, read)
        self.results = documented(document, "BatchResults", results, models={"Problem": Problem})
        self.page = _page_model(f"{document.__name__}Page", self.read)

    def responses(self, operation: Operation) -> dict[int | str, dict[str, Any]]:
        """Success and every problem, with headers."""
        found = _errors(operation, nested=self._operations.parent is not None, demand=self._demands)
        if operation is Operation.LIST and self._operations.rules.text:
            found = (*found, errors.Unsupported)
        events = stream_content(operation, self._operations.resource.operations)
        found += WATCH_ERRORS if events else ()
        if operation is Operation.GET and offers_revisions(self._operations):
            found = (*found, errors.Gone)
        problems: dict[int | str, dict[str, Any]] = {
            error.status: problem_answer(error, patch=operation is Operation.PATCH) for error in found
        }
        # Gateways in front say this too, as application/json. FastAPI shows a model so, and knows a component only by
        # a model; each costs it time at start, so one operation has the model.
        unavailable = problems[errors.Unavailable.status]
        if operation is self._first:
            unavailable["model"] = Problem
        else:
            unavailable["content"] |= {"application/json": unavailable["content"][PROBLEM]}
        success = _success(operation, self)
        offered = self._operations.resource.operations
        if operation is Operation.LIST and Operation.EXPORT in offered:
            success[200]["content"] = EXPORT_CONTENT
        if events:
            success[200]["content"] = success[200].get("content", {}) | events
        if operation is Operation.CREATE and Operation.IMPORT in offered:
            said = f"{success[200]['description']}. {IMPORT_ANSWER['description']}"
            success[200] |= {"description": said, "content": {"application/json": {}} | IMPORT_ANSWER["content"]}
        if operation in (Operation.GET, Operation.LIST) and self._operations.rules.expandable:
            success[200] |= {"description": f"{success[200]['description']}. With `expand`, references are objects."}
        if operation is not Operation.SCHEMA and self._path_of(operation) != self._path_of(operation, aliases=False):
            success[200]["headers"] = success[200].get("headers", {}) | CONTENT_LOCATION_HEADER
        return success | problems

    @property
    def _demands(self) -> bool:
        return self._operations.resource.require_if_match

    def parameters(self, operation: Operation) -> list[dict[str, Any]]:
        """Path and header parameters."""
        watch = stream_headers(operation, self._operations.resource.operations)
        return self._path_of(operation) + _headers(operation, demand=self._demands) + watch

    def _path_of(self, operation: Operation, *, aliases: bool = True) -> list[dict[str, Any]]:
        """The keys in the path: of the parents, and its own. Reads take aliases as well."""
        way = [level.resource for level in levels(self._operations)]
        if METHODS[operation].on_collection:
            way = way[:-1]
        return [_path_parameter(resource, aliases=aliases and operation in READS) for resource in way]


def _path_parameter(resource: Resource[Any], *, aliases: bool) -> dict[str, Any]:
    said = f"The {resource.key} of the {resource.singular.replace('_', ' ')}."
    schema = json_schemas.key_schema(resource)
    if aliases and resource.key_aliases:
        said = " ".join([said, *(alias.description for alias in resource.key_aliases)])
        schema = {"anyOf": [schema, *(alias.schema for alias in resource.key_aliases)]}
    return {
        "name": resource.singular.replace("-", "_"),
        "in": "path",
        "required": True,
        "description": said,
        "schema": schema,
    }


def request_body(operation: Operation, resource: Resource[Any]) -> dict[str, Any]:
    """What FastAPI does not say of the body by itself."""
    if operation is Operation.CREATE and Operation.IMPORT in resource.operations:
        return {"required": True, "content": IMPORT_BODY}
    if operation in (Operation.CREATE, Operation.REPLACE, Operation.BATCH, Operation.REVERT):
        return {"required": True}
    if operation is Operation.PATCH:
        # An array by its name alone would be `isinstance(body, list[...])` in generated Python, which cannot be asked.
        shown = {"title": "JsonPatch", "description": JSON_PATCH["description"], "allOf": [plain(JSON_PATCH)]}
        return {"required": True, "content": {"application/json-patch+json": {"schema": shown}}}
    return {}


def _errors(operation: Operation, *, nested: bool, demand: bool) -> tuple[type[errors.ProblemError], ...]:
    above = (errors.NotFound,) if nested else ()
    demanded = (errors.PreconditionRequired,) if demand else ()
    return {
        Operation.LIST: (*READ_ERRORS, *above),
        Operation.GET: (*READ_ERRORS, *CHANGE_ERRORS),
        Operation.CREATE: (*BODY_ERRORS, *above, errors.PreconditionFailed, errors.Unsupported),
        Operation.BATCH: (*BODY_ERRORS, *CHANGE_ERRORS, *demanded, errors.Unsupported),
        Operation.REPLACE: (*BODY_ERRORS, *CHANGE_ERRORS, *demanded),
        Operation.PATCH: (*BODY_ERRORS, *CHANGE_ERRORS, *demanded),
        Operation.DELETE: (*WRITE_ERRORS, *CHANGE_ERRORS, *demanded),
        Operation.FACETS: (*ANY_ERRORS, *above, errors.Unsupported),
        Operation.SCHEMA: (*ANY_ERRORS, errors.PreconditionFailed),
        Operation.HISTORY: (*READ_ERRORS, errors.NotFound),
        Operation.RESTORE: (*WRITE_ERRORS, *CHANGE_ERRORS, *demanded),
        Operation.REVERT: (*BODY_ERRORS, *CHANGE_ERRORS, *demanded, errors.Gone),
    }[operation]


def _success(operation: Operation, models: Documentation) -> dict[int | str, dict[str, Any]]:
    one = {"model": models.read, "headers": ETAG_HEADER}
    created = {**one, "description": "Created", "headers": {**ETAG_HEADER, **LOCATION_HEADER}}
    once = {**created, "headers": {**ETAG_HEADER, **LOCATION_HEADER, **REPLAYED_HEADER}}
    changed = {**one, "description": "The document as it is now"}
    answers: dict[Operation, dict[int | str, dict[str, Any]]] = {
        Operation.LIST: {200: {"model": models.page, "description": "A page", "headers": LINK_HEADER}},
        Operation.GET: {
            200: {**one, "description": "The document"},
            304: {"description": "The client has this revision", "headers": ETAG_HEADER},
        },
        Operation.CREATE: {200: {**one, "description": VALIDATED, "headers": {}}, 201: once},
        Operation.BATCH: {
            200: {
                "model": models.results,
                "description": "What became of each operation, in order",
                "headers": REPLAYED_HEADER,
            }
        },
        Operation.REPLACE: {200: changed, 201: created},
        Operation.PATCH: {200: changed},
        Operation.DELETE: {204: {"description": "Deleted"}},
        Operation.FACETS: {200: {"model": FacetCounts, "description": "Counts per value"}},
        Operation.SCHEMA: {
            200: {"model": ResourceDescription, "description": "The resource", "headers": ETAG_HEADER},
            304: {"description": "The client has this description", "headers": ETAG_HEADER},
        },
        Operation.HISTORY: {200: {"model": HistoryPage, "description": "Its revisions", "headers": LINK_HEADER}},
        Operation.RESTORE: {200: changed},
        Operation.REVERT: {200: changed},
    }
    return answers[operation]


def _headers(operation: Operation, *, demand: bool) -> list[dict[str, Any]]:
    tags = {"type": "string", "pattern": r'^(?:\*|"[0-9a-f]{1,64}")$'}

    def header(name: str, description: str, schema: dict[str, Any], *, required: bool = False) -> dict[str, Any]:
        return {"name": name, "in": "header", "required": required, "description": description, "schema": schema}

    if operation is Operation.LIST:
        return [header("Prefer", "`count=exact` or `count=estimated` adds `total` (RFC 7240).", {"type": "string"})]
    none_match = header("If-None-Match", "ETags the document must not have, or `*`.", tags)
    if operation in (Operation.CREATE, Operation.BATCH):
        return [IDEMPOTENCY_KEY]
    if operation in (Operation.FACETS, Operation.HISTORY):
        return []
    required = demand and operation not in READS
    return [header("If-Match", "ETags of the revision that is meant, or `*`.", tags, required=required), none_match]


@cache
@cache
def _page_model(name: str, read: Documented) -> Documented:
    # No defaults: what is not there is not "" or 0 but unknown.
    def optional(kind: type[Any]) -> Any:
        return (kind, Field(default_factory=kind))

    return create_model(
        name,
        __module__=read.__module__,
        items=(list[read], ...),  # type: ignore[valid-type]
        next_page_token=optional(str),
        etags=optional(list[str]),
        watch_token=optional(str),
        total=optional(int),
        unreadable=optional(list[UnreadableItem]),
    )
