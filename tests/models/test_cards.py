"""Cards: written as Markdown, read in three forms, and safe to show."""

import asyncio
import builtins
from html.parser import HTMLParser
from typing import Any

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.models.application import Service, audited

from regesta import Invalid
from regesta_models import front_matter, rendering
from regesta_models.front_matter import read_front_matter
from regesta_models.rendering import rendered

MODEL, VERSION = "/models/resnet/card", "/models/resnet/versions/1/card"
MARKDOWN = {"Content-Type": "text/markdown; charset=utf-8"}
CARD = """---
license: apache-2.0
language:
- en
- no
datasets: [imagenet-1k]
base_model: timm/resnet50
published: 2024-01-31
model-index:
- name: resnet50
  results:
  - task: {type: image-classification}
    dataset: {name: ImageNet, type: imagenet-1k}
    metrics:
    - {type: accuracy, value: 0.81}
---
# ResNet *50*

| a | b |
|---|---|
| 1 | 2 |
"""


async def put(service: Service, text: str, path: str = MODEL, **headers: str) -> httpx.Response:
    return await service.client.put(path, content=text, headers={**MARKDOWN, **headers})


async def get(service: Service, accept: str, path: str = MODEL, **headers: str) -> httpx.Response:
    return await service.client.get(path, headers={"Accept": accept, **headers})


@pytest.mark.parametrize("path", [MODEL, VERSION])
async def test_a_card_is_written_read_and_taken_away(path: str, any_service: Service) -> None:
    service = any_service
    assert (await put(service, CARD, path)).status_code == 404
    await service.model()
    await service.version()
    assert (await get(service, "*/*", path)).status_code == 404
    new = await put(service, CARD, path, **{"X-Actor": "ann"})
    assert (new.status_code, new.text) == (201, CARD)
    read = await get(service, "*/*", path)
    assert (read.status_code, read.text, read.headers["etag"]) == (200, CARD, new.headers["etag"])
    assert read.headers["content-type"] == "text/markdown; charset=utf-8"
    again = await put(service, "# New", path)
    assert (again.status_code, (await get(service, "*/*", path)).text) == (200, "# New")
    assert (await service.client.delete(path)).status_code == 204
    assert (await service.client.delete(path)).status_code == 404
    trail = [event for event in await audited(service) if event["resource"].endswith("-cards")]
    assert [event["action"] for event in trail] == ["create", "update", "delete"]


@pytest.mark.parametrize(
    ("accept", "form"),
    [
        ("*/*", "text/markdown"),
        ("text/*", "text/markdown"),
        ("text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", "text/html"),
        ("application/json", "application/json"),
        ("text/html;q=0.4, application/json;q=0.5", "application/json"),
        ("text/html;q=0.5, application/json;q=0.5", "text/html"),
        ("text/markdown;q=0, */*", "text/html"),
        ("text/plain, text/html;q=0.1", "text/html"),
    ],
)
async def test_the_client_chooses_the_form(accept: str, form: str, memory_service: Service) -> None:
    await memory_service.model()
    await put(memory_service, CARD)
    answer = await get(memory_service, accept)
    assert answer.headers["content-type"].partition(";")[0] == form
    assert answer.headers["vary"] == "Accept"
    assert "default-src 'none'" in answer.headers["content-security-policy"]
    assert answer.headers["x-content-type-options"] == "nosniff"
    none = await get(memory_service, "image/png, text/html;q=0")
    assert (none.status_code, none.headers["content-type"]) == (406, "application/problem+json")


async def test_json_has_the_front_matter(memory_service: Service) -> None:
    await memory_service.model()
    await put(memory_service, CARD, **{"X-Actor": "ann"})
    found = (await get(memory_service, "application/json")).json()
    assert found["front_matter"]["language"] == ["en", "no"]
    assert found["front_matter"]["published"] == "2024-01-31"
    assert found["front_matter"]["model-index"][0]["results"][0]["metrics"] == [{"type": "accuracy", "value": 0.81}]
    assert found["markdown"].startswith("# ResNet *50*")
    assert (found["updated_by"], found["updated_at"] > "2020") == ("ann", True)


