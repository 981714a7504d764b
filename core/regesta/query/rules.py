"""Compiles what a resource lets clients ask for, and reads query strings by it."""

from collections.abc import Iterable, Mapping
from hashlib import blake2b
from typing import Any

import bson

from regesta.declarations import Operation
from regesta.errors import DeclarationError, Invalid, Issue
from regesta.resource import Resource
from regesta.store import STANDARD

from .conditions import Condition, conditions, mongo_filter
from .deleted import PARAMETER as SHOW_DELETED
from .deleted import deleted_parameter, live_filter
from .expansion import expand_parameter
from .expressions import filter_parameter
from .facets import PARAMETERS as FACET_PARAMETERS
from .facets import USUAL, FacetQuery, countable, facet_parameters
from .fields import Catalogue, QueryField, visible
from .indexes import Serving, bound_paths, described, warn
from .keyed import path_served
from .listing import (
    MAX_SORT_KEYS,
    after_parameter,
    direction,
    fields_parameter,
    include_parameter,
    orders_parameter,
    page_size_parameter,
    page_token_parameter,
    sort_parameter,
    total,
)
from .paging import and_filters
from .parameters import Parameter, openapi_parameters, parse_parameters
from .queries import Query, WatchQuery
from .search import PARAMETER as SEARCH
from .search import search_parameter, searchable
from .values import Operator

