"""A card as HTML that may be shown to anybody: no HTML of the author's, no scripts, nothing loaded from elsewhere."""

import asyncio
import re
from concurrent.futures import ThreadPoolExecutor
from functools import cache, lru_cache
from html import escape
from typing import Any

from regesta.errors import Unavailable, Unsupported
from regesta_models.front_matter import read_front_matter

SECONDS = 10.0
# Cards that are made to be slow wait for each other, and nothing else for them.
_ONE_AT_A_TIME = ThreadPoolExecutor(1, "regesta-cards")

# Of a browser that shows a card in any form, whoever wrote it.
SAFE = {
    "Content-Security-Policy": (
        "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; "
        "frame-ancestors 'none'; sandbox"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
}

# With a scheme that only opens a page or a letter, or with none: no colon in the first part.
_LINK = re.compile(r"(?:https?://|mailto:|[^:/?#]*(?:[/?#]|\Z))", re.IGNORECASE)
_STYLE = (
    "body{font:16px/1.5 sans-serif;max-width:50rem;margin:2rem auto;padding:0 1rem}table{border-collapse:collapse}"
    "td,th{border:1px solid #ccc;padding:.2rem .6rem}pre{overflow:auto;background:#f4f4f4;padding:.6rem}"
)


async def page_of(text: str) -> str:
    """A card as a page, made beside the event loop: a long one takes a while. Raises Unavailable, Unsupported."""
    try:
        async with asyncio.timeout(SECONDS):
            return await asyncio.get_running_loop().run_in_executor(_ONE_AT_A_TIME, rendered, text)
    except TimeoutError:
        raise Unavailable("the card could not be rendered in time") from None


@lru_cache(maxsize=16)
def rendered(text: str) -> str:
    """A whole page. Raises Unsupported without markdown-it-py."""
    card = read_front_matter(text)
    body = _renderer().render(card.markdown)
    rows = "".join(
        f"<tr><th>{escape(key)}</th><td>{escape(_shown(value))}</td></tr>" for key, value in card.values.items()
    )
    table = f"<table>{rows}</table>\n" if rows else ""
    return (
        '<!doctype html>\n<html><head><meta charset="utf-8"><title>Card</title>'
        f"<style>{_STYLE}</style></head>\n<body>\n{table}{body}</body></html>\n"
    )


def _shown(value: Any) -> str:
    if isinstance(value, list) and all(isinstance(item, str) for item in value):
        return ", ".join(value)
    return value if isinstance(value, str) else repr(value)


@cache
def _renderer() -> Any:
    try:
        from markdown_it import MarkdownIt
    except ImportError:
        raise Unsupported("cards need markdown-it-py: pip install 'regesta[models]'", code="MISSING_EXTRA") from None
    # "js-default" escapes HTML; the preset of the same name as the specification would let it through.
    renderer = MarkdownIt("js-default", {"html": False, "linkify": False, "maxNesting": 20})
    renderer.validateLink = lambda url: bool(_LINK.match(url.strip()))  # type: ignore[method-assign]
    return renderer
