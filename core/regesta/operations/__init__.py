"""The whole way of a read and of a write, free of HTTP."""

from regesta.operations.aliases import levels, resolve_keys
from regesta.operations.batches import Work, all_or_nothing, each_by_itself
from regesta.operations.creates import Written
from regesta.operations.deadlines import bounded
from regesta.operations.etags import NO_CONDITION, Precondition, etag_of
from regesta.operations.facets import Facet, facets
from regesta.operations.history import History
from regesta.operations.locations import relocated
from regesta.operations.pages import Count, Page, Stored
from regesta.operations.patches import JsonPatch, MergePatch, Patch
from regesta.operations.registry import Registry
from regesta.operations.turns import Turns
from regesta.operations.unit import Unit
from regesta.operations.vouching import stands
from regesta.operations.writes import Operations

__all__ = [
    "NO_CONDITION",
    "Count",
    "Facet",
    "History",
    "JsonPatch",
    "MergePatch",
    "Operations",
    "Page",
    "Patch",
    "Precondition",
    "Registry",
    "Stored",
    "Turns",
    "Unit",
    "Work",
    "Written",
    "all_or_nothing",
    "bounded",
    "each_by_itself",
    "etag_of",
    "facets",
    "levels",
    "relocated",
    "resolve_keys",
    "stands",
]
