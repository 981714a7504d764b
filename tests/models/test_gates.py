"""Gates: an alias moves to a version that meets all of them, or not at all."""

from collections.abc import Callable
from typing import Any

import httpx
import pytest
from tests.models.application import DIGEST, MERGE_PATCH, Service, at

POLICIES = "/promotion-policies"
VERSIONS = "/models/resnet/versions"

Gate = dict[str, Any]


def by(name: str) -> dict[str, str]:
    """The headers of somebody."""
    return {"X-Actor": name}


async def guard(service: Service, *gates: Gate, name: str = "p", **fields: Any) -> None:
    """A policy for the alias `production`."""
    await service.created(POLICIES, {"name": name, "alias": "production", "gates": list(gates), **fields})


async def approve(service: Service, who: str, number: int = 1) -> httpx.Response:
    return await service.client.post(f"{VERSIONS}/{number}/approvals", json={"comment": "ok"}, headers=by(who))


def metric(value: float, name: str = "top1", **fields: Any) -> dict[str, Any]:
    return {"name": name, "value": value, **fields}


def refused(answer: httpx.Response) -> list[str]:
    """The types of the gates that a move did not meet."""
    assert answer.status_code == 409, answer.text
    assert answer.json()["code"] == "GATES_NOT_MET"
    return [error["type"] for error in answer.json()["errors"]]


TOP1 = {"type": "metric", "name": "top1", "dataset": "imagenet", "threshold": 0.8}
ARTIFACT = {"path": "model.onnx", "size": 1, "sha256": DIGEST}
SIGNATURE = {"inputs": [{"name": "x", "dtype": "float32"}], "outputs": [{"name": "y", "dtype": "float32"}]}
IMAGENET = {"dataset": "imagenet"}

# A gate, versions that it refuses, versions that it lets pass.
GATES: list[tuple[str, Gate, list[dict[str, Any]], list[dict[str, Any]]]] = [
    (
        "metric",
        TOP1,
        [
            {},
            {"metrics": [metric(0.79, **IMAGENET)]},
            {"metrics": [metric(0.9, dataset="other")]},
            {"metrics": [metric(0.9, name="top5", **IMAGENET)]},
            {"metrics": [metric(0.9, split="a", **IMAGENET), metric(0.7, split="b", **IMAGENET)]},
            {"metrics": [metric(0.7, step=2, **IMAGENET), metric(0.9, step=1, **IMAGENET)]},
            {"metrics": [metric(0.9, **IMAGENET), metric(0.7, **IMAGENET)]},
        ],
        [
            {"metrics": [metric(0.8, **IMAGENET)]},
            {"metrics": [metric(0.9, split="test", **IMAGENET), metric(0.1, dataset="other")]},
            {"metrics": [metric(0.9, step=2, **IMAGENET), metric(0.7, step=1, **IMAGENET)]},
        ],
    ),
    ("split", TOP1 | {"split": "test"}, [{"metrics": [metric(1, split="a", **IMAGENET)]}],
     [{"metrics": [metric(0.8, split="test", **IMAGENET), metric(0, split="a", **IMAGENET)]}]),
    *(
        (word, {"type": "metric", "name": "loss", "comparison": word, "threshold": 0.5},
         [{"metrics": [metric(value, "loss")]} for value in wrong],
         [{"metrics": [metric(value, "loss")]} for value in right])
        for word, wrong, right in (
            (">=", [0.4], [0.5, 0.6]),
            (">", [0.4, 0.5], [0.6]),
            ("<=", [0.6], [0.4, 0.5]),
            ("<", [0.5, 0.6], [0.4]),
            ("==", [0.4, 0.6], [0.5]),
        )
    ),
    ("digests", {"type": "digests"}, [{}], [{"artifacts": [ARTIFACT]}]),
    ("signature", {"type": "signature"}, [{}, {"signature": {}}, {"signature": {"inputs": SIGNATURE["inputs"]}}],
     [{"signature": SIGNATURE}]),
    ("tag", {"type": "tag", "key": "reviewed"}, [{}, {"tags": [{"key": "other"}]}],
     [{"tags": [{"key": "reviewed"}]}, {"tags": [{"key": "reviewed", "value": "x"}]}]),
    ("tag value", {"type": "tag", "key": "reviewed", "value": "yes"}, [{}, {"tags": [{"key": "reviewed"}]},
     {"tags": [{"key": "reviewed", "value": "no"}]}], [{"tags": [{"key": "reviewed", "value": "yes"}]}]),
]  # fmt: skip