async def test_html_is_rendered(memory_service: Service) -> None:
    await memory_service.model()
    await put(memory_service, CARD)
    page = (await get(memory_service, "text/html")).text
    assert "<h1>ResNet <em>50</em></h1>" in page
    assert "<th>license</th><td>apache-2.0</td>" in page
    assert "<th>a</th>" in page


async def test_each_form_has_a_tag_and_any_of_them_is_taken_in_if_match(any_service: Service) -> None:
    service = any_service
    await service.model()
    await put(service, CARD)
    tags = {}
    for accept in ("text/markdown", "text/html", "application/json"):
        tag = tags[accept] = (await get(service, accept)).headers["etag"]
        same = await get(service, accept, **{"If-None-Match": tag})
        assert (same.status_code, same.content) == (304, b"")
        assert (await get(service, accept, **{"If-Match": '"other"'})).status_code == 412
    assert len(set(tags.values())) == 3
    for tag in tags.values():
        assert (await put(service, CARD, **{"If-Match": tag})).status_code == 200
    first = await put(service, CARD + "x", **{"If-Match": tags["text/html"]})
    second = await put(service, CARD + "y", **{"If-Match": tags["application/json"]})
    assert (first.status_code, second.status_code) == (200, 412)
    assert (await put(service, CARD, **{"If-None-Match": "*"})).status_code == 412
    assert (await service.client.delete(MODEL, headers={"If-Match": tags["text/html"]})).status_code == 412
    assert (await service.client.delete(MODEL, headers={"If-Match": first.headers["etag"]})).status_code == 204


async def test_of_writers_with_one_tag_one_wins(service: Service) -> None:
    await service.model()
    tag = (await put(service, CARD)).headers["etag"]
    answers = await asyncio.gather(*(put(service, f"# {n}", **{"If-Match": tag}) for n in range(6)))
    assert sorted(answer.status_code for answer in answers) == [200] + [412] * 5


async def test_what_would_happen(any_service: Service) -> None:
    service = any_service
    await service.model()
    dry = {"validate_only": "true"}
    answer = await service.client.put(MODEL, content=CARD, headers=MARKDOWN, params=dry)
    assert (answer.status_code, "etag" in answer.headers) == (200, False)
    assert (await get(service, "*/*")).status_code == 404
    await put(service, CARD)
    assert (await service.client.delete(MODEL, params=dry)).status_code == 204
    assert (await get(service, "*/*")).status_code == 200
    assert (await service.client.put(MODEL, content=CARD, headers=MARKDOWN, params={"x": "1"})).status_code == 422


async def test_bodies_that_are_refused(memory_service: Service) -> None:
    await memory_service.model()
    client = memory_service.client

    async def status(content: bytes, kind: str = "text/markdown") -> int:
        return (await client.put(MODEL, content=content, headers={"Content-Type": kind})).status_code

    assert await status(b"x", "text/html") == 415
    assert await status(b"x", "application/json") == 415
    assert await status(b"x", "text/markdown; charset=latin-1") == 415
    assert await status(b"\xff") == 400
    assert await status(b"a\x00b") == 422
    assert await status(b"a" * 100_001) == 413
    assert await status(b"a" * 500_000) == 413
    assert await status(b"a" * 100_000) == 201


async def test_cards_belong_to_their_workspace_and_model(service: Service) -> None:
    await service.model()
    await service.model("vit")
    await service.version()
    await put(service, CARD)
    await put(service, "# v", VERSION)
    assert (await get(service, "*/*", "/models/vit/card")).status_code == 404
    assert (await get(service, "*/*", **{"X-Regesta-Workspace": "other"})).status_code == 404
    for path in ("/models/resnet", "/models/resnet/versions/1"):
        assert "card" not in (await service.client.get(path)).text
    assert (await service.client.delete("/models/resnet/versions/1")).status_code == 204
    assert (await service.client.delete("/models/resnet")).status_code == 204
    assert await service.database["model_cards"].count_documents({}) == 0
    assert await service.database["version_cards"].count_documents({}) == 0


# front matter

