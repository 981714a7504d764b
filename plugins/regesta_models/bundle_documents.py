"""What the JSON documents of a bundle look like. Nothing is converted: `true` is no number, and NaN is no JSON."""

from typing import Annotated, Any, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from regesta.errors import Invalid, ProblemError
from regesta.schemas import issues_of, parse_json
from regesta_models.bundle_archive import BadBundle
from regesta_models.constraints import AliasName, Digest
from regesta_models.documents import MOST_ALIASES

M = TypeVar("M", bound=BaseModel)

TITLE = "org.opencontainers.image.title"
MODEL = "application/vnd.regesta.model.v1+json"
VERSION = "application/vnd.regesta.version.v1+json"
MOST_VALUES = 2_000_000  # in one document: numbers, texts, lists and objects
LARGEST_NUMBER = 2**31 - 1  # of a version: the next one must have room, and clients keep 32 bits


class _Read(BaseModel):
    model_config = ConfigDict(strict=True, extra="ignore")


class Descriptor(_Read):
    """How OCI names content."""

    mediaType: str  # noqa: N815 - OCI's names
    digest: Annotated[str, Field(pattern=r"\Asha256:[0-9a-f]{64}\z")]
    size: Annotated[int, Field(ge=0, lt=2**63)]
    annotations: dict[str, str] = {}

    @property
    def title(self) -> str | None:
        """The name of the file that the content is."""
        return self.annotations.get(TITLE)


class Index(_Read):
    """`index.json`."""

    schemaVersion: Literal[2]  # noqa: N815
    manifests: list[Descriptor]


class Manifest(_Read):
    """A model or a version."""

    schemaVersion: Literal[2]  # noqa: N815
    artifactType: Literal["application/vnd.regesta.model.v1+json", "application/vnd.regesta.version.v1+json"]  # noqa: N815
    config: Descriptor
    layers: list[Descriptor]


class ModelDocument(_Read):
    """The `config` of a model."""

    name: Annotated[str, Field(min_length=1)]
    model: dict[str, Any]


class File(_Read):
    """What a version says of one of its files."""

    path: str
    size: int
    sha256: str


class VersionDocument(_Read):
    """The `config` of a version."""

    model: str
    number: Annotated[int, Field(ge=1, le=LARGEST_NUMBER)]
    identity: Digest
    aliases: Annotated[list[AliasName], Field(max_length=MOST_ALIASES)]
    version: dict[str, Any]


class Files(_Read):
    """The files in the body of a version."""

    artifacts: list[File] = []


def read_document(kind: type[M], name: str, content: bytes) -> M:
    """The document in a member. Raises BadBundle, which says where in the member something is wrong."""
    try:
        value = parse_json(content, MOST_VALUES)
    except ProblemError as error:
        raise BadBundle(f"{name} is no JSON that a bundle may hold: {error.detail or error.title}") from error
    return checked(kind, name, value)


def checked(kind: type[M], name: str, value: Any) -> M:
    """A JSON value as what it should be. Raises BadBundle."""
    try:
        return kind.model_validate(value)
    except ValidationError as error:
        raise bad_member(name, Invalid.of(issues_of(error, prefix=()))) from error


def bad_member(name: str, error: ProblemError) -> BadBundle:
    """What is wrong in a member, with its name and where it is."""
    issues = [f"{'.'.join(map(str, issue.loc))}: {issue.message}".lstrip(": ") for issue in error.issues[:5]]
    return BadBundle(f"{name}: {'; '.join(issues) or error.detail or error.title}"[:2000])
