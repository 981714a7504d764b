"""Searches: filters, orders, pages, and what is refused."""

from collections.abc import Iterator
from typing import Any

from recorder import Recorder

MODEL_FILTERS = (
    "",
    "name = 'search one'",
    'name = "search one"',
    "name='search one'",
    "NAME = 'search one'",
    "name != 'search one'",
    "name LIKE 'search%'",
    "name like 'Search%'",
    "name ILIKE 'Search%'",
    "name LIKE 'search on_'",
    "name LIKE 'one'",
    "name LIKE '%'",
    "name LIKE 's.*'",
    "name LIKE 'se[arch%'",
    "name IN ('search one', 'iris')",
    "name IN ('search one')",
    "name NOT IN ('search one', 'iris')",
    "attribute.name = 'search one'",
    "attributes.name = 'search one'",
    "tags.team = 'a'",
    "tag.team = 'a'",
    "tags.team != 'a'",
    "tags.team LIKE 'A%'",
    "tags.team ILIKE 'A%'",
    "tags.`a.b c` = 'dotted'",
    "tags.\"a.b c\" = 'dotted'",
    "tags.dot.ted = 'x'",
    "tags.team = 'a' AND tags.lang = 'en'",
    "tags.team = 'a' and name LIKE 'search%'",
    "tags.team LIKE 'a%' AND tags.team != 'ab'",
    "tags.team != 'a' AND tags.team != 'b'",
    "name LIKE 'search%' AND",
    "name = 'it''s'",
    "name = 'search one' AND name = 'search two'",
    "tags.team = ''",
    # refused
    "name = 'a' OR name = 'b'",
    "name LIKE",
    "name",
    "'a' = name",
    "evilhax = true",
    "evilhax = 'x'",
    "run_id = 'x'",
    "foo.bar = 'x'",
    "name!=something",
    "name = 5",
    "name > 'a'",
    "name BETWEEN 'a' AND 'b'",
    "tags.team > 'a'",
    "tags.team IN ('a')",
    "tags.team = 5",
    "name = 'a'; name = 'b'",
    "name IN ()",
    "name IN ('a',,'b')",
    "name IN (1, 2)",
    "name IN 'a'",
    "NOT name = 'a'",
    "(name = 'a')",
    "creation_timestamp > 0",
    "name IS NULL",
    "name = 'a",
    "version_number = 1",
)

VERSION_FILTERS = (
    "name = 'search one'",
    "name LIKE 'search%'",
    "name ILIKE 'SEARCH%'",
    "name != 'search one' AND name LIKE 'search%'",
    "name IN ('search one', 'search two')",
    "name NOT IN ('search one') AND name LIKE 'search%'",
    "run_id = 'run a'",
    "run_id != 'run a' AND name LIKE 'search%'",
    "run_id IN ('run a', 'run b')",
    "run_id NOT IN ('run a') AND name LIKE 'search%'",
    "run_id LIKE 'run%'",
    "source_path = 's3://bucket/search/2'",
    "source_path LIKE '%/search/%'",
    "source_path ILIKE '%/SEARCH/_'",
    "version_number = 2 AND name LIKE 'search%'",
    "version_number = '2' AND name LIKE 'search%'",
    "version_number != 2 AND name LIKE 'search%'",
    "version_number > 1 AND name LIKE 'search%'",
    "version_number >= 2 AND version_number < 3 AND name LIKE 'search%'",
    "version_number <= 1 AND name LIKE 'search%'",
    "tags.lang = 'en' AND name LIKE 'search%'",
    "tags.lang != 'en' AND name LIKE 'search%'",
    "tags.`lang` ILIKE 'E%' AND name LIKE 'search%'",
    "attribute.run_id = 'run a'",
    # refused
    "run_id IN (1,2,3)",
    "run_id IN ()",
    "run_id IN (,)",
    "run_id IN (",
    "run_id IN",
    "run_id IN ('a',,'b')",
    "run_id = 5",
    "run_id > 'a'",
    "version_number = 1.5",
    "version_number = 'x'",
    "version_number LIKE '1'",
    "version_number IN (1)",
    "team = 'a'",
    "current_stage = 'None'",
    "source_path IN ('a')",
    "name = 'a' OR name = 'b'",
    "name = 'a';",
    "name = 'a'; name = 'b'",
    "evilhax = true",
)