BOMB = "a: &a [x, x]\nb: &b [*a, *a]\nc: &c [*b, *b]\n"
WRONG: list[tuple[str, int, str]] = [
    ("license: mit\nlicense: gpl\n", 3, "twice"),
    ("license: mit\nlanguage:\n- en\n- 5\n", 5, "language.1"),
    ("license: 5\n", 2, "license"),
    ("a: 1\nlicense: {x: 1}\n", 3, "license"),
    ("license:\n- ''\n", 3, "license.0"),
    ("model-index:\n- name: x\n  results:\n  - task: {type: t}\n    metrics:\n    - value: 1\n", 7, "metrics.0.type"),
    ("model-index: x\n", 2, "model-index"),
    (BOMB, 2, "anchors"),
    ("a: 1\nb: *a\n", 3, ""),
    ("a: 1\n<<: *x\n", 3, ""),
    ("a: !!python/object/apply:os.system ['true']\n", 2, "tags"),
    ("a: !x y\n", 2, "tags"),
    ("a: 1\nb: '\n", 4, ""),
    ("a: 1\n b: 2\n", 3, ""),
    ("a:\n\t- b\n", 3, ""),
    ("- a\n", 2, "mapping"),
    ("text\n", 2, "mapping"),
    ("? [a, b]\n: 1\n", 2, "keys"),
    ("a: " + "[" * 21 + "]" * 21 + "\n", 2, "levels"),
    ("a: " + "[" * 900 + "\n", 2, "levels"),
    ("a: " + "[" * 15_000 + "\n", 2, ""),  # which some versions of libyaml refuse in words of their own
    ("a: [" + "x," * 6000 + "]\n", 2, "values"),
    ("a: " + "x" * 33_000 + "\n", 1, "32768"),
]


@pytest.mark.parametrize(("yaml", "line", "said"), WRONG)
def test_what_is_wrong_is_told_with_its_line(yaml: str, line: int, said: str) -> None:
    with pytest.raises(Invalid) as refusal:
        read_front_matter(f"---\n{yaml}---\n# Card\n")
    message = refusal.value.issues[0].message
    assert message.startswith(f"line {line}: "), message
    assert said in message


async def test_a_problem_points_to_the_line(memory_service: Service) -> None:
    await memory_service.model()
    answer = await put(memory_service, "---\nlicense: mit\nlanguage: [en, 5]\ntags: 1\n---\n")
    assert answer.status_code == 422
    assert [(error["pointer"], error["message"][:7]) for error in answer.json()["errors"]] == [
        ("/language/1", "line 3:"),
        ("/tags", "line 4:"),
    ]
    assert (await get(memory_service, "*/*")).status_code == 404


@pytest.mark.parametrize(
    ("text", "values", "markdown"),
    [
        ("# Card", {}, "# Card"),
        ("", {}, ""),
        ("---\n---\n# Card", {}, "# Card"),
        ("---\nlicense: mit\n---\n---\nx", {"license": "mit"}, "---\nx"),
        ("---\r\nlicense: mit\r\n---\r\nx", {"license": "mit"}, "x"),
        ("\ufeff---\nlicense: mit\n---", {"license": "mit"}, ""),
        ("---\nmine: {a: [1, 2.5, true, null, yes]}\n---\n", {"mine": {"a": [1, 2.5, True, None, "yes"]}}, ""),
        (
            "---\nt: 1:30\nn: .nan\no: 010\nd: 2024-01-01\n---\n",
            {"t": "1:30", "n": ".nan", "o": 10, "d": "2024-01-01"},
            "",
        ),
        ("text\n---\nlicense: mit\n---\n", {}, "text\n---\nlicense: mit\n---\n"),
        ("---\nlicense: null\n---\n", {"license": None}, ""),
    ],
)
def test_front_matter_that_is_taken(text: str, values: dict[str, Any], markdown: str) -> None:
    read = read_front_matter(text)
    assert (read.values, read.markdown) == (values, markdown)


def test_front_matter_without_an_end_is_refused() -> None:
    with pytest.raises(Invalid, match="no end"):
        read_front_matter("---\nlicense: mit\n# Card\n")


# HTML

