"""Regesta turns any Beanie document into a production-grade REST resource."""

from regesta.change import Access, Action, Actor, AuditEvent, Caller, Change, HistoryRequest
from regesta.declarations import READS, KeyAlias, Operation, Parent, Reference, Schemas, WatchLimits
from regesta.errors import (
    ConfigurationError,
    Conflict,
    DeclarationError,
    Duplicate,
    Forbidden,
    Gone,
    Invalid,
    Issue,
    Malformed,
    MissingExtra,
    NotFound,
    PluginError,
    PreconditionFailed,
    ProblemError,
    RegestaError,
    StoreInUse,
    Unauthenticated,
    Unavailable,
    Unsupported,
)
from regesta.hooks import Hooks
from regesta.hookspecs import hookimpl
from regesta.http import ProblemRoute, caller_of, crud_router
from regesta.implementations import reads_when
from regesta.markers import Entries, Immutable, ReadOnly, Secret, WriteOnly
from regesta.names import Name
from regesta.operations import Operations, Precondition, Registry, Stored, Unit, Written
from regesta.resource import Resource
from regesta.watch import end_watches

__all__ = [
    "READS",
    "Access",
    "Action",
    "Actor",
    "AuditEvent",
    "Caller",
    "Change",
    "ConfigurationError",
    "Conflict",
    "DeclarationError",
    "Duplicate",
    "Entries",
    "Forbidden",
    "Gone",
    "HistoryRequest",
    "Hooks",
    "Immutable",
    "Invalid",
    "Issue",
    "KeyAlias",
    "Malformed",
    "MissingExtra",
    "Name",
    "NotFound",
    "Operation",
    "Operations",
    "Parent",
    "PluginError",
    "Precondition",
    "PreconditionFailed",
    "ProblemError",
    "ProblemRoute",
    "ReadOnly",
    "Reference",
    "RegestaError",
    "Registry",
    "Resource",
    "Schemas",
    "Secret",
    "StoreInUse",
    "Stored",
    "Unauthenticated",
    "Unavailable",
    "Unit",
    "Unsupported",
    "WatchLimits",
    "WriteOnly",
    "Written",
    "caller_of",
    "crud_router",
    "end_watches",
    "hookimpl",
    "reads_when",
]
