"""Compiles what a resource lets clients ask for, and reads query strings by it."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any

import bson

from regesta.errors import DeclarationError
from regesta.resource import Operation, Resource

from .conditions import Condition, conditions, mongo_filter
from .expressions import filter_parameter
from .fields import Catalogue, QueryField, visible
from .listing import (
    after_parameter,
    direction,
    fields_parameter,
    include_parameter,
    page_size_parameter,
    page_token_parameter,
    sort_parameter,
    total,
)
from .paging import STANDARD, and_filters
from .parameters import Parameter, openapi_parameters, parse_parameters

# Parameters of the list itself, now or by the contract: no field can be compared by such a name.
RESERVED = frozenset({"after", "expand", "fields", "filter", "include", "page_size", "page_token", "sort"})


@dataclass(frozen=True, slots=True)
class Query:
    """What a list is asked for, checked and in terms of what is stored.

    filter: a MongoDB filter; values are data only.
    sort: stored paths with 1 or -1; the last one is `_id` or the key, so the order is total.
    fields: stored paths that `fields=` names (a computed field by its name), None for all. No path lies
        within another, so it makes a projection.
    page_size: at most the resource's maximum. page_token: as given, for PageTokens.
    include_etag, include_watch: whether `include=etag`, `include=watch` was given.
    binding: a digest of resource, filter and sort, to which page tokens are bound.
    """

    filter: dict[str, Any]
    sort: tuple[tuple[str, int], ...]
    fields: tuple[str, ...] | None
    page_size: int
    page_token: str | None
    include_etag: bool
    binding: bytes
    include_watch: bool = False


@dataclass(frozen=True, slots=True)
class WatchQuery:
    """What a watch is asked for: filter and fields as in a Query, and the token after which it begins."""

    filter: dict[str, Any]
    fields: tuple[str, ...] | None
    after: str | None


class QueryRules:
    """What clients may ask of one resource's list; compiled once, then only read.

    Raises DeclarationError where the resource lists a field that it does not have, that clients must
    not know, or that cannot be compared or sorted by.
    """

    def __init__(self, resource: Resource[Any]) -> None:
        self._said = f"resource {resource.name!r}"
        self._name = resource.name
        # The key is unique in what a list can show: an index on it alone serves the order.
        self._unique = {"_id", resource.document.model_fields[resource.key].alias or resource.key}
        catalogue = Catalogue(resource)
        filters = self._filters(resource, catalogue)
        sorts = self._sorts(resource, catalogue)
        self._conditions: dict[str, Condition] = {}
        parameters: dict[str, Parameter] = {}
        for name, parameter, condition in conditions(filters):
            parameters[name] = parameter
            self._conditions[name] = condition
        self.fields_parameter = fields_parameter(visible(resource))
        self._parameters = {
            **parameters,
            **({"filter": filter_parameter(filters)} if any(field.kind for field in filters) else {}),
            **({"sort": sort_parameter({field.wire: field.stored for field in sorts}, self._unique)} if sorts else {}),
            "fields": self.fields_parameter,
            "page_size": page_size_parameter(resource.page_size, resource.max_page_size),
            "page_token": page_token_parameter(),
            "include": include_parameter(_includes(resource)),
        }
        self.watch_parameters = {"after": after_parameter()} if Operation.WATCH in resource.operations else {}
        self._watched = {
            name: known for name, known in self._parameters.items() if name not in _PAGES
        } | self.watch_parameters
        self._page_size = resource.page_size
        self._sort = self._default_sort(resource, catalogue)
        self._binding = self._bound({}, self._sort)

    def parse(self, query_string: bytes) -> Query:
        """Read the query string of a list.

        Raises Malformed (400) where it cannot be read, Invalid (422) with everything that is wrong otherwise.
        """
        if not query_string:
            # A dict of its own: whoever adds a scope to it must not add it to the requests that follow.
            return Query({}, self._sort, None, self._page_size, None, include_etag=False, binding=self._binding)
        values = parse_parameters(query_string, self._parameters)
        sort = values.get("sort", self._sort)
        matching = self._matching(values)
        included = values.get("include", ())
        return Query(
            filter=matching,
            sort=sort,
            fields=values.get("fields"),
            page_size=values.get("page_size", self._page_size),
            page_token=values.get("page_token"),
            include_etag="etag" in included,
            include_watch="watch" in included,
            binding=self._bound(matching, sort) if matching or "sort" in values else self._binding,
        )

    def parse_watch(self, query_string: bytes, *, collection: bool) -> WatchQuery:
        """Read the query string of a watch of the collection or of one document; raises as `parse` does."""
        one = {"fields": self.fields_parameter, **self.watch_parameters}
        values = parse_parameters(query_string, self._watched if collection else one)
        return WatchQuery(self._matching(values), values.get("fields"), values.get("after"))

    def _matching(self, values: Mapping[str, Any]) -> dict[str, Any]:
        meant = self._conditions
        compared = mongo_filter((meant[name], value) for name, value in values.items() if name in meant)
        return and_filters(compared, values.get("filter", {}))

    def openapi_parameters(self) -> list[dict[str, Any]]:
        """OpenAPI 3.1 parameter objects for all parameters of the list."""
        return openapi_parameters(self._parameters)

    def _bound(self, filter: dict[str, Any], sort: tuple[tuple[str, int], ...]) -> bytes:
        asked = bson.encode({"r": self._name, "f": filter, "s": sort}, codec_options=STANDARD)
        return blake2b(asked, digest_size=16).digest()

    def _filters(self, resource: Resource[Any], catalogue: Catalogue) -> list[QueryField]:
        if resource.filters is None:
            known = _distinct([*self._always(resource, catalogue), *(field for field, _ in catalogue.indexed())])
            return [field for field in known if field.wire not in RESERVED]
        listed = [catalogue.field(name) for name in resource.filters]
        for field in listed:
            if field.kind is None:
                raise DeclarationError(
                    f"{self._said}: {field.wire!r} cannot be filtered: no text stands for its values"
                )
            if field.wire in RESERVED:
                raise DeclarationError(
                    f"{self._said}: {field.wire!r} cannot be filtered: the list has a parameter of this name;"
                    " give the field an alias"
                )
        return _distinct(listed)

    def _sorts(self, resource: Resource[Any], catalogue: Catalogue) -> list[QueryField]:
        if resource.sorts is None:
            indexed = (field for field, ordered in catalogue.indexed() if ordered)
            known = _distinct([*self._always(resource, catalogue), *indexed])
            return [field for field in known if field.scalar]
        return _distinct([self._sortable(catalogue.field(name)) for name in resource.sorts])

    def _always(self, resource: Resource[Any], catalogue: Catalogue) -> list[QueryField]:
        """The key and the id: they lead to one document anyway."""
        document = resource.document
        key = document.model_fields[resource.key].alias or resource.key
        found = (catalogue.at(path) for path in ("_id", key))
        return [field for field in found if field is not None]

    def _sortable(self, field: QueryField) -> QueryField:
        if not field.scalar:
            raise DeclarationError(
                f"{self._said}: documents cannot be sorted by {field.wire!r}: it is no single plain value"
            )
        return field

    def _default_sort(self, resource: Resource[Any], catalogue: Catalogue) -> tuple[tuple[str, int], ...]:
        if not resource.default_sort:
            key = resource.document.model_fields[resource.key].alias or resource.key
            return total([(key, 1)], self._unique)
        keys = [direction(name) for name in resource.default_sort.split(",")]
        paths = [(self._sortable(catalogue.field(name)).stored, direction) for name, direction in keys]
        if len(dict(paths)) < len(paths):
            raise DeclarationError(f"{self._said}: default_sort names a field twice")
        return total(paths, self._unique)


# What only pages have.
_PAGES = frozenset({"sort", "page_size", "page_token", "include"})


def _includes(resource: Resource[Any]) -> dict[str, str]:
    offered = {"etag": "each item with its ETag."}
    if Operation.WATCH in resource.operations:
        offered["watch"] = "the page with a watch_token, which leads a watch on from this page."
    return offered


def _distinct(fields: Iterable[QueryField]) -> list[QueryField]:
    return list({field.wire: field for field in fields}.values())