MODEL_ORDERS: tuple[list[str], ...] = (
    ["name"],
    ["name ASC"],
    ["name desc"],
    ["`name` DESC"],
    ["name \t\r\n DESC"],
    ["timestamp"],
    ["last_updated_timestamp DESC"],
    ["timestamp ASC", "name DESC"],
    # refused
    ["creation_timestamp"],
    ["evilhax"],
    ["name DESC ASC"],
    ["name, timestamp"],
    ["name DOWN"],
    ["name", "name DESC"],
    ["timestamp", "last_updated_timestamp"],
    [""],
)

VERSION_ORDERS: tuple[list[str], ...] = (
    ["name"],
    ["name DESC", "version_number ASC"],
    ["version_number"],
    ["version_number DESC"],
    ["creation_timestamp"],
    ["creation_timestamp DESC"],
    ["last_updated_timestamp ASC"],
    # refused
    ["run_id"],
    ["timestamp"],
    ["evilhax"],
    ["name DESC ASC"],
    ["name, version_number"],
    ["name DOWN"],
    ["name", "name"],
)


def record(to: Recorder) -> None:
    """All of them."""
    prepare(to)
    client = to.client
    for text in MODEL_FILTERS:
        to.call(f"models where {text}", client.search_registered_models, text)
    for text in VERSION_FILTERS:
        to.call(f"versions where {text}", client.search_model_versions, text)
    for order in MODEL_ORDERS:
        to.call(f"models by {order}", client.search_registered_models, "name LIKE 'search%'", order_by=order)
    for order in VERSION_ORDERS:
        to.call(f"versions by {order}", client.search_model_versions, "name LIKE 'search%'", order_by=order)
    to.call("all versions, as they come", client.search_model_versions)
    pages(to)


def prepare(to: Recorder) -> None:
    client = to.client
    fixtures: dict[str, dict[str, str]] = {
        "search one": {"team": "a", "lang": "en", "a.b c": "dotted"},
        "search two": {"team": "b"},
        "search Three": {"team": "ab", "dot.ted": "x"},
        "search se[arch": {"team": ""},
        "search it's": {"lang": "de"},
    }
    for name, tags in fixtures.items():
        client.create_registered_model(name, tags)
        to.later()
    for number, run in enumerate(("run a", "run b", None), 1):
        for name in ("search one", "search two"):
            client.create_model_version(
                name, f"s3://bucket/search/{number}", run, tags={"lang": "en" if number == 1 else "de"}
            )
            to.later()


def pages(to: Recorder) -> None:
    client = to.client
    for number in range(7):
        client.create_registered_model(f"page {number}")
        client.create_model_version(f"page {number}", "s3://bucket/x")
        to.later()
    models, versions = client.search_registered_models, client.search_model_versions
    for size in (1, 3, 7, 100):
        found = list(_paged(models, "name LIKE 'page%'", size))
        to.fact(f"pages of {size} models", found)
        found = list(_paged(versions, "name LIKE 'page%'", size))
        to.fact(f"pages of {size} versions", found)
    first = models("name LIKE 'page%'", max_results=2)
    to.call("another page size", models, "name LIKE 'page%'", max_results=4, page_token=first.token)
    to.call("an empty token", models, "name LIKE 'page%'", max_results=2, page_token="")
    to.call("a bad token of models", models, page_token="evilhax")
    to.call("a bad token of versions", versions, page_token="evilhax")
    for size in (1000, 1001, -1):
        to.call(f"{size} models", lambda size: len(models("name LIKE 'page%'", size)), size)
    for size in (200_000, 200_001, 0, -1):
        to.call(f"{size} versions", lambda size: len(versions("name LIKE 'page%'", size)), size)


def _paged(search: Any, text: str, size: int) -> Iterator[list[str]]:
    token = None
    while True:
        page = search(text, max_results=size, page_token=token)
        yield [one.name for one in page]
        token = page.token
        if not token:
            return
