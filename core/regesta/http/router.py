"""`crud_router`: the generated routes of one or more resources, for any FastAPI application."""

import inspect
import re
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, TypedDict, Unpack

from beanie import Document
from fastapi import APIRouter, Body

from regesta.declarations import COLLECTIVE, KeyAlias, Operation, Parent, Reference, Schemas, WatchLimits
from regesta.errors import DeclarationError
from regesta.hooks import Hooks
from regesta.http.callers import with_dependencies
from regesta.http.description import offered
from regesta.http.documentation import Documentation, request_body
from regesta.http.endpoints import Endpoints
from regesta.http.headers import MERGE_PATCH
from regesta.http.history import REVERTS, RevertBody
from regesta.http.methods import METHODS, Method
from regesta.http.routes import ResourceRoute, ResourceRouter
from regesta.http.tags import Tag
from regesta.operations import Operations, Registry
from regesta.query import openapi_parameters
from regesta.resource import Resource


class ResourceOptions(TypedDict, total=False):
    """The fields of a Resource, as `crud_router` takes them."""

    name: str
    path: str
    singular: str
    key: str
    key_aliases: Sequence[KeyAlias]
    parent: Parent | None
    operations: Collection[Operation | str]
    custom_methods: Collection[str]
    operation_ids: Mapping[str, str]
    scope: Callable[..., Any] | None
    actor: Callable[..., Any] | None
    dependencies: Sequence[Any]
    operation_dependencies: Mapping[str, Sequence[Any]]
    schemas: Schemas
    references: Mapping[str, Resource[Any] | type[Document] | Reference]
    filters: Collection[str] | None
    sorts: Collection[str] | None
    indexed_only: bool
    scope_fields: Collection[str]
    shared: bool
    default_sort: str
    page_size: int
    max_page_size: int
    soft_delete: bool
    require_if_match: bool
    transactional: bool
    max_batch: int
    max_body_size: int
    max_body_values: int
    timeout: float
    watch: WatchLimits
    secret: str | None
    tags: Sequence[str]
    description: str


def crud_router(
    first: type[Document] | Resource[Any],
    /,
    *more: Resource[Any],
    hooks: Hooks | None = None,
    **options: Unpack[ResourceOptions],
) -> APIRouter:
    """The routes of a document, or of one or more resources.

    `crud_router(Book, key="isbn")` takes everything that Resource takes; `crud_router(models, versions)` takes
    resources that belong together, so that deleting a parent sees its children. It needs neither a server
    nor `init_beanie` until the first request, and may be mounted anywhere, also twice.

    Raises DeclarationError where a resource is declared wrongly.
    """
    if isinstance(first, Resource):
        if options:
            raise DeclarationError(f"options {sorted(options)} belong into the Resource that is given")
        resource = first
    else:
        resource = Resource(first, **options)
    return registry_router(Registry([resource, *more], hooks))


def registry_router(registry: Registry) -> APIRouter:
    """The routes of every resource of a registry."""
    router = ResourceRouter(route_class=ResourceRoute)
    for operations in registry:
        _add_routes(router, operations)
    return router


def _add_routes(router: APIRouter, operations: Operations[Any]) -> None:
    resource = operations.resource
    endpoints, documentation = Endpoints(operations), Documentation(operations)
    collection = collection_path(operations)
    document = f"{collection}/{{{resource.singular.replace('-', '_')}}}"
    heads = []
    here = offered(operations)
    found = {operation: method for operation, method in METHODS.items() if operation in here}
    suffixes = tuple(method.suffix for method in found.values() if method.suffix and not method.on_collection)
    suffixes += tuple(f":{name}" for name in resource.custom_methods)
    # Metrics and traces ask routes by their patterns alone, and `/books/{book}` matches `/books/1:history` as well.
    for operation, method in sorted(found.items(), key=lambda one: one[1].on_collection or not one[1].suffix):
        path = (collection if method.on_collection else document) + method.suffix
        route = _route(operations, operation, endpoints, documentation, path)
        route.allowed = _allowed(resource, method)
        route.literal, route.suffix = f"/{resource.path}", method.suffix
        # Requests are told apart by the path as it was sent: `/books/1%3Ahistory` is a key.
        route.suffixes_of_others = () if method.suffix or method.on_collection else suffixes
        router.routes.append(route)
        if method.verb == "GET":
            heads.append(_head(route))
    router.routes.extend(heads)


def collection_path(operations: Operations[Any]) -> str:
    """`/models/{model}/versions`."""
    above = ""
    if isinstance(operations.parent, Operations):
        singular = operations.parent.resource.singular.replace("-", "_")
        above = f"{collection_path(operations.parent)}/{{{singular}}}"
    return f"{above}/{operations.resource.path}"


