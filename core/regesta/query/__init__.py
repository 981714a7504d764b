"""Query strings: from raw bytes to a checked, typed Query, and the tokens between its pages."""

from .annotations import linked_to
from .expansion import Expansion, expand_parameter
from .facets import FacetQuery
from .fields import QueryField
from .keyed import described_keys
from .keysets import keyset_filter, position
from .listing import page_size_parameter, page_token_parameter, size_parameter
from .paging import PageTokens, and_filters
from .parameters import Parameter, flag, openapi_parameters, parse_parameters
from .queries import Query, WatchQuery
from .rules import QueryRules
from .search import MAX_SEARCH, check_prefix

__all__ = [
    "MAX_SEARCH",
    "Expansion",
    "FacetQuery",
    "PageTokens",
    "Parameter",
    "Query",
    "QueryField",
    "QueryRules",
    "WatchQuery",
    "and_filters",
    "check_prefix",
    "described_keys",
    "expand_parameter",
    "flag",
    "keyset_filter",
    "linked_to",
    "openapi_parameters",
    "page_size_parameter",
    "page_token_parameter",
    "parse_parameters",
    "position",
    "size_parameter",
]
