"""Everything that talks to MongoDB: the stores, and what differs between the drivers."""

from ._batches import Batches
from ._bson import STANDARD, exactly, is_whole, legible, sendable, tolerant
from ._changes import Changes, causal_session, cluster_time, committed, keep_images, open_changes
from ._clients import PerClient
from ._clock import now
from ._driver import (
    TRANSACTION_TOO_LARGE,
    Atomicity,
    as_problem,
    atomicity_of,
    collection_of,
    delete_each,
    durable,
    in_transaction,
    known_atomicity,
    lock_of,
    ping,
    unavailable,
    update_each,
)
from ._durability import acknowledged, confirmed, election_of
from ._indexes import index_conflict, is_index_conflict, make_indexes
from ._local import LocalServer
from ._memory import memory_client
from ._open import Store, StoreKind, open_store
from ._rows import Documents, Rows, aggregated_rows, read_rows, row_groups

__all__ = [
    "STANDARD",
    "TRANSACTION_TOO_LARGE",
    "Atomicity",
    "Batches",
    "Changes",
    "Documents",
    "LocalServer",
    "PerClient",
    "Rows",
    "Store",
    "StoreKind",
    "acknowledged",
    "aggregated_rows",
    "as_problem",
    "atomicity_of",
    "causal_session",
    "cluster_time",
    "collection_of",
    "committed",
    "confirmed",
    "delete_each",
    "durable",
    "election_of",
    "exactly",
    "in_transaction",
    "index_conflict",
    "is_index_conflict",
    "is_whole",
    "keep_images",
    "known_atomicity",
    "legible",
    "lock_of",
    "make_indexes",
    "memory_client",
    "now",
    "open_changes",
    "open_store",
    "ping",
    "read_rows",
    "row_groups",
    "sendable",
    "tolerant",
    "unavailable",
    "update_each",
]