# Parameters of the list itself, now or by the contract: no field can be compared by such a name.
RESERVED = frozenset({"after", "expand", "fields", "filter", "include", "page_size", "page_token", "sort"})


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
        self.text = searchable(catalogue)
        self.live = live_filter(resource)
        self._reserved = RESERVED | ({SEARCH} if self.text else set()) | ({SHOW_DELETED} if self.live else set())
        self._serving = Serving(resource.document, bound_paths(resource)) if resource.indexed_only else None
        listed, self._sorts_listed = self._filters(resource, catalogue), self._sorts(resource, catalogue)
        serving = self._serving
        self.filters = [field for field in listed if serving is None or serving.finds(path_served(field))]
        self._conditions: dict[str, Condition] = {}
        compared: dict[str, Parameter] = {}
        for name, parameter, condition in conditions(self.filters):
            compared[name] = parameter
            self._conditions[name] = condition
        shown = visible(resource)
        self.fields_parameter = fields_parameter(shown)
        self.field_names = tuple(shown)
        self._comparing = {**compared, **self._filtering(catalogue)}
        self._refused = self._refusals([field for field in listed if field not in self.filters])
        sort = self._sort_parameter()
        self._parameters = {
            **self._comparing,
            **({"sort": sort} if sort else {}),
            "fields": self.fields_parameter,
            "page_size": page_size_parameter(resource.page_size, resource.max_page_size),
            "page_token": page_token_parameter(),
            "include": include_parameter(_includes(resource)),
        }
        self.facets = countable(self.filters, shown)
        counting = {name: found for name, found in self._comparing.items() if name not in FACET_PARAMETERS}
        self._facet_parameters = {**facet_parameters(self.facets), **counting}
        self.expandable: tuple[str, ...] = ()
        self.watch_parameters = {"after": after_parameter()} if Operation.WATCH in resource.operations else {}
        self._watched = {
            name: known for name, known in self._parameters.items() if name not in _PAGES
        } | self.watch_parameters
        self._page_size = resource.page_size
        self._sort = self._default_sort(resource, catalogue)
        key = self._always(resource, catalogue)[-1:]
        self.default_sort = resource.default_sort or ",".join(field.wire for field in key)
        self._binding = self._bound(self.live, self._sort)
        self._warn(listed)

    def parse(self, query_string: bytes) -> Query:
        """Read the query string of a list.

        Raises Malformed (400) where it cannot be read, Invalid (422) with everything that is wrong otherwise.
        """
        if not query_string:
            # A dict of its own: whoever adds a scope to it must not add it to the requests that follow.
            return Query(
                {**self.live}, self._sort, None, self._page_size, None, include_etag=False, binding=self._binding
            )
        values = parse_parameters(query_string, self._with_refusals(self._parameters))
        sort = values.get("sort", self._sort)
        matching = self._matching(values)
        included = values.get("include", ())
        if values.get(SHOW_DELETED):
            # Among the deleted, a key may be there many times.
            sort = total(list(sort), {"_id"})
        return Query(
            filter=matching,
            sort=sort,
            fields=values.get("fields"),
            page_size=values.get("page_size", self._page_size),
            page_token=values.get("page_token"),
            include_etag="etag" in included,
            include_watch="watch" in included,
            binding=self._bound(matching, sort) if matching != self.live or sort != self._sort else self._binding,
            searches=SEARCH in values and self.text is not None,
            expand=values.get("expand"),
        )

    def parse_facets(self, query_string: bytes) -> FacetQuery:
        """Read the query string of facets. Raises Malformed, Invalid."""
        values = parse_parameters(query_string, self._with_refusals(self._facet_parameters))
        if "by" not in values:
            raise Invalid.of([Issue(("query", "by"), f"is required: {described(self.facets)}", "missing")])
        searches = SEARCH in values and self.text is not None
        # A field may have the name of such a parameter, which then means the parameter.
        by, limit = values.pop("by"), values.pop("limit", USUAL)
        return FacetQuery(self._matching(values), searches, by, limit)

    def offer_expand(self, names: Iterable[str]) -> None:
        """Let lists follow these references: known only once all resources are."""
        self.expandable = tuple(names)
        if self.expandable:
            self._parameters["expand"] = expand_parameter(self.expandable)

    @property
    def get_parameters(self) -> dict[str, Parameter]:
        """The parameters of reading one document."""
        return {name: found for name, found in self._parameters.items() if name in ("fields", "expand")}

    def parse_watch(self, query_string: bytes, *, collection: bool) -> WatchQuery:
        """Read the query string of a watch of the collection or of one document; raises as `parse` does."""
        one = {"fields": self.fields_parameter, **self.watch_parameters}
        values = parse_parameters(query_string, self._watched if collection else one)
        return WatchQuery(self._matching(values), values.get("fields"), values.get("after"))

    def openapi_parameters(self) -> list[dict[str, Any]]:
        """OpenAPI 3.1 parameter objects for all parameters of the list."""
        return openapi_parameters(self._parameters)

    def openapi_facet_parameters(self) -> list[dict[str, Any]]:
        """OpenAPI 3.1 parameter objects for all parameters of facets."""
        by, *others = openapi_parameters(self._facet_parameters)
        return [by | {"required": True}, *others]

    def operators(self) -> dict[str, dict[str, Any]]:
        """Each field that can be filtered by: the operators that compare it, and the schema of its values."""
        return {
            field.wire: {
                "operators": [
                    operator
                    for operator in field.kind.operators
                    if (field.wire if operator is Operator.EQ else f"{field.wire}__{operator}") in self._conditions
                ],
                "schema": dict(field.kind.schema),
            }
            for field in self.filters
            if field.kind is not None
        }

    def _matching(self, values: Mapping[str, Any]) -> dict[str, Any]:
        meant = self._conditions
        compared = mongo_filter((meant[name], value) for name, value in values.items() if name in meant)
        searched = values.get(SEARCH, {}) if self.text else {}
        matching = and_filters(compared, values.get("filter", {}), searched)
        if self._serving and matching and not self._serving.serves(matching):
            where = "filter" if "filter" in values else next(name for name in values if name in meant)
            said = (
                "is served by no index by itself: compare one of "
                f"{described(field.wire for field in self.filters)} by =, <, <=, >, >=, `in` or a prefix, "
                "in each branch of an OR"
            )
            raise Invalid.of([Issue(("query", where), said, "not_indexed")])
        return matching if values.get(SHOW_DELETED) else and_filters(matching, self.live)

    def _filtering(self, catalogue: Catalogue) -> dict[str, Parameter]:
        found: dict[str, Parameter] = {}
        if any(field.is_comparable for field in self.filters):
            can = f"; it can by {', '.join(field.wire for field in self.filters)}" if self._serving else ""
            found["filter"] = filter_parameter(self.filters, can)
        if self.live:
            found[SHOW_DELETED] = deleted_parameter()
        if self.text:
            fields = (catalogue.at(path) for path in self.text.paths)
            found[SEARCH] = search_parameter(described(field.wire for field in fields if field))
        return found

    def _refusals(self, unserved: Iterable[QueryField]) -> dict[str, Parameter]:
        """Parameters that say why a field cannot be filtered by."""
        said = f"no index serves it; there are {described(field.wire for field in self.filters)}"

        def read(_: str) -> Any:
            raise ValueError(said)

        return {name: Parameter(read, {}) for name, _, _ in conditions(unserved) if name not in self._comparing}

    def _with_refusals(self, parameters: dict[str, Parameter]) -> dict[str, Parameter]:
        return self._refused | parameters if self._refused else parameters

    def _sort_parameter(self) -> Parameter | None:
        self.sorts = {field.wire: field.stored for field in self._sorts_listed}
        if self._serving is None:
            return sort_parameter(self.sorts, self._unique) if self.sorts else None
        wires = {stored: wire for wire, stored in self.sorts.items()}
        orders: dict[str, tuple[tuple[str, int], ...]] = {}
        for keys in self._serving.orders():
            sort = total(list(keys), self._unique)
            if len(keys) <= MAX_SORT_KEYS and wires.keys() >= dict(keys).keys() and self._serving.serves_order(sort):
                orders[",".join(f"{'-' if way < 0 else ''}{wires[path]}" for path, way in keys)] = sort
        self.sorts = {wire: stored for wire, stored in self.sorts.items() if wire in orders}
        return orders_parameter(orders) if orders else None

    def _warn(self, filters: Iterable[QueryField]) -> None:
        if self._serving is None:
            return
        refused = [("filter", field.wire) for field in filters if field not in self.filters]
        refused += [("sort", field.wire) for field in self._sorts_listed if field.wire not in self.sorts]
        warn(self._said, refused, served=self._serving.serves_order(self._sort))

    def _bound(self, filter: dict[str, Any], sort: tuple[tuple[str, int], ...]) -> bytes:
        asked = bson.encode({"r": self._name, "f": filter, "s": sort}, codec_options=STANDARD)
        return blake2b(asked, digest_size=16).digest()

    def _filters(self, resource: Resource[Any], catalogue: Catalogue) -> list[QueryField]:
        if resource.filters is None:
            known = _distinct([*self._always(resource, catalogue), *(field for field, _ in catalogue.indexed())])
            return [field for field in known if field.wire not in self._reserved]
        listed = [catalogue.field(name) for name in resource.filters]
        for field in listed:
            if not field.is_comparable:
                raise DeclarationError(
                    f"{self._said}: {field.wire!r} cannot be filtered: no text stands for its values"
                )
            if field.wire in self._reserved:
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
# What means nothing in a watch, where text cannot be searched either.
_PAGES = frozenset({"sort", "page_size", "page_token", "include", SEARCH})


def _includes(resource: Resource[Any]) -> dict[str, str]:
    offered = {"etag": "each item with its ETag."}
    if Operation.WATCH in resource.operations:
        offered["watch"] = "the page with a watch_token, which leads a watch on from this page."
    return offered


def _distinct(fields: Iterable[QueryField]) -> list[QueryField]:
    return list({field.wire: field for field in fields}.values())