def _route(
    operations: Operations[Any], operation: Operation, endpoints: Endpoints[Any], shown: Documentation, path: str
) -> ResourceRoute:
    resource = operations.resource
    name = resource.operation_id(operation)
    given = resource.operation_ids.get(operation)
    method = METHODS[operation]
    parameters = shown.parameters(operation) + _query_parameters(operations, operation, endpoints)
    extra: dict[str, Any] = {"parameters": parameters}
    if body := request_body(operation, resource):
        extra["requestBody"] = body
    success = {Operation.CREATE: 201, Operation.DELETE: 204}.get(operation, 200)
    return ResourceRoute(
        path,
        with_dependencies(getattr(endpoints, operation), resource, *_body_parameter(operation, shown)),
        methods=[method.verb],
        name=name,
        operation_id=given,
        generate_unique_id_function=_unique_id(name, path),
        summary=_summary(resource, operation),
        description=_description(resource, operation, endpoints),
        tags=list(resource.tags or [Tag(resource.name, resource.description.partition("\n\n")[0])]),
        status_code=success,
        responses=shown.responses(operation),
        dependencies=[*resource.dependencies, *_own_dependencies(resource, operation)],
        openapi_extra=extra,
    )


def _own_dependencies(resource: Resource[Any], operation: Operation) -> list[Any]:
    """Of this operation; of a batch also those of all that may be in it, of a revert those of what it does."""
    within: Collection[Operation] = ()
    if operation is Operation.BATCH:
        within = resource.in_batches
    if operation is Operation.REVERT:
        within = REVERTS
    return [found for one in (operation, *within) for found in resource.operation_dependencies.get(one, ())]


def _head(route: ResourceRoute) -> ResourceRoute:
    """The same route for HEAD, of which OpenAPI says nothing."""
    head = ResourceRoute(
        route.path,
        route.endpoint,
        methods=["HEAD"],
        name=f"{route.name}_head",
        dependencies=route.dependencies,
        include_in_schema=False,
    )
    head.allowed, head.literal, head.suffix = route.allowed, route.literal, route.suffix
    head.suffixes_of_others = route.suffixes_of_others
    return head


def _unique_id(name: str, path: str) -> Callable[[Any], str]:
    """`list_books`, or `library_list_books` under a prefix `/library`, so that two mounts never clash.

    The usual `/api/v1` says nothing and is left out.
    """

    def unique_id(route: Any) -> str:
        prefix = route.path_format.removesuffix(path)
        said = [part for part in re.split(r"[^A-Za-z0-9]+", prefix) if part and part not in ("api", "v1")]
        return "_".join([*said, name])

    return unique_id


def _body_parameter(operation: Operation, shown: Documentation) -> list[inspect.Parameter]:
    """The body as FastAPI documents it; the endpoint reads it itself."""
    model = {
        Operation.CREATE: shown.create,
        Operation.REPLACE: shown.replace,
        Operation.PATCH: shown.patch,
        Operation.BATCH: shown.batch,
        Operation.REVERT: RevertBody,
    }.get(operation)
    if model is None:
        return []
    media_type = MERGE_PATCH if operation is Operation.PATCH else "application/json"
    body = Body(default=None, media_type=media_type)
    return [inspect.Parameter("body", inspect.Parameter.POSITIONAL_OR_KEYWORD, default=body, annotation=model)]


def _query_parameters(
    operations: Operations[Any], operation: Operation, endpoints: Endpoints[Any]
) -> list[dict[str, Any]]:
    watching = operations.rules.watch_parameters
    if operation is Operation.LIST:
        return operations.rules.openapi_parameters() + openapi_parameters(watching)
    if operation is Operation.FACETS:
        return operations.rules.openapi_facet_parameters()
    known = {
        Operation.GET: endpoints.get_parameters | watching,
        Operation.CREATE: endpoints.create_parameters,
        Operation.PATCH: endpoints.patch_parameters,
        Operation.BATCH: endpoints.batch_parameters,
        Operation.REPLACE: endpoints.replace_parameters,
        Operation.DELETE: endpoints.delete_parameters,
        Operation.RESTORE: endpoints.patch_parameters,
        Operation.REVERT: endpoints.patch_parameters,
        Operation.HISTORY: endpoints.history_parameters,
    }.get(operation, {})
    return [parameter.openapi(name) for name, parameter in known.items()]


def _allowed(resource: Resource[Any], method: Method) -> frozenset[str]:
    """The verbs of this path."""
    verbs = {other.verb for found, other in METHODS.items() if found in resource.operations and other.same_path(method)}
    return frozenset(verbs | ({"HEAD"} if "GET" in verbs else set()))


def _summary(resource: Resource[Any], operation: Operation) -> str:
    noun = resource.name if operation in COLLECTIVE else resource.singular
    article = "" if operation in COLLECTIVE else "one "
    verb = {
        Operation.BATCH: "write many",
        Operation.FACETS: "count values of",
        Operation.SCHEMA: "describe",
        Operation.HISTORY: "tell the history of",
    }.get(operation, str(operation))
    return f"{verb.capitalize()} {article}{noun.replace('_', ' ').replace('-', ' ')}"


def _description(resource: Resource[Any], operation: Operation, endpoints: Endpoints[Any]) -> str:
    """What the endpoint's docstring says, which is for clients; of a list, what the documents are before it."""
    own = resource.description if operation is Operation.LIST else ""
    said = [own, getattr(endpoints, operation).__doc__]
    if operation is Operation.DELETE and Operation.RESTORE in offered(endpoints.operations):
        said.append("`:restore` brings it back.")
    return "\n\n".join(inspect.cleandoc(text) for text in said if text)
