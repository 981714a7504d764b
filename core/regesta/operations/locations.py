"""Where issues are, for a body that was sent as a part of another one."""

from collections.abc import Callable
from dataclasses import replace
from typing import TypeVar

from regesta.errors import Invalid, Location, ProblemError

E = TypeVar("E", bound=ProblemError)


def relocated(error: E, place: Callable[[Location], Location]) -> E:
    """The same error, with `place` applied to the location of each of its issues.

    An operation says where an issue is as if its keys were in the path and its document was the body. Whoever took
    these from somewhere else, such as a line or a batch, says where they were sent.
    """
    issues = tuple(replace(issue, loc=place(issue.loc)) for issue in error.issues)
    if isinstance(error, Invalid) and error.detail == Invalid.of(error.issues).detail:
        error.detail = Invalid.of(issues).detail
    error.issues = issues
    return error
