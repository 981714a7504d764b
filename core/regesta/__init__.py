"""Regesta turns any Beanie document into a production-grade REST resource."""

from regesta.change import Access, Action, Actor, AuditEvent, Caller, Change
from regesta.errors import (
    ConfigurationError,
    Conflict,
    DeclarationError,
    Duplicate,
    Forbidden,
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
)
from regesta.hooks import Hooks
from regesta.hookspecs import hookimpl
from regesta.http import ProblemRoute, caller_of, crud_router
from regesta.markers import Immutable, ReadOnly, Secret, WriteOnly
from regesta.operations import Operations, Precondition, Registry, Stored, Unit, Written
from regesta.resource import READS, Operation, Parent, Resource, Schemas

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
    "Forbidden",
    "Hooks",
    "Immutable",
    "Invalid",
    "Issue",
    "Malformed",
    "MissingExtra",
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
    "WriteOnly",
    "Written",
    "caller_of",
    "crud_router",
    "hookimpl",
]
