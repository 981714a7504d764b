"""The routes of cards: as Markdown, rendered, or with the front matter read."""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request, Response

from regesta import Caller, Invalid, NotFound, Precondition, ProblemRoute, Registry, Stored, caller_of
from regesta.errors import (
    Conflict,
    Malformed,
    NotAcceptable,
    PreconditionFailed,
    TooLarge,
    Unavailable,
    Unsupported,
    UnsupportedMedia,
)
from regesta.http import (
    VALIDATE_ONLY_PARAMETER,
    Tag,
    client_has,
    no_parameters,
    only_validates,
    precondition_of,
    preferred,
    problem_answers,
    resolve_path_keys,
    text_body,
)
from regesta.schemas import dumps
from regesta_models.artifact_routes import ModelKey
from regesta_models.cards import CARD, MOST_CHARACTERS, Card, check_card
from regesta_models.front_matter import read_front_matter
from regesta_models.rendering import SAFE, page_of
from regesta_models.version_keys import LOCATED, AnyVersionKey, VersionKey

MARKDOWN, HTML, JSON = "text/markdown", "text/html", "application/json"
LARGEST_BODY = 4 * MOST_CHARACTERS  # bytes

_ETAG = {"ETag": {"description": "The entity tag of this form of this revision.", "schema": {"type": "string"}}}
_FORMS = {
    MARKDOWN: {"schema": {"type": "string"}},
    HTML: {"schema": {"type": "string"}},
    JSON: {
        "schema": {
            "title": "CardRead",
            "type": "object",
            "required": ["front_matter", "markdown", "updated_at", "updated_by"],
            "properties": {
                "front_matter": {"type": "object", "description": "The YAML at the card's head, as JSON."},
                "markdown": {"type": "string", "description": "What follows it."},
                "updated_at": {"type": "string", "format": "date-time"},
                "updated_by": {"type": "string"},
            },
        }
    },
}
# Of each form but Markdown, whose tag is the revision: a client may send any of them in If-Match.
_SUFFIXES: Mapping[str, str] = {MARKDOWN: "", HTML: "-html", JSON: "-json"}


class Cards:
    """Reads and writes the cards of one kind of document."""

    def __init__(self, registry: Registry, resource: str) -> None:
        self.operations = registry[resource]

    async def get(self, request: Request, caller: Caller, keys: Sequence[str]) -> Response:
        """The card in the form that the client prefers. Raises NotFound, NotAcceptable, PreconditionFailed."""
        no_parameters(request)
        form = preferred(request, *_FORMS)
        stored = await self.operations.find_where(caller, keys, {"name": CARD})
        if stored is None:
            raise NotFound("there is no card")
        tag = stored.etag + _SUFFIXES[form]
        headers = {"ETag": f'"{tag}"', "Vary": "Accept", **SAFE}
        if await client_has(request, stored, tag):
            return Response(status_code=304, headers=headers)
        body = await _in_form(stored, form)
        return Response(body, headers=headers, media_type=form)

    async def put(self, request: Request, caller: Caller, keys: Sequence[str]) -> Response:
        """Write the card. Raises Invalid with the line of what is wrong, PreconditionFailed."""
        dry = only_validates(request)
        condition = _any_form(precondition_of(request))
        text = await text_body(request, MARKDOWN, limit=LARGEST_BODY)
        check_card(text)
        document = self.operations.resource.document
        written = await self.operations.update(
            caller,
            (*keys, CARD),
            partial(_with_text, text),
            condition=condition,
            otherwise=lambda: document.model_construct(text=text),
            validate_only=dry,
        )
        headers = {"Vary": "Accept", **SAFE} if dry else {"ETag": f'"{written.etag}"', "Vary": "Accept", **SAFE}
        created = written.created and not dry
        return Response(text.encode(), 201 if created else 200, headers, media_type=MARKDOWN)

    async def delete(self, request: Request, caller: Caller, keys: Sequence[str]) -> Response:
        """Take the card away. Raises NotFound, PreconditionFailed."""
        dry = only_validates(request)
        condition = _any_form(precondition_of(request))
        await self.operations.delete(caller, (*keys, CARD), condition=condition, validate_only=dry)
        return Response(status_code=204)


async def _in_form(stored: Stored[Card], form: str) -> bytes:
    card = stored.document
    if form == MARKDOWN:
        return card.text.encode()
    if form == HTML:
        return (await page_of(card.text)).encode()
    read = read_front_matter(card.text)
    shown = {"front_matter": read.values, "markdown": read.markdown}
    wire = stored.codec.wire(stored.raw)
    return bytes(dumps({**shown, **{name: wire[name] for name in ("updated_at", "updated_by")}}))


def _with_text(text: str, _: Stored[Card], card: Card) -> Card:
    card.text = text
    return card


