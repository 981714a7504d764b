"""A document as it was, from its changes: what is kept of them, and what comes of it."""

import asyncio
import copy
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import orjson
from hypothesis import given
from hypothesis import strategies as st

from regesta.change import Action, Actor, AuditEvent
from regesta.operations.folding import Chain
from regesta.operations.patches import changes_between

VALUE = st.recursive(
    st.none() | st.integers(0, 3) | st.sampled_from(["", "x", "/"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("ab/~"), inner, max_size=3),
    max_leaves=6,
)
DOCUMENTS = st.lists(
    st.dictionaries(st.sampled_from(["a", "b", "c/d", "~"]), VALUE, max_size=4), min_size=1, max_size=6
)


def events_of(documents: list[dict[str, Any]]) -> list[AuditEvent]:
    """The event of each document, which the one before it became."""
    found, before, revision = [], None, None
    for number, after in enumerate(documents):
        changes = tuple(changes_between(before, copy.deepcopy(after)))
        found.append(
            AuditEvent(
                id=uuid4(),
                time=datetime.now(UTC),
                action=Action.UPDATE if number else Action.CREATE,
                resource="books",
                key="1",
                actor=Actor(),
                request_id="",
                scope={},
                revision_before=revision,
                revision_after=str(number),
                changes=changes,
            )
        )
        before, revision = after, str(number)
    return found


def chain_of(documents: list[dict[str, Any]]) -> Chain:
    *older, last = events_of(documents)
    chain = Chain(last)
    for event in reversed(older):
        chain.add(event)
    return chain


@given(DOCUMENTS)
def test_the_last_document_comes_out(documents: list[dict[str, Any]]) -> None:
    found = asyncio.run(chain_of(documents).folded())
    options = orjson.OPT_SORT_KEYS
    assert orjson.dumps(found, option=options) == orjson.dumps(documents[-1], option=options)


def test_a_long_history_of_a_large_text_takes_the_memory_of_one() -> None:
    documents = [{"name": "a", "text": str(number) * 1000, "tags": [number]} for number in range(50)]

    chain = chain_of(documents)

    assert sum(len(orjson.dumps(changes)) for changes in chain._events) < 10_000
    assert asyncio.run(chain.folded()) == documents[-1]
