"""What is wrong with a body, in a list that stays short however much is wrong."""

import logging
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from itertools import islice

from pydantic import ValidationError
from pydantic_core import SchemaError

from regesta.errors import Invalid, Issue, Location
from regesta.schemas.exact import BROKEN
from regesta.suggestions import MAX_SUGGESTIONS, did_you_mean

NamesAt = Callable[[Location], Iterable[str]]

# A body may hold faults without number: of more than these, the last place is taken by how many are left out.
MAX_ISSUES = 100
# Pydantic makes a dict of each error before one can be read: of more, only their number is told.
MAX_ERRORS = 50_000
logger = logging.getLogger("regesta.schemas")


@contextmanager
def validation(names_at: NamesAt = lambda _: ()) -> Iterator[None]:
    """Raise Invalid with every issue if a model refuses a body, or if one of its validators breaks over it.

    `names_at` returns the names of the fields at a location; unknown fields are compared with them.
    """
    try:
        yield
    except ValidationError as error:
        raise Invalid.of(with_suggestions(issues_of(error), names_at)) from None
    except (*BROKEN, SchemaError) as error:  # the last where a validator of the whole asks for a default
        logger.warning("a validator could not handle what it was given", exc_info=True)
        issue = Issue(("body",), "holds a value that a validator of the model cannot handle", "validator_failed")
        raise Invalid.of([issue]) from error


def issues_of(error: ValidationError, prefix: Location = ("body",)) -> list[Issue]:
    """Pydantic's errors as issues, without the input they quote."""
    count = error.error_count()
    if count > MAX_ERRORS:
        return [Issue(prefix, f"has {count} errors, which are too many to list", "too_many_errors")]
    found = error.errors(include_url=False, include_context=False, include_input=False)
    issues = (Issue((*prefix, *one["loc"]), one["msg"].removeprefix("Value error, "), one["type"]) for one in found)
    return shortened(issues, count, prefix)


def with_suggestions(issues: Iterable[Issue], names_at: NamesAt) -> list[Issue]:
    """Return the issues; those of the first few unknown fields say which field was probably meant."""
    found, left = [], MAX_SUGGESTIONS
    for issue in issues:
        if issue.type == "extra_forbidden" and left:
            left -= 1
            said = did_you_mean(str(issue.loc[-1]), names_at(issue.loc[:-1]))
            found.append(replace(issue, message=issue.message + said))
        else:
            found.append(issue)
    return found


def shortened(issues: Iterable[Issue], count: int, loc: Location = ("body",)) -> list[Issue]:
    """The first of so many issues, and how many more there are."""
    if count <= MAX_ISSUES:
        return list(issues)
    more = f"has at least {count - MAX_ISSUES + 1} more errors, which are not listed"
    return [*islice(issues, MAX_ISSUES - 1), Issue(loc, more, "too_many_errors")]
