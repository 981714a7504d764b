"""Everything that Regesta raises, in one tree.

RegestaError
├── ProblemError            answered as application/problem+json (RFC 9457)
│   ├── Malformed           400  cannot be read
│   ├── Unauthenticated     401
│   ├── Forbidden           403
│   ├── NotFound            404  (also LookupError)
│   ├── MethodNotAllowed    405
│   ├── NotAcceptable       406
│   ├── Conflict            409
│   │   ├── Duplicate       409  a unique value is taken
│   │   └── Unreadable      409  a stored document cannot be shown
│   ├── Gone                410  the history that was asked for is not kept any more
│   ├── PreconditionFailed  412
│   ├── TooLarge            413
│   ├── UnsupportedMedia    415
│   ├── RangeNotSatisfiable 416
│   ├── Misdirected         421  the `Host` is none of ours
│   ├── Invalid             422  can be read, is not valid (also ValueError)
│   ├── PreconditionRequired 428
│   ├── Unsupported         501  this store cannot
│   └── Unavailable         503  with Retry-After
└── ConfigurationError      stops start-up
    ├── DeclarationError    a resource is declared wrongly (also TypeError)
    ├── PluginError         a plugin cannot be loaded; names it
    ├── MissingExtra        an optional package is missing; says which `pip install` (also ImportError)
    └── StoreInUse          another process owns the local store's directory
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import ClassVar

Location = tuple[str | int, ...]


@dataclass(frozen=True, slots=True)
class Issue:
    """One thing that is wrong with the input.

    `loc` starts with where it was found (`body`, `query`, `path`, `header`) and goes on with field
    names and list positions, as sent on the wire. `type` is a stable word for programs.
    """

    loc: Location
    message: str
    type: str = "value_error"

    @property
    def pointer(self) -> str:
        """The JSON Pointer (RFC 6901) into the body, or "" where the issue is not in the body."""
        if not self.loc or self.loc[0] != "body":
            return ""
        parts = (str(part).replace("~", "~0").replace("/", "~1") for part in self.loc[1:])
        return "".join(f"/{part}" for part in parts)


class RegestaError(Exception):
    """The root of all errors of Regesta."""


class ProblemError(RegestaError):
    """An error that is answered as problem+json; the class knows its status, code and title.

    `detail` is shown to the client: it never carries database text or secrets.
    """

    status: ClassVar[int] = 500
    default_code: ClassVar[str] = "INTERNAL"
    title: ClassVar[str] = "Internal error"

    def __init__(
        self,
        detail: str = "",
        *,
        code: str | None = None,
        issues: Iterable[Issue] = (),
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(detail or self.title)
        self.detail = detail
        self.code = code or self.default_code
        self.issues = tuple(issues)
        self.headers: dict[str, str] = dict(headers or {})


class Malformed(ProblemError):
    """400: the request cannot be read."""

    status = 400
    default_code = "MALFORMED"
    title = "The request cannot be read"


class Unauthenticated(ProblemError):
    """401: nobody is known to have sent this."""

    status = 401
    default_code = "UNAUTHENTICATED"
    title = "Not authenticated"


class Forbidden(ProblemError):
    """403: the caller may not do this."""

    status = 403
    default_code = "FORBIDDEN"
    title = "Not allowed"


class NotFound(ProblemError, LookupError):
    """404: there is no such document, or the caller may not know of it."""

    status = 404
    default_code = "NOT_FOUND"
    title = "Not found"


class MethodNotAllowed(ProblemError):
    """405: the resource does not offer this method here; `Allow` lists those it does."""

    status = 405
    default_code = "METHOD_NOT_ALLOWED"
    title = "Method not allowed"


class NotAcceptable(ProblemError):
    """406: no media type of `Accept` can be produced."""

    status = 406
    default_code = "NOT_ACCEPTABLE"
    title = "Not acceptable"


class Conflict(ProblemError):
    """409: the state of the resource does not allow it."""

    status = 409
    default_code = "CONFLICT"
    title = "Conflict"


class Duplicate(Conflict):
    """409: a value that must be unique is taken; `issues` names the fields."""

    default_code = "DUPLICATE"
    title = "Already exists"


class Unreadable(Conflict):
    """409: a stored document, written by another program, holds what JSON cannot show; replace or delete it."""

    default_code = "UNREADABLE"
    title = "Cannot be shown"


class Gone(ProblemError):
    """410: the history that was asked for is not known any more; of a watch: read again, then watch from there."""

    status = 410
    default_code = "HISTORY_GONE"
    title = "The history is gone"


class PreconditionFailed(ProblemError):
    """412: If-Match or If-None-Match does not hold any more."""

    status = 412
    default_code = "PRECONDITION_FAILED"
    title = "Precondition failed"


class TooLarge(ProblemError):
    """413: the body, or the document it would make, is too large."""

    status = 413
    default_code = "TOO_LARGE"
    title = "Too large"


class UnsupportedMedia(ProblemError):
    """415: the body's media type, charset or coding is not understood here."""

    status = 415
    default_code = "UNSUPPORTED_MEDIA_TYPE"
    title = "Unsupported media type"