HOSTILE = [
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    '<a href="javascript:alert(1)">x</a>',
    "[x](javascript:alert(1))",
    "[x](JaVaScRiPt:alert(1))",
    "[x](java\nscript:alert(1))",
    "[x](<java script:alert(1)>)",
    "[x](&#106;avascript:alert(1))",
    "[x](javascript&colon;alert(1))",
    "[x](javascript&#58;alert(1))",
    "[x](\x01javascript:alert(1))",
    "[x](%6aavascript:alert(1))",
    "[x](vbscript:msgbox(1))",
    "[x](data:text/html;base64,PHNjcmlwdD4=)",
    "![x](data:image/svg+xml;base64,PHN2Zz4=)",
    "![x](javascript:alert(1))",
    "[x](file:///etc/passwd)",
    "[x]: javascript:alert(1)\n\n[x]",
    "<javascript:alert(1)>",
    '<https://a/" onclick=alert(1)>',
    '[x](https://a "t\\" onclick=alert(1)")',
    '![" onerror=alert(1) x="](https://a)',
    "`<script>`",
    '```html" onclick=alert(1)\n<script>\n```',
    "<style>@import 'http://a'</style>",
    "<!-- --><svg/onload=alert(1)>",
    "<details open ontoggle=alert(1)>",
    "</body><script>alert(1)</script>",
    "| <script> |\n|---|\n| <iframe src=x> |",
    "&lt;script&gt;alert(1)&lt;/script&gt;",
    "---\ntitle: <script>alert(1)</script>\n<img src=x>: 1\n---\nx",
    "---\nlicense: </title><script>\n---\n",
]  # fmt: skip
WORDS = "html head meta title style body h1 h2 h3 h4 h5 h6 p a em strong s code pre ul ol li table thead tbody tr th td"
TAGS = {*WORDS.split(), "blockquote", "br", "hr", "img"}
ATTRIBUTES = {"href", "title", "src", "alt", "class", "start", "style", "charset"}


class Checker(HTMLParser):
    """Finds what a page must not have."""

    def __init__(self) -> None:
        super().__init__()
        self.wrong: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag not in TAGS:
            self.wrong.append(tag)
        for name, value in attrs:
            if name not in ATTRIBUTES or (name == "style" and not str(value).startswith("text-align:")):
                self.wrong.append(name)
            scheme = "".join(str(value).split()).lower().partition(":")
            if name in ("href", "src") and scheme[1] and scheme[0] not in ("http", "https", "mailto"):
                self.wrong.append(str(value))


def wrong_in(page: str) -> list[str]:
    checker = Checker()
    checker.feed(page)
    checker.close()
    return checker.wrong


@pytest.mark.parametrize("text", HOSTILE)
def test_what_is_hostile_is_only_text(text: str) -> None:
    assert wrong_in(rendered(text)) == []


def test_the_checker_finds_what_is_hostile(monkeypatch: pytest.MonkeyPatch) -> None:
    """The same with a renderer that lets HTML and links through."""
    from markdown_it import MarkdownIt

    careless = MarkdownIt("commonmark")
    careless.validateLink = lambda url: True  # type: ignore[method-assign]
    monkeypatch.setattr(rendering, "_renderer", lambda: careless)
    rendered.cache_clear()
    found = sum(bool(wrong_in(rendered(text))) for text in HOSTILE)
    rendered.cache_clear()
    assert found >= 15


@settings(deadline=None, max_examples=300)
@given(
    st.lists(
        st.sampled_from([*HOSTILE, *"<>\"'`()[]!#*_~|\\&;:\n -", "javascript:", "onclick=", "https://a"]), max_size=12
    )
)
def test_no_mixture_is_hostile(parts: list[str]) -> None:
    try:
        page = rendered("".join(parts))
    except Invalid:
        return
    assert wrong_in(page) == []


async def test_without_the_extra_it_is_said_what_is_missing(
    memory_service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = builtins.__import__

    def importing(name: str, *arguments: Any, **options: Any) -> Any:
        if name in ("yaml", "markdown_it"):
            raise ImportError(name)
        return real(name, *arguments, **options)

    await memory_service.model()
    for cached in (front_matter._yaml, rendering._renderer, rendered):
        cached.cache_clear()
    monkeypatch.setattr(builtins, "__import__", importing)
    refused = await put(memory_service, CARD)
    assert (refused.status_code, refused.json()["code"]) == (501, "MISSING_EXTRA")
    assert "regesta[models]" in refused.json()["detail"]
    # What needs neither is done.
    assert (await put(memory_service, "# Card")).status_code == 201
    assert (await get(memory_service, "text/html")).status_code == 501
    assert (await get(memory_service, "text/markdown")).text == "# Card"
