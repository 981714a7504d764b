"""The whole way of a read and of a write, free of HTTP."""

from regesta.operations.deadlines import bounded
from regesta.operations.etags import NO_CONDITION, Precondition, etag_of
from regesta.operations.facets import Facet, facets
from regesta.operations.patches import JsonPatch, MergePatch, Patch
from regesta.operations.reads import Count, Page, Stored
from regesta.operations.registry import Registry
from regesta.operations.unit import Unit
from regesta.operations.writes import Operations, Written

__all__ = [
    "NO_CONDITION",
    "Count",
    "Facet",
    "JsonPatch",
    "MergePatch",
    "Operations",
    "Page",
    "Patch",
    "Precondition",
    "Registry",
    "Stored",
    "Unit",
    "Written",
    "bounded",
    "etag_of",
    "facets",
]
