"""`POST /versions`: what is wrong with a line points into the line, as it was sent."""

import json
from typing import Any

import pytest
from tests.models.application import Service, serve

from regesta import Change, Invalid, hookimpl
from regesta_models import Model, Version

GOOD = {"model": {"name": "vit"}, "version": {"source": "s3://bucket/vit"}}


async def refused(service: Service, line: dict[str, Any]) -> dict[str, Any]:
    answer = await service.client.post(
        "/versions", content=json.dumps(line), headers={"Content-Type": "application/x-ndjson"}
    )
    problem: dict[str, Any] = json.loads(answer.text.splitlines()[0])["problem"]
    return problem


def pointers(problem: dict[str, Any]) -> list[str]:
    return sorted(issue["pointer"] for issue in problem["errors"])


@pytest.mark.parametrize(
    ("line", "where"),
    [
        ({"model": {"name": "a/../b"}}, ["/model/name"]),
        ({"model": {"name": "vit", "kind": "nothing"}}, ["/model/kind"]),
        ({"model": {"name": "vit", "nmae": 1}}, ["/model/nmae"]),
        ({"version": {"source": "s", "status": "unknown"}}, ["/version/source", "/version/status"]),
        (
            {"version": {"source": "s3://b/x", "artifacts": [{"path": "a", "size": -1, "sha256": "0" * 64}]}},
            ["/version/artifacts/0/size"],
        ),
        ({"version": {"source": "s3://b/x", "aliases": ["a"]}}, ["/version/aliases"]),
        # Everything that is wrong, in one answer.
        (
            {"model": {"name": "vit", "kind": "nothing"}, "version": {"source": "s3://b/x", "stage": "x"}},
            ["/model/kind", "/version/stage"],
        ),
        ({"model": {"name": ""}}, ["/model/name"]),
        ({"version": {}}, ["/version/source"]),
        ({"version": 5}, ["/version"]),
    ],
)
async def test_issues_point_into_the_line(any_service: Service, line: dict[str, Any], where: list[str]) -> None:
    problem = await refused(any_service, {**GOOD, **line})
    assert (problem["status"], pointers(problem)) == (422, where)
    assert problem["detail"].startswith("body." + where[0][1:].replace("/", "."))
    assert not await any_service.database["models"].count_documents({})


class Refuses:
    """Rules of a plugin, which know nothing of lines."""

    @hookimpl
    async def validate_change(self, change: Change[Model] | Change[Version]) -> None:
        if isinstance(change.after, Model):
            raise Invalid("owner", "is required here")
        raise Invalid("params.depth", "is required here")


@pytest.mark.parametrize(("known", "where"), [(False, "/model/owner"), (True, "/version/params/depth")])
async def test_issues_of_hooks_point_into_the_line(any_database: Any, known: bool, where: str) -> None:
    async with serve(any_database) as service:
        if known:
            await service.model("vit")
    async with serve(any_database, Refuses()) as service:
        assert pointers(await refused(service, GOOD)) == [where]


async def test_a_version_that_is_there(any_service: Service) -> None:
    await any_service.model("vit")
    await any_service.version("vit", source="s3://bucket/vit")
    problem = await refused(any_service, GOOD)
    assert (problem["status"], pointers(problem)) == (409, ["/version/source"])
