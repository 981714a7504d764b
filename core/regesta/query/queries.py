"""What a query string asks for, checked and in terms of what is stored."""

from dataclasses import dataclass
from typing import Any

from .expansion import Expansion


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
    searches: whether `q` was given; the filter has its `$text` then.
    expand: the references to follow, by their wire names.
    """

    filter: dict[str, Any]
    sort: tuple[tuple[str, int], ...]
    fields: tuple[str, ...] | None
    page_size: int
    page_token: str | None
    include_etag: bool
    binding: bytes
    searches: bool = False
    expand: Expansion | None = None
    include_watch: bool = False


@dataclass(frozen=True, slots=True)
class WatchQuery:
    """What a watch is asked for: filter and fields as in a Query, and the token after which it begins."""

    filter: dict[str, Any]
    fields: tuple[str, ...] | None
    after: str | None
