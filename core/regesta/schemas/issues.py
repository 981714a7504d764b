"""What is wrong with a body, in a list that stays short however much is wrong."""

import logging
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from itertools import islice

from pydantic import ValidationError
from pydantic_core import SchemaError

from regesta.errors import Invalid, Issue, Location
from regesta.schemas.exact import BROKEN

# A body may hold faults without number: of more than these, the last place is taken by how many are left out.
MAX_ISSUES = 100
# Pydantic makes a dict of each error before one can be read: of more, only their number is told.
MAX_ERRORS = 50_000
logger = logging.getLogger("regesta.schemas")


@contextmanager
def validation() -> Iterator[None]:
    """Raises Invalid with every issue where a model refuses a body, or one of its validators breaks over it."""
    try:
        yield
    except ValidationError as error:
        raise Invalid.of(issues_of(error)) from None
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


def shortened(issues: Iterable[Issue], count: int, loc: Location = ("body",)) -> list[Issue]:
    """The first of so many issues, and how many more there are."""
    if count <= MAX_ISSUES:
        return list(issues)
    more = f"has at least {count - MAX_ISSUES + 1} more errors, which are not listed"
    return [*islice(issues, MAX_ISSUES - 1), Issue(loc, more, "too_many_errors")]
