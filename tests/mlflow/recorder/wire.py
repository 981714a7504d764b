"""Requests that no client of today sends, and refusals that clients do not let happen."""

from typing import Any

from recorder import Recorder

REQUIRED: dict[tuple[str, str], dict[str, str]] = {
    ("POST", "/registered-models/create"): {"name": "wire"},
    ("POST", "/registered-models/rename"): {"name": "wire", "new_name": "wire"},
    ("PATCH", "/registered-models/update"): {"name": "wire"},
    ("POST", "/registered-models/set-tag"): {"name": "wire", "key": "k"},
    ("DELETE", "/registered-models/delete-tag"): {"name": "wire", "key": "k"},
    ("POST", "/registered-models/alias"): {"name": "wire", "alias": "a", "version": "1"},
    ("DELETE", "/registered-models/alias"): {"name": "wire", "alias": "b"},
    ("POST", "/registered-models/get-latest-versions"): {"name": "wire"},
    ("POST", "/model-versions/create"): {"name": "wire", "source": "s3://bucket/x"},
    ("PATCH", "/model-versions/update"): {"name": "wire", "version": "1"},
    ("POST", "/model-versions/transition-stage"): {"name": "wire", "version": "1", "stage": "None"},
    ("POST", "/model-versions/set-tag"): {"name": "wire", "version": "1", "key": "k", "value": "v"},
    ("DELETE", "/model-versions/delete-tag"): {"name": "wire", "version": "1", "key": "k"},
    ("DELETE", "/model-versions/delete"): {"name": "wire", "version": "99"},
}
QUERIED: dict[str, dict[str, str]] = {
    "/registered-models/get": {"name": "wire"},
    "/registered-models/get-latest-versions": {"name": "wire"},
    "/registered-models/alias": {"name": "wire", "alias": "a"},
    "/model-versions/get": {"name": "wire", "version": "1"},
    "/model-versions/get-download-uri": {"name": "wire", "version": "1"},
}


def record(to: Recorder) -> None:
    """All of them."""
    to.send("POST", "/registered-models/create", json={"name": "wire"})
    to.send("POST", "/model-versions/create", json={"name": "wire", "source": "s3://bucket/x"})
    to.send("POST", "/registered-models/alias", json={"name": "wire", "alias": "a", "version": "1"})
    missing_fields(to)
    wrong_types(to)
    bodies(to)
    fields(to)
    searches(to)
    pages = "/../../../ajax-api/2.0/mlflow/registered-models/get"
    to.raw("the path of web pages", "GET", pages, params={"name": "wire"})


def missing_fields(to: Recorder) -> None:
    for (verb, path), body in REQUIRED.items():
        to.raw(f"{verb} {path}", verb, path, json=body)
        for name in body:
            less = {key: value for key, value in body.items() if key != name}
            to.raw(f"{verb} {path} without {name}", verb, path, json=less)
            to.raw(f"{verb} {path} with null for {name}", verb, path, json={**body, name: None})
    for path, query in QUERIED.items():
        to.raw(f"GET {path}", "GET", path, params=query)
        for name in query:
            less = {key: value for key, value in query.items() if key != name}
            to.raw(f"GET {path} without {name}", "GET", path, params=less)


def wrong_types(to: Recorder) -> None:
    create, version = "/registered-models/create", "/model-versions/create"
    values: tuple[Any, ...] = (5, True, [], {}, ["a"])
    for value in values:
        to.raw(f"a name that is {value!r}", "POST", create, json={"name": value})
        to.raw(f"a description that is {value!r}", "POST", create, json={"name": "wire 2", "description": value})
        to.raw(f"a source that is {value!r}", "POST", version, json={"name": "wire", "source": value})
    for tags in ("a", 5, {"key": "a"}, [5], ["a"], [{"key": 5, "value": "x"}]):
        to.raw(f"tags that are {tags!r}", "POST", create, json={"name": "wire 2", "tags": tags})
    for flag in ("true", 1, "x"):
        body = {"name": "wire", "version": "1", "stage": "Staging", "archive_existing_versions": flag}
        to.raw(f"a flag that is {flag!r}", "POST", "/model-versions/transition-stage", json=body)
    body = {"name": "wire", "version": "1", "stage": "None", "archive_existing_versions": True}
    to.raw("archiving with an inactive stage", "POST", "/model-versions/transition-stage", json=body)
    to.raw("a version that is a number", "PATCH", "/model-versions/update", json={"name": "wire", "version": 1})
    body = {"name": "wire", "alias": "n", "version": 1}
    to.raw("an alias of a number", "POST", "/registered-models/alias", json=body)
    to.send("DELETE", "/registered-models/alias", json={"name": "wire", "alias": "n"})


