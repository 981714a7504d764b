"""The routes below `/models/{model}/versions/{version}/artifacts`."""

import hashlib
from contextlib import aclosing
from enum import Enum
from typing import Annotated, Any
from urllib.parse import quote

from fastapi import APIRouter, Depends, Path, Request, Response
from pydantic import BaseModel, Field

from regesta import Caller, Invalid, NotFound, ProblemRoute, Registry, Unsupported, caller_of
from regesta.errors import (
    Conflict,
    Malformed,
    PreconditionFailed,
    RangeNotSatisfiable,
    TooLarge,
    Unavailable,
    UnsupportedMedia,
)
from regesta.http import (
    Streamed,
    Tag,
    byte_range,
    client_has,
    no_parameters,
    precondition_of,
    problem_answers,
    repr_digest,
    resolve_path_keys,
    sent_digests,
    whole_pieces,
)
from regesta.schemas import dumps
from regesta_models.artifacts import Artifacts, Opened
from regesta_models.constraints import ArtifactPath
from regesta_models.manifests import files_digest
from regesta_models.parts import Artifact
from regesta_models.version_keys import LOCATED, AnyVersionKey, VersionKey

BYTES = "application/octet-stream"
TAGS: list[str | Enum] = [Tag("artifacts", "The files of a version: bytes in, bytes out.")]
COLLECTION = "/models/{model}/versions/{version}/artifacts"
ONE = f"{COLLECTION}/{{path:path}}"

ModelKey = Annotated[str, Path(min_length=1, description="The name of the model.")]
PathKey = Annotated[ArtifactPath, Path(description="The path of the artifact; slashes may be sent as `%2F`.")]


def _header(description: str) -> dict[str, Any]:
    return {"description": description, "schema": {"type": "string"}}


def _parameter(name: str, description: str, pattern: str | None = None) -> dict[str, Any]:
    schema = {"type": "string"} if pattern is None else {"type": "string", "pattern": pattern}
    return {"name": name, "in": "header", "required": False, "description": description, "schema": schema}


TAG = r'^(?:\*|"[0-9a-f]{1,64}")$'


CONTENT = {BYTES: {"schema": {"type": "string", "format": "binary"}}}
ETAG = _header("The entity tag.")
HEADERS = {
    "ETag": _header("The SHA-256 as hexadecimal digits."),
    "Repr-Digest": _header("The SHA-256 of all bytes (RFC 9530)."),
    "Accept-Ranges": _header("`bytes`"),
    "Content-Disposition": _header("`attachment`, with the last part of the path."),
}
PART = {"Content-Range": _header("Which bytes these are.")}
CONDITIONS = [
    _parameter("If-Match", "Only where the entity tag is one of these, or `*`.", TAG),
    _parameter("If-None-Match", "Only where the entity tag is none of these, or nothing is there for `*`.", TAG),
]
DIGESTS = [
    _parameter(name, "The SHA-256 of the body, which is checked (RFC 9530).", "^sha-256=:[A-Za-z0-9+/]{43}=:$")
    for name in ("Content-Digest", "Repr-Digest")
]
RANGES = [
    _parameter("Range", "`bytes=0-99`, `bytes=100-`, `bytes=-100`; several ranges are answered with all bytes."),
    _parameter("If-Range", "An entity tag: the range is of this state, else all bytes are asked for."),
]


class KeptArtifact(Artifact):
    """A file of a version whose bytes are kept here."""


class ListedArtifact(Artifact):
    """One file of a version, and whether its bytes can be had here."""

    kept: bool = Field(description="Whether the bytes can be had here; else only where they came from.")


class ArtifactList(BaseModel):
    """All files of a version."""

    digest: str = Field(
        description="`sha256:` of the JSON (RFC 8785) of path, sha256 and size of all artifacts by path: the same "
        "for the same files."
    )
    size: int = Field(ge=0, description="Bytes of all artifacts.")
    artifacts: list[ListedArtifact]