class RangeNotSatisfiable(ProblemError):
    """416: the range that was asked for lies behind the end; `Content-Range` tells the size."""

    status = 416
    default_code = "RANGE_NOT_SATISFIABLE"
    title = "The range cannot be satisfied"

    def __init__(self, size: int) -> None:
        super().__init__(f"there are {size} bytes", headers={"Content-Range": f"bytes */{size}"})


class Misdirected(ProblemError):
    """421: the request names a host that this service does not answer for."""

    status = 421
    default_code = "MISDIRECTED"
    title = "Misdirected request"


class Invalid(ProblemError, ValueError):
    """422: the request can be read and is not valid.

    Hooks raise it as `Invalid("year", "is too far in the future")`: a field of the document, dotted
    where nested, and what is wrong with it. `Invalid.of(issues)` carries several.
    """

    status = 422
    default_code = "INVALID"
    title = "The request is not valid"

    def __init__(self, field: str = "", message: str = "", *, type: str = "value_error") -> None:
        loc: Location = ("body", *field.split(".")) if field else ("body",)
        issues = [Issue(loc, message, type)] if message else []
        super().__init__(f"{field} {message}".strip(), issues=issues)

    @classmethod
    def of(cls, issues: Iterable[Issue], detail: str = "") -> "Invalid":
        """An error with these issues."""
        error = cls()
        error.issues = tuple(issues)
        error.detail = detail or _summary(error.issues)
        error.args = (error.detail,)
        return error


class PreconditionRequired(ProblemError):
    """428: the resource demands `If-Match`."""

    status = 428
    default_code = "PRECONDITION_REQUIRED"
    title = "Precondition required"


class Unsupported(ProblemError):
    """501: the store that is in use cannot do this."""

    status = 501
    default_code = "UNSUPPORTED"
    title = "Not supported by this store"


class Unavailable(ProblemError):
    """503: try again later. The outcome of a write that ran out of time is unknown."""

    status = 503
    default_code = "UNAVAILABLE"
    title = "Temporarily unavailable"

    def __init__(self, detail: str = "", *, code: str | None = None, retry_after: int = 1) -> None:
        super().__init__(detail, code=code, headers={"Retry-After": str(retry_after)})


class ConfigurationError(RegestaError):
    """Something is set up wrongly: start-up stops."""


class DeclarationError(ConfigurationError, TypeError):
    """A resource is declared wrongly; the message names it and says what to write instead."""


class PluginError(ConfigurationError):
    """A plugin cannot be loaded; the message names it."""


class MissingExtra(ConfigurationError, ImportError):
    """An optional package is missing; the message says which `pip install` to run."""


class StoreInUse(ConfigurationError):
    """Another process owns the directory of the local store."""


def _summary(issues: tuple[Issue, ...]) -> str:
    if not issues:
        return ""
    first = issues[0]
    where = ".".join(str(part) for part in first.loc)
    more = len(issues) - 1
    rest = f" (and {more} more issue{'s' if more > 1 else ''})" if more else ""
    return f"{where}: {first.message}{rest}"
