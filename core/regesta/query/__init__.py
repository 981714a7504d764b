"""Query strings: from raw bytes to a checked, typed Query, and the tokens between its pages."""

from .paging import PageTokens, and_filters, keyset_filter, position
from .parameters import Parameter, flag, openapi_parameters, parse_parameters
from .rules import Query, QueryRules, WatchQuery

__all__ = [
    "PageTokens",
    "Parameter",
    "Query",
    "QueryRules",
    "WatchQuery",
    "and_filters",
    "flag",
    "keyset_filter",
    "openapi_parameters",
    "parse_parameters",
    "position",
]