@pytest.mark.parametrize(("gate", "wrong", "right"), [case[1:] for case in GATES], ids=[case[0] for case in GATES])
async def test_a_gate_refuses_and_passes(
    gate: Gate, wrong: list[dict[str, Any]], right: list[dict[str, Any]], memory_service: Service
) -> None:
    service = memory_service
    await service.model()
    await guard(service, gate)
    for fields in wrong:
        number = (await service.version(**fields))["number"]
        assert refused(await service.point("production", number)) == [gate["type"]], fields
        assert (await service.client.get("/models/resnet/aliases")).json() == {}
        assert (await service.client.get("/models/resnet/promotions")).json()["items"] == []
        # Nothing guards another alias.
        assert (await service.point("other", number)).status_code in (200, 201)
        assert (await service.client.delete("/models/resnet/aliases/other")).status_code == 204
        await service.database["promotions"].delete_many({})
    for fields in right:
        number = (await service.version(**fields))["number"]
        answer = await service.point("production", number)
        assert answer.status_code in (200, 201), answer.text


NOT_WORSE = {"type": "not_worse", "name": "top1", "dataset": "imagenet"}


@pytest.mark.parametrize(
    ("gate", "now", "then", "passes"),
    [
        (NOT_WORSE, 0.8, 0.8, True),
        (NOT_WORSE, 0.8, 0.81, True),
        (NOT_WORSE, 0.8, 0.79, False),
        (NOT_WORSE, 0.8, None, False),
        (NOT_WORSE, None, 0.1, True),
        (NOT_WORSE | {"tolerance": 0.25}, 0.75, 0.5, True),
        (NOT_WORSE | {"tolerance": 0.25}, 0.75, 0.49, False),
        (NOT_WORSE | {"better": "lower"}, 0.8, 0.79, True),
        (NOT_WORSE | {"better": "lower"}, 0.8, 0.81, False),
    ],
)
async def test_not_worse_than_what_is_there(
    gate: Gate, now: float | None, then: float | None, passes: bool, any_service: Service
) -> None:
    service = any_service
    await service.model()
    await guard(service, gate)
    for value in (now, then):
        await service.version(metrics=[] if value is None else [metric(value, **IMAGENET)])
    assert (await service.point("production", 1)).status_code == 201
    answer = await service.point("production", 2)
    if passes:
        assert answer.status_code == 200, answer.text
    else:
        assert refused(answer) == ["not_worse"]


async def test_taking_an_alias_away_first_spares_no_comparison(any_service: Service) -> None:
    service = any_service
    await service.model()
    await guard(service, NOT_WORSE)
    for value in (0.8, 0.7):
        await service.version(metrics=[metric(value, **IMAGENET)])
    assert (await service.point("production", 1)).status_code == 201
    assert (await service.client.delete("/models/resnet/aliases/production")).status_code == 204
    assert refused(await service.point("production", 2)) == ["not_worse"]


async def test_approvals_count_but_those_of_the_author(any_service: Service) -> None:
    service = any_service
    await service.model()
    await guard(service, {"type": "approvals", "count": 2})
    answer = await service.client.post(VERSIONS, json={}, headers=by("ann"))
    assert answer.json()["created_by"] == "ann"
    for who in ("ann", "bob"):
        given = await approve(service, who)
        assert given.status_code == 201, given.text
        assert given.json()["by"] == who
    assert refused(await service.point("production", 1)) == ["approvals"]
    again = await approve(service, "bob")
    assert (again.status_code, again.json()["code"]) == (409, "DUPLICATE")
    assert (await approve(service, "cid")).status_code == 201
    assert (await service.point("production", 1)).status_code == 201
    (promotion,) = (await service.client.get("/models/resnet/promotions")).json()["items"]
    assert (promotion["approved_by"], promotion["policies"]) == (["bob", "cid"], ["p"])


