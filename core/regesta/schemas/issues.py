"""What is wrong with a body, in a list that stays short however much is wrong."""

from collections.abc import Iterable
from itertools import islice

from pydantic import ValidationError

from regesta.errors import Issue, Location

# A body may hold faults without number: of more than these, the last place is taken by how many are left out.
MAX_ISSUES = 100
# Pydantic makes a dict of each error before one can be read: of more, only their number is told.
MAX_ERRORS = 50_000


def issues_of(error: ValidationError, prefix: Location = ("body",)) -> list[Issue]:
    """Pydantic's errors as issues, without the input they quote."""
    count = error.error_count()
    if count > MAX_ERRORS:
        return [Issue(prefix, f"has {count} errors, which are too many to list", "too_many_errors")]
    found = error.errors(include_url=False, include_context=False, include_input=False)
    issues = (Issue((*prefix, *one["loc"]), one["msg"].removeprefix("Value error, "), one["type"]) for one in found)
    return shortened(issues, count, prefix)


def shortened(issues: Iterable[Issue], count: int, loc: Location = ("body",)) -> list[Issue]:
    """The first of so many issues, and how many more there are."""
    if count <= MAX_ISSUES:
        return list(issues)
    more = f"has at least {count - MAX_ISSUES + 1} more errors, which are not listed"
    return [*islice(issues, MAX_ISSUES - 1), Issue(loc, more, "too_many_errors")]