def bodies(to: Recorder) -> None:
    path = "/registered-models/update"
    json = {"Content-Type": "application/json"}
    good = '{"name": "wire", "description": "x"}'
    for label, data in {
        "broken": "{",
        "empty": "",
        "an array": "[]",
        "a number": "5",
        "null": "null",
        "a text that is JSON": '"{\\"name\\": \\"wire\\", \\"description\\": \\"x\\"}"',
        "a text": '"x"',
    }.items():
        to.raw(f"a body that is {label}", "PATCH", path, data=data, headers=json)
    for kind in ("application/json; charset=utf-8", "text/plain", "application/x-www-form-urlencoded"):
        to.raw(f"a body of {kind}", "PATCH", path, data=good, headers={"Content-Type": kind})
    to.raw("a body without a type", "PATCH", path, data=good.encode())
    to.raw("unknown fields", "PATCH", path, json={"name": "wire", "description": "x", "unknown": {"a": 1}})
    to.raw("DELETE with a query", "DELETE", "/registered-models/delete", params={"name": "wire"})
    to.raw("GET with a body", "GET", "/registered-models/get", json={"name": "wire"})
    to.raw("unknown parameters", "GET", "/registered-models/get", params={"name": "wire", "unknown": "x"})
    to.raw("camelCase", "POST", "/registered-models/rename", json={"name": "wire", "newName": "wire"})


def fields(to: Recorder) -> None:
    create = "/model-versions/create"
    bare = to.raw("a bare version", "POST", create, json={"name": "wire", "source": "s3://bucket/x"})
    number = bare["model_version"]["version"] if "model_version" in bare else "1"
    to.raw("get a bare version", "GET", "/model-versions/get", params={"name": "wire", "version": number})
    body: dict[str, Any] = {
        "name": "wire",
        "source": "s3://bucket/x",
        "run_id": "",
        "run_link": "",
        "description": "",
        "tags": [],
    }
    to.raw("a version with empty fields", "POST", create, json=body)
    twice = [{"key": "k", "value": "1"}, {"key": "k", "value": "2"}]
    to.raw("a tag twice", "POST", create, json={"name": "wire", "source": "s3://bucket/x", "tags": twice})
    to.raw("a model's tag twice", "POST", "/registered-models/create", json={"name": "wire 3", "tags": twice})
    to.raw("a tag without a value", "POST", "/registered-models/set-tag", json={"name": "wire", "key": "valueless"})
    bad = [{"key": "a//b", "value": "x"}]
    to.raw("a bad tag of a new model", "POST", "/registered-models/create", json={"name": "wire 4", "tags": bad})
    to.raw("a bad tag of a new version", "POST", create, json={"name": "wire", "source": "s3://bucket/x", "tags": bad})
    to.raw("a version's tags", "GET", "/model-versions/get", params={"name": "wire", "version": "1"})


def searches(to: Recorder) -> None:
    models, versions = "/registered-models/search", "/model-versions/search"
    only = {"filter": "name = 'wire'"}
    to.raw("models of one name", "GET", models, params=only)
    to.raw("models of no name", "GET", models, params={"filter": "name = 'nobody'"})
    to.raw("versions of no name", "GET", versions, params={"filter": "name = 'nobody'"})
    for size in ("0", "-1", "1", "1000", "1001", "x", "1.5"):
        to.raw(f"{size} models", "GET", models, params={**only, "max_results": size})
    for size in ("0", "1", "200000", "200001", "x"):
        answer = to.send("GET", versions, params={**only, "max_results": size})
        to.fact(f"{size} versions", answer.status_code)
    for token in ("evilhax", "eyJvZmZzZXQiOiAieCJ9"):
        to.raw(f"the token {token}", "GET", models, params={**only, "page_token": token})
    to.raw("an unknown path", "GET", "/registered-models/evil")
    to.raw("an unknown verb", "PUT", "/registered-models/get", json={"name": "wire"})