async def test_an_author_stays_the_author(service: Service) -> None:
    await service.model()
    version = await service.client.post(VERSIONS, json={}, headers=by("ann"))
    one = f"{VERSIONS}/{version.json()['number']}"
    patched = await service.client.patch(one, json={"description": "x"}, headers={**MERGE_PATCH, **by("bob")})
    replaced = await service.client.put(one, json={"description": "y"}, headers=by("bob"))
    assert (patched.json()["created_by"], replaced.json()["created_by"]) == ("ann", "ann")
    for sent in (
        await service.client.post(VERSIONS, json={"created_by": "eve"}),
        await service.client.patch(one, json={"created_by": "eve"}, headers=MERGE_PATCH),
    ):
        assert sent.status_code == 422
    assert (await service.version())["created_by"] == ""


async def test_an_approval_is_withdrawn_by_who_gave_it_and_never_changes(any_service: Service) -> None:
    service = any_service
    await service.model()
    await service.version()
    await guard(service, {"type": "approvals"})
    given = (await approve(service, "bob")).json()
    one = f"{VERSIONS}/1/approvals/{given['id']}"
    for method in ("PUT", "PATCH"):
        assert (await service.client.request(method, one, json={"comment": "x"}, headers=by("bob"))).status_code == 405
    assert (await service.client.post(f"{one}:revert", json={"revision": "x"}, headers=by("bob"))).status_code in (
        404,
        405,
    )
    stolen = await service.client.delete(one, headers=by("eve"))
    assert (stolen.status_code, stolen.json()["code"]) == (403, "NOT_YOURS")
    assert (await service.client.delete(one)).status_code == 403
    assert (await service.client.delete(one, headers=by("bob"))).status_code == 204
    assert refused(await service.point("production", 1)) == ["approvals"]


async def test_nobody_cannot_approve(any_service: Service) -> None:
    await any_service.model()
    await any_service.version()
    answer = await any_service.client.post(f"{VERSIONS}/1/approvals", json={})
    assert (answer.status_code, answer.json()["code"]) == (409, "ANONYMOUS_APPROVAL")
    forged = await any_service.client.post(f"{VERSIONS}/1/approvals", json={"by": "ann"}, headers=by("bob"))
    assert forged.status_code == 422


async def test_what_may_still_change_is_not_approved(any_service: Service) -> None:
    await any_service.model()
    await any_service.version(status="pending")
    answer = await approve(any_service, "bob")
    assert (answer.status_code, answer.json()["code"]) == (409, "NOT_READY")


async def test_a_version_goes_with_its_approvals(service: Service) -> None:
    await service.model()
    await service.version()
    assert (await approve(service, "bob")).status_code == 201
    assert (await service.client.delete(f"{VERSIONS}/1")).status_code == 204
    assert await service.database["approvals"].count_documents({}) == 0


async def test_a_card_of_the_version_or_the_model_is_asked_for(any_service: Service) -> None:
    service = any_service
    await service.model()
    await service.version()
    await guard(service, {"type": "card", "requires": ["license", "datasets"]})
    markdown = {"Content-Type": "text/markdown"}

    async def written(path: str, text: str) -> None:
        assert (await service.client.put(path, content=text, headers=markdown)).status_code == 201

    answer = await service.point("production", 1)
    assert refused(answer) == ["card"]
    assert "there is no card" in answer.json()["errors"][0]["message"]
    await written("/models/resnet/card", "---\nlicense: mit\ndatasets: [imagenet]\n---\n# A card\n")
    await written(f"{VERSIONS}/1/card", "---\nlicense: mit\n---\n# A card\n")
    # The version's own counts.
    assert "datasets" in (await service.point("production", 1)).json()["errors"][0]["message"]
    assert (await service.client.delete(f"{VERSIONS}/1/card")).status_code == 204
    assert (await service.point("production", 1)).status_code == 201


async def test_what_is_not_ready_passes_no_policy(any_service: Service) -> None:
    service = any_service
    await service.model()
    await guard(service, {"type": "tag", "key": "a"})
    await service.version(status="pending", tags=[{"key": "a"}])
    answer = await service.point("production", 1)
    assert refused(answer) == ["status"]
    assert answer.json()["errors"][0]["loc"] == ["version", "status"]
    assert (await service.point("anything", 1)).status_code == 201


ALL: list[Gate] = [
    TOP1,
    {"type": "approvals"},
    {"type": "card"},
    {"type": "digests"},
    {"type": "signature"},
    {"type": "tag", "key": "reviewed"},
]