def artifact_router(registry: Registry, artifacts: Artifacts) -> APIRouter:
    """The routes. `PUT` and `GET` pass bytes through in pieces."""
    versions = registry["versions"]
    router = APIRouter(route_class=ProblemRoute)

    def asking(operation: str) -> Any:
        return Depends(caller_of(versions, operation, slashes_after="/artifacts/"))

    @router.get(
        COLLECTION,
        operation_id="list_artifacts",
        summary="List the artifacts of a version",
        description=(
            "All files that the version tells of, one digest over them, and of each whether its bytes are kept here."
        ),
        tags=TAGS,
        response_model=ArtifactList,
        responses={
            200: {"description": "All artifacts, with a digest over them", "headers": {"ETag": ETAG, **LOCATED}},
            304: {"description": "The client has this list"},
            **problem_answers(Malformed, NotFound, PreconditionFailed, Invalid, Unavailable),
        },
        openapi_extra={"parameters": CONDITIONS},
    )
    async def list_artifacts(
        request: Request, model: ModelKey, version: AnyVersionKey, caller: Annotated[Caller, asking("list_artifacts")]
    ) -> Response:
        no_parameters(request)
        keys = await resolve_path_keys(request, versions, caller, (model, version))
        stored = await artifacts.version(caller, keys)
        found = stored.document
        kept = await artifacts.kept(found)
        digest = files_digest(found.artifacts)
        # What is kept may change without the files. Sizes count if they are not what the version says.
        sizes = {file.sha256: file.size for file in found.artifacts}
        others = {content: size for content, size in kept.items() if sizes.get(content, size) != size}
        etag = hashlib.sha256(f"{digest} {sorted(kept)}{others or ''}".encode()).hexdigest()
        if await client_has(request, stored, etag):
            return Response(status_code=304, headers={"ETag": f'"{etag}"'})
        files = sorted(found.artifacts, key=lambda file: file.path)
        shown = [
            {**file.model_dump(), "size": kept.get(file.sha256, file.size), "kept": file.sha256 in kept}
            for file in files
        ]
        body = {"digest": digest, "size": sum(file["size"] for file in shown), "artifacts": shown}
        return Response(dumps(body), media_type="application/json", headers={"ETag": f'"{etag}"'})

    @router.put(
        ONE,
        operation_id="put_artifact",
        summary="Upload an artifact of a pending version",
        description=(
            "The body is the bytes of the file, of any media type. `Content-Digest` and `Repr-Digest` are "
            "checked. The same path again replaces the file."
        ),
        tags=TAGS,
        response_model=KeptArtifact,
        responses={
            200: {"description": "The artifact was replaced", "headers": {"ETag": ETAG}},
            201: {"description": "The artifact is new", "model": KeptArtifact, "headers": {"ETag": ETAG}},
            **problem_answers(Malformed, NotFound, Conflict, PreconditionFailed, TooLarge, UnsupportedMedia),
            **problem_answers(Invalid, Unsupported, Unavailable),
        },
        openapi_extra={"parameters": [*CONDITIONS, *DIGESTS], "requestBody": {"content": CONTENT}},
    )
    async def put_artifact(
        request: Request,
        model: ModelKey,
        version: VersionKey,
        path: PathKey,
        caller: Annotated[Caller, asking("put_artifact")],
    ) -> Response:
        _check_upload(request, artifacts.settings.largest)
        expected, condition = sent_digests(request), precondition_of(request)
        async with aclosing(whole_pieces(request)) as pieces:
            entry, new = await artifacts.put(
                caller, (model, version), path, pieces, expected=expected, condition=condition
            )
        headers = {"ETag": f'"{entry.sha256}"'}
        return Response(dumps(entry.model_dump()), 201 if new else 200, headers, "application/json")

    @router.get(
        ONE,
        operation_id="get_artifact",
        summary="Download an artifact",
        description=(
            "All bytes, or the one range that `Range` asks for. 404 `BYTES_NOT_KEPT` where the version tells "
            "of the file and it is elsewhere."
        ),
        tags=TAGS,
        response_class=Response,
        responses={
            200: {"description": "All bytes", "content": CONTENT, "headers": HEADERS | LOCATED},
            206: {
                "description": "The part that was asked for",
                "content": CONTENT,
                "headers": HEADERS | PART | LOCATED,
            },
            304: {"description": "The client has these bytes"},
            **problem_answers(Malformed, NotFound, PreconditionFailed, RangeNotSatisfiable, Invalid, Unavailable),
        },
        openapi_extra={"parameters": [*CONDITIONS, *RANGES]},
    )
    async def get_artifact(
        request: Request,
        model: ModelKey,
        version: AnyVersionKey,
        path: PathKey,
        caller: Annotated[Caller, asking("get_artifact")],
    ) -> Response:
        no_parameters(request)
        keys = await resolve_path_keys(request, versions, caller, (model, version))
        return await _download(request, await artifacts.open(caller, keys, path))

    router.add_api_route(ONE, get_artifact, methods=["HEAD"], operation_id="get_artifact_head", include_in_schema=False)

    @router.delete(
        ONE,
        operation_id="delete_artifact",
        summary="Take an artifact out of a pending version",
        description="The version does not have the file any more. Its bytes go once no version has them.",
        tags=TAGS,
        status_code=204,
        response_model=None,
        responses={
            204: {"description": "The artifact is gone"},
            **problem_answers(Malformed, NotFound, Conflict, PreconditionFailed, Invalid, Unavailable),
        },
        openapi_extra={"parameters": CONDITIONS},
    )
    async def delete_artifact(
        request: Request,
        model: ModelKey,
        version: VersionKey,
        path: PathKey,
        caller: Annotated[Caller, asking("delete_artifact")],
    ) -> Response:
        no_parameters(request)
        await artifacts.delete(caller, (model, version), path, precondition_of(request))
        return Response(status_code=204)

    return router


def _check_upload(request: Request, largest: int) -> None:
    no_parameters(request)
    if any(coding.lower() != "identity" for coding in request.headers.getlist("content-encoding")):
        raise UnsupportedMedia("send the bytes without a Content-Encoding", headers={"Accept-Encoding": "identity"})
    if "content-range" in request.headers:
        raise Malformed("send the whole artifact: parts are not taken (RFC 9110, 14.5)", code="PARTIAL_PUT")
    announced = request.headers.get("content-length", "")
    if announced.isdecimal() and (len(announced) > len(str(largest)) or int(announced) > largest):
        raise TooLarge(f"an artifact may have at most {largest} bytes")


async def _download(request: Request, opened: Opened) -> Response:
    sha256, size = opened.blob.sha256, opened.blob.size
    name = quote(opened.artifact.path.rpartition("/")[2], safe="")
    headers = {
        "ETag": f'"{sha256}"',
        "Repr-Digest": repr_digest(sha256),
        "Accept-Ranges": "bytes",
        # Whatever the bytes are, no browser takes them for a page of ours.
        "Content-Disposition": f"attachment; filename*=UTF-8''{name}",
        "X-Content-Type-Options": "nosniff",
    }
    if await client_has(request, opened.version, sha256):
        return Response(status_code=304, headers=headers)
    part = byte_range(request, sha256, size)
    if part is not None:
        headers["Content-Range"] = f"bytes {part.start}-{part.stop - 1}/{size}"
    pieces = opened.read(part)
    begun = await opened.begin(pieces)
    return Streamed(
        begun, pieces.aclose, BYTES, headers, status=200 if part is None else 206, length=len(part or range(size))
    )
