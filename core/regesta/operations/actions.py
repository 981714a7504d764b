"""Beanie's own event actions (`@before_event`, `@after_event`), run through its registry."""

import inspect
from collections.abc import Iterable, Sequence

from beanie import Document
from beanie.odm.actions import ActionDirections, ActionRegistry, EventTypes

CREATED = (EventTypes.INSERT,)
REPLACED = (EventTypes.REPLACE, EventTypes.SAVE)
UPDATED = (EventTypes.UPDATE, EventTypes.SAVE, EventTypes.SAVE_CHANGES)
DELETED = (EventTypes.DELETE,)


async def run_before(document: Document, events: Iterable[EventTypes]) -> bool:
    """Run each "before" action of these events once; whether there were any."""
    return await _run(document, events, ActionDirections.BEFORE)


async def run_after(document: Document, events: Iterable[EventTypes]) -> bool:
    """Run each "after" action of these events once; whether there were any."""
    return await _run(document, events, ActionDirections.AFTER)


def has_after(document: type[Document], events: Sequence[EventTypes]) -> bool:
    """Whether anything would run after."""
    return any(ActionRegistry.get_action_list(document, event, ActionDirections.AFTER) for event in events)


def has_before(document: type[Document], events: Sequence[EventTypes]) -> bool:
    """Whether anything would run before."""
    return any(ActionRegistry.get_action_list(document, event, ActionDirections.BEFORE) for event in events)


def may_read(document: type[Document], events: Sequence[EventTypes]) -> bool:
    """Whether a "before" action can ask the database: whose drivers are asynchronous."""
    found = (ActionRegistry.get_action_list(document, event, ActionDirections.BEFORE) for event in events)
    return any(inspect.iscoroutinefunction(inspect.unwrap(action)) for actions in found for action in actions)


async def _run(document: Document, events: Iterable[EventTypes], direction: ActionDirections) -> bool:
    done: list[str] = []
    for event in events:
        names = [action.__name__ for action in ActionRegistry.get_action_list(type(document), event, direction)]
        if names:
            await ActionRegistry.run_actions(document, event, direction, exclude=list(done))
            done += names
    return bool(done)