async def test_all_that_is_missing_is_told_at_once(any_service: Service) -> None:
    service = any_service
    await service.model()
    await service.version()
    await guard(service, *ALL, name="b")
    await guard(service, {"type": "signature"}, name="a", model="resnet")
    answer = await service.point("production", 1)
    assert refused(answer) == ["signature", *(gate["type"] for gate in ALL)]
    problem = answer.json()
    assert [error["loc"] for error in problem["errors"]] == [
        ["policy", "a", "gates", 0],
        *(["policy", "b", "gates", index] for index in range(len(ALL))),
    ]
    assert all(error["message"] and error["pointer"] == "" for error in problem["errors"])
    assert problem["type"] == "urn:regesta:problem:gates-not-met"


async def test_a_policy_guards_its_own_model_or_all(any_service: Service) -> None:
    service = any_service
    for name in ("resnet", "vit"):
        await service.model(name)
        await service.version(name)
    await guard(service, {"type": "signature"}, model="vit")
    assert (await service.point("production", 1)).status_code == 201
    assert refused(await service.point("production", 1, model="vit")) == ["signature"]
    unknown = await service.client.post(
        POLICIES, json={"name": "q", "alias": "a", "model": "typo", "gates": [{"type": "digests"}]}
    )
    assert (unknown.status_code, unknown.json()["type"]) == (409, "urn:regesta:problem:no-such-model")


async def test_a_model_that_starts_anew_is_guarded_as_before(service: Service) -> None:
    await service.model()
    await guard(service, {"type": "signature"}, model="resnet")
    await service.client.delete(at("resnet"))
    await service.model()
    await service.version()
    assert refused(await service.point("production", 1)) == ["signature"]


async def test_workspaces_have_their_own_policies(any_service: Service) -> None:
    service = any_service
    ours = {"X-Regesta-Workspace": "ours"}
    await guard(service, {"type": "signature"})
    for headers in ({}, ours):
        assert (await service.client.post("/models", json={"name": "resnet"}, headers=headers)).status_code == 201
        assert (await service.client.post(VERSIONS, json={}, headers=headers)).status_code == 201
    path = "/models/resnet/aliases/production"
    assert (await service.client.put(path, json={"version": 1}, headers=ours)).status_code == 201
    assert refused(await service.point("production", 1)) == ["signature"]
    for seen in (POLICIES, "/models/resnet/promotions"):
        counts = [len((await service.client.get(seen, headers=headers)).json()["items"]) for headers in ({}, ours)]
        assert counts == ([1, 0] if seen == POLICIES else [0, 1])


BAD: list[tuple[Gate, str]] = [
    ({}, "/gates/0"),
    ({"type": "nothing"}, "/gates/0"),
    ({"type": "metric", "name": "a"}, "/gates/0"),
    ({"type": "metric", "name": "a", "threshold": "1"}, "/gates/0"),
    ({"type": "metric", "name": "a", "threshold": 1, "comparison": "="}, "/gates/0"),
    ({"type": "metric", "name": "a", "threshold": 1, "value": 1}, "/gates/0"),
    ({"type": "approvals", "count": 0}, "/gates/0"),
    ({"type": "approvals", "count": 1.0}, "/gates/0"),
    ({"type": "not_worse", "name": "a", "better": "higer"}, "/gates/0"),
    ({"type": "tag"}, "/gates/0"),
]


async def test_gates_that_are_refused(memory_service: Service) -> None:
    for gate, pointer in BAD:
        answer = await memory_service.client.post(POLICIES, json={"name": "p", "alias": "a", "gates": [gate]})
        assert answer.status_code == 422, (gate, answer.text)
        assert answer.json()["errors"][0]["pointer"].startswith(pointer), answer.text
    for gates in ([], [{"type": "digests"}] * 51):
        answer = await memory_service.client.post(POLICIES, json={"name": "p", "alias": "a", "gates": gates})
        assert answer.status_code == 422


def openapi_of(document: dict[str, Any], find: Callable[[dict[str, Any]], bool]) -> list[str]:
    return [name for name, schema in document["components"]["schemas"].items() if find(schema)]


async def test_gates_are_a_union_in_openapi(memory_service: Service) -> None:
    document = (await memory_service.client.get("/openapi.json")).json()
    assert openapi_of(document, lambda schema: schema.get("properties", {}).get("type", {}).get("const") == "not_worse")