def _any_form(condition: Precondition) -> Precondition:
    return Precondition(
        frozenset(map(_revision, condition.if_match)), frozenset(map(_revision, condition.if_none_match))
    )


def _revision(tag: str) -> str:
    return next((tag.removesuffix(end) for end in _SUFFIXES.values() if end and tag.endswith(end)), tag)


def card_router(registry: Registry) -> APIRouter:
    """`/models/{model}/card` and `/models/{model}/versions/{version}/card`."""
    router = APIRouter(route_class=ProblemRoute)
    _add_model_card(router, Cards(registry, "model-cards"))
    _add_version_card(router, Cards(registry, "version-cards"))
    return router


def _add_model_card(router: APIRouter, cards: Cards) -> None:
    def asking(operation: str) -> Any:
        return Depends(caller_of(cards.operations, operation))

    async def get(request: Request, model: ModelKey, caller: Annotated[Caller, asking("get")]) -> Response:
        return await cards.get(request, caller, (model,))

    async def put(request: Request, model: ModelKey, caller: Annotated[Caller, asking("replace")]) -> Response:
        return await cards.put(request, caller, (model,))

    async def delete(request: Request, model: ModelKey, caller: Annotated[Caller, asking("delete")]) -> Response:
        return await cards.delete(request, caller, (model,))

    _add_routes(router, "/models/{model}/card", "model", (get, put, delete))


def _add_version_card(router: APIRouter, cards: Cards) -> None:
    def asking(operation: str) -> Any:
        return Depends(caller_of(cards.operations, operation))

    async def get(
        request: Request, model: ModelKey, version: AnyVersionKey, caller: Annotated[Caller, asking("get")]
    ) -> Response:
        keys = await resolve_path_keys(request, cards.operations, caller, (model, version))
        return await cards.get(request, caller, keys)

    async def put(
        request: Request, model: ModelKey, version: VersionKey, caller: Annotated[Caller, asking("replace")]
    ) -> Response:
        return await cards.put(request, caller, (model, version))

    async def delete(
        request: Request, model: ModelKey, version: VersionKey, caller: Annotated[Caller, asking("delete")]
    ) -> Response:
        return await cards.delete(request, caller, (model, version))

    _add_routes(router, "/models/{model}/versions/{version}/card", "version", (get, put, delete))


def _add_routes(router: APIRouter, path: str, of: str, endpoints: tuple[Any, Any, Any]) -> None:
    get, put, delete = endpoints
    tags: list[Any] = [Tag("cards", "What people should know of a model or a version, in Markdown.")]
    read = problem_answers(Malformed, NotFound, NotAcceptable, PreconditionFailed, Invalid, Unsupported, Unavailable)
    write = problem_answers(Malformed, NotFound, Conflict, PreconditionFailed, Invalid, Unavailable)
    body = problem_answers(TooLarge, UnsupportedMedia, Unsupported)
    markdown = {"description": "The card", "headers": _ETAG, "content": {MARKDOWN: _FORMS[MARKDOWN]}}
    found = _ETAG | (LOCATED if of == "version" else {})
    router.add_api_route(
        path,
        get,
        methods=["GET"],
        operation_id=f"get_{of}_card",
        summary=f"Get the card of a {of}",
        description="`Accept` chooses the Markdown as it was sent, a page of HTML, or JSON with the front matter.",
        tags=tags,
        response_class=Response,
        responses={
            200: {"description": "The card, in the form that `Accept` prefers", "headers": found, "content": _FORMS},
            304: {"description": "The client has this revision"},
            **read,
        },
    )
    router.add_api_route(path, get, methods=["HEAD"], operation_id=f"get_{of}_card_head", include_in_schema=False)
    router.add_api_route(
        path,
        put,
        methods=["PUT"],
        operation_id=f"put_{of}_card",
        summary=f"Write the card of a {of}",
        description="The body is Markdown, with YAML at its head or without. It replaces the card that is there.",
        tags=tags,
        response_class=Response,
        responses={200: markdown, 201: {**markdown, "description": "The card, which is new"}, **write, **body},
        openapi_extra={
            "requestBody": {"required": True, "content": {MARKDOWN: _FORMS[MARKDOWN]}},
            "parameters": [VALIDATE_ONLY_PARAMETER],
        },
    )
    router.add_api_route(
        path,
        delete,
        methods=["DELETE"],
        operation_id=f"delete_{of}_card",
        summary=f"Take the card of a {of} away",
        description=f"The {of} stays. `If-Match` takes the ETag of any form of the card.",
        tags=tags,
        status_code=204,
        response_class=Response,
        response_model=None,
        responses={204: {"description": "The card is gone"}, **write},
        openapi_extra={"parameters": [VALIDATE_ONLY_PARAMETER]},
    )
