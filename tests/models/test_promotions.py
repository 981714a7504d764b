"""Promotions: what became of an alias; overrides, rollbacks, races, and no way around the gates."""

import asyncio
from typing import Any

import httpx
import pytest
from tests.models.application import MERGE_PATCH, Service, at, audited, serve
from tests.models.test_gates import NOT_WORSE, VERSIONS, approve, by, guard, metric, refused

from regesta import Access, Caller, Conflict, Forbidden, hookimpl
from regesta_models import Aliases, Promotion, Version

ALIAS = "/models/resnet/aliases/production"
PROMOTIONS = "/models/resnet/promotions"
SIGNED: dict[str, Any] = {
    "signature": {"inputs": [{"name": "x", "dtype": "f"}], "outputs": [{"name": "y", "dtype": "f"}]}
}
SIGNATURE = {"type": "signature"}


async def promotions(service: Service, **parameters: Any) -> list[dict[str, Any]]:
    """The newest first."""
    answer = await service.client.get(PROMOTIONS, params=parameters)
    found: list[dict[str, Any]] = answer.json()["items"]
    return found


async def override(service: Service, number: int, reason: str = "outage", **options: Any) -> httpx.Response:
    return await service.client.post(f"{ALIAS}:override", json={"version": number, "reason": reason}, **options)


async def rollback(service: Service, **options: Any) -> httpx.Response:
    return await service.client.post(f"{ALIAS}:rollback", json=options.pop("json", {}), **options)


async def stands(service: Service) -> int | None:
    answer = await service.client.get(ALIAS)
    return answer.json()["number"] if answer.status_code == 200 else None


async def with_versions(service: Service, count: int, **fields: Any) -> None:
    await service.model()
    for _ in range(count):
        await service.version(**fields)


async def test_each_move_is_written_down(any_service: Service) -> None:
    service = any_service
    await with_versions(service, 2)
    await service.client.put(ALIAS, json={"version": 1}, headers=by("ann"))
    await service.point("production", 1)
    await service.point("production", 2)
    await service.client.delete(ALIAS)
    await service.point("other", 2)
    seen = [(one["number"], one["version"], one["previous"]) for one in await promotions(service, alias="production")]
    assert seen == [(3, None, 2), (2, 2, 1), (1, 1, None)]
    (first,) = await promotions(service, by="ann")
    assert (first["alias"], first["policies"], first["approved_by"], first["override"]) == ("production", [], [], None)
    assert first["at"] > "2020"


async def test_clients_cannot_write_promotions(memory_service: Service) -> None:
    await with_versions(memory_service, 1)
    await memory_service.point("production", 1)
    for method, path in (("POST", ""), ("POST", ":batch"), ("PUT", "/1"), ("PATCH", "/1"), ("DELETE", "/1")):
        answer = await memory_service.client.request(method, f"{PROMOTIONS}{path}", json={})
        assert answer.status_code in (404, 405), (method, path)


async def test_overrides_and_rollbacks_keep_to_conditions(any_service: Service) -> None:
    service = any_service
    await with_versions(service, 2)
    etag = (await service.point("production", 1)).headers["etag"]
    stale = {"If-Match": '"0000"'}
    assert (await override(service, 2, headers=stale)).status_code == 412
    moved = await override(service, 2, headers={"If-Match": etag})
    assert moved.status_code == 200
    assert (await rollback(service, headers=stale)).status_code == 412
    assert (await rollback(service, headers={"If-Match": "garbage"})).status_code == 400
    assert (await rollback(service, headers={"If-Match": moved.headers["etag"]})).status_code == 200
    assert await stands(service) == 1


async def test_an_override_tells_why_and_what_it_passed_by(any_service: Service) -> None:
    service = any_service
    await with_versions(service, 1, status="pending")
    await guard(service, SIGNATURE, {"type": "digests"})
    assert refused(await service.point("production", 1)) == ["status", "signature", "digests"]
    answer = await override(service, 1, headers=by("ann"))
    assert answer.status_code == 201, answer.text
    (promotion,) = await promotions(service)
    assert (promotion["by"], promotion["policies"]) == ("ann", ["p"])
    assert promotion["override"]["reason"] == "outage"
    assert [(gate["policy"], gate["gate"], gate["type"]) for gate in promotion["override"]["gates"]] == [
        ("", 0, "status"),
        ("p", 0, "signature"),
        ("p", 1, "digests"),
    ]
    found = await service.database["audit_events"].find_one({"resource": "promotions"})
    assert found["actor"]["subject"] == "ann"
    assert "outage" in str(found["changes"])


async def test_an_override_needs_a_reason(memory_service: Service) -> None:
    await with_versions(memory_service, 1)
    for reason in ("", "   ", "x" * 2001, None, 1):
        body = {"version": 1, "reason": reason}
        assert (await memory_service.client.post(f"{ALIAS}:override", json=body)).status_code == 422, reason
    assert (await memory_service.client.post(f"{ALIAS}:override", json={"version": 1})).status_code == 422
    sent = {"version": 1, "override": {"reason": "x"}}
    assert (await memory_service.client.put(ALIAS, json=sent)).status_code == 422
    assert (await override(memory_service, 9)).status_code == 404


class Guards:
    """Only some may pass by gates, or go back."""

    name = "guards"

    def __init__(self) -> None:
        self.asked: list[str] = []

    @hookimpl
    def authorize(self, request: Access) -> None:
        self.asked.append(request.operation)
        if request.operation in ("override_alias", "rollback_alias") and request.caller.actor.subject != "root":
            raise Forbidden("not you")


async def test_a_rollback_needs_no_body(any_service: Service) -> None:
    await with_versions(any_service, 3)
    for number in (1, 2, 3):
        await any_service.point("production", number)
    answer = await any_service.client.post(f"{ALIAS}:rollback")
    assert (answer.status_code, answer.json()["number"]) == (200, 2)
    answer = await any_service.client.post(f"{ALIAS}:rollback", content=b'{"reason": "x"}')
    assert answer.status_code == 415
    answer = await any_service.client.post(f"{ALIAS}:rollback", headers={"Content-Type": "application/json"})
    assert answer.status_code == 400


async def test_overrides_and_rollbacks_are_rights_of_their_own(database: Any) -> None:
    guards = Guards()
    async with serve(database, guards) as service:
        await with_versions(service, 2)
        await guard(service, SIGNATURE)
        assert (await override(service, 1, headers=by("ann"))).status_code == 403
        assert await stands(service) is None
        for number in (1, 2):
            assert (await override(service, number, headers=by("root"))).status_code in (200, 201)
        assert (await rollback(service, headers=by("ann"))).status_code == 403
        assert (await rollback(service, headers=by("root"))).status_code == 200
        guards.asked.clear()
        assert refused(await service.point("production", 2)) == ["signature"]
        assert guards.asked == ["set_alias"]


@pytest.mark.parametrize("dry", [{"validate_only": "true"}])
async def test_what_is_missing_is_told_and_nothing_changes(dry: dict[str, str], any_service: Service) -> None:
    service = any_service
    await with_versions(service, 1)
    await service.version(**SIGNED)
    await guard(service, SIGNATURE)
    before = await audited(service)
    answer = await service.client.put(ALIAS, json={"version": 1}, params=dry)
    assert refused(answer) == ["signature"]
    fine = await service.client.put(ALIAS, json={"version": 2}, params=dry)
    assert (fine.status_code, fine.json()["aliases"]) == (200, ["production"])
    assert "etag" not in fine.headers
    assert (await override(service, 1, params=dry)).status_code == 200
    assert (await stands(service), await promotions(service), await audited(service)) == (None, [], before)
    await service.point("production", 2)
    await override(service, 1)
    back = await rollback(service, params=dry)
    assert (back.status_code, back.json()["number"]) == (200, 2)
    assert await stands(service) == 1
    assert (await service.client.put(ALIAS, json={"version": 1}, params={"validate_only": "1"})).status_code == 422


# rollback


async def test_a_rollback_goes_back_and_twice_one_further(any_service: Service) -> None:
    service = any_service
    await with_versions(service, 4)
    for number in (1, 2, 3):
        await service.point("production", number)
    back = await rollback(service, json={"reason": "slow"}, headers=by("ann"))
    assert (back.status_code, back.json()["number"], back.json()["aliases"]) == (200, 2, ["production"])
    (newest, *_) = await promotions(service)
    assert (newest["version"], newest["previous"], newest["rolls_back"]) == (2, 3, 3)
    assert (newest["reason"], newest["by"]) == ("slow", "ann")
    assert (await rollback(service)).json()["number"] == 1
    nowhere = await rollback(service)
    assert (nowhere.status_code, nowhere.json()["code"]) == (409, "NOTHING_TO_ROLL_BACK")
    assert await stands(service) == 1
    # A move goes on from there.
    await service.point("production", 4)
    assert (await rollback(service)).json()["number"] == 1
    assert (await rollback(service)).status_code == 409


async def test_an_alias_that_was_taken_away_comes_back(any_service: Service) -> None:
    service = any_service
    await with_versions(service, 2)
    await service.point("production", 1)
    await service.point("production", 2)
    await service.client.delete(ALIAS)
    assert (await rollback(service)).json()["number"] == 2
    assert (await rollback(service)).json()["number"] == 1
    await service.client.delete(ALIAS)
    # The same version again is no place to go back to.
    await service.point("production", 1)
    assert (await rollback(service)).json()["code"] == "NOTHING_TO_ROLL_BACK"


async def test_there_is_nothing_to_go_back_to(any_service: Service) -> None:
    await with_versions(any_service, 1)
    assert (await rollback(any_service)).status_code == 404
    await any_service.point("production", 1)
    assert (await rollback(any_service)).json()["code"] == "NOTHING_TO_ROLL_BACK"
    assert (await rollback(any_service, json={"force": True})).status_code == 422


async def test_a_version_that_is_gone_is_no_place_to_go_back_to(any_service: Service) -> None:
    service = any_service
    await with_versions(service, 2)
    await service.point("production", 1)
    await service.point("production", 2)
    assert (await service.client.delete(f"{VERSIONS}/1")).status_code == 204
    answer = await rollback(service)
    assert (answer.status_code, answer.json()["code"]) == (409, "VERSION_GONE")
    assert await stands(service) == 2


async def test_a_rollback_asks_no_gates(any_service: Service) -> None:
    service = any_service
    await service.model()
    for value in (0.7, 0.8):
        await service.version(metrics=[metric(value, dataset="imagenet")])
    await guard(service, NOT_WORSE)
    await service.point("production", 1)
    await service.point("production", 2)
    assert refused(await service.point("production", 1)) == ["not_worse"]
    assert (await rollback(service)).json()["number"] == 1


async def test_an_alias_older_than_promotions_moves_and_goes_back(any_service: Service) -> None:
    service = any_service
    await with_versions(service, 2)
    await service.database["versions"].update_one({"number": 1}, {"$set": {"aliases": ["production"]}})
    assert (await service.point("production", 2)).status_code == 200
    assert (await rollback(service)).json()["number"] == 1
    assert (await rollback(service)).status_code == 409


# no way around


async def test_clients_cannot_put_aliases_on_versions(service: Service) -> None:
    await with_versions(service, 1)
    await guard(service, SIGNATURE)
    client, aliases = service.client, {"aliases": ["production"]}
    lines = {"Content-Type": "application/x-ndjson"}
    assert (await client.post(VERSIONS, json=aliases)).status_code == 422
    assert (await client.put(f"{VERSIONS}/1", json=aliases)).status_code == 422
    assert (await client.patch(f"{VERSIONS}/1", json=aliases, headers=MERGE_PATCH)).status_code == 422
    operations = [{"op": "create", "body": aliases}, {"op": "patch", "key": "1", "body": aliases}]
    for operation in operations:
        assert (await client.post(f"{VERSIONS}:batch", json={"operations": [operation]})).status_code == 422
    await client.post(VERSIONS, content='{"aliases": ["production"]}\n', headers=lines)
    assert await service.database["versions"].count_documents({"aliases": "production"}) == 0


async def test_a_revert_brings_no_alias_back(service: Service) -> None:
    await with_versions(service, 2)
    await service.point("production", 1)
    carrying = (await service.client.get(f"{VERSIONS}/1")).headers["etag"].strip('"')
    await service.point("production", 2)
    await guard(service, SIGNATURE)
    answer = await service.client.post(f"{VERSIONS}/1:revert", json={"revision": carrying})
    assert answer.status_code in (200, 409, 422), answer.text
    assert await stands(service) == 2
    assert await service.database["versions"].count_documents({"aliases": "production"}) == 1


async def test_programs_put_no_alias_on_a_version_by_themselves(any_service: Service) -> None:
    service = any_service
    await with_versions(service, 2)
    await guard(service, SIGNATURE)
    await service.point("other", 1)
    versions, caller = service.registry["versions"], Caller(scope={"workspace": "default"})

    def carrying(*aliases: str) -> Any:
        def edit(_: Any, version: Version) -> Version:
            version.aliases = list(aliases)
            return version

        return edit

    for aliases in (("production",), ("other", "production"), ()):
        with pytest.raises(Conflict) as refusal:
            await versions.update(caller, ("resnet", "1"), carrying(*aliases))
        assert refusal.value.code == "NOT_PROMOTED"
    with pytest.raises(Conflict):
        await versions.create(caller, ("resnet",), lambda: Version.model_construct(aliases=["production"]))
    for fake in (
        Promotion.model_construct(alias="production", version=1),
        Promotion.model_construct(alias="production", version=1, rolls_back=1),
        Promotion.model_construct(alias="other", version=2, rolls_back=1),
    ):
        with pytest.raises(Conflict):
            await service.registry["promotions"].create(caller, ("resnet",), lambda made=fake: made)  # type: ignore[misc]
    with pytest.raises(Conflict) as gates:
        await Aliases(service.registry).set(caller, "resnet", "production", 1)
    assert gates.value.code == "GATES_NOT_MET"
    assert (await service.client.get("/models/resnet/aliases")).json() == {"other": 1}


async def test_several_moves_of_a_program_stand_together(service: Service) -> None:
    await with_versions(service, 2)
    await guard(service, SIGNATURE)
    aliases, caller = Aliases(service.registry), Caller(scope={"workspace": "default"})

    async def work(unit: Any) -> None:
        await aliases.set(caller, "resnet", "staging", 1, unit=unit)
        await aliases.set(caller, "resnet", "production", 1, unit=unit)

    with pytest.raises(Conflict):
        await service.registry.run("versions", work)
    assert (await service.client.get("/models/resnet/aliases")).json() == {}
    assert await promotions(service) == []


# at the same time


async def test_of_two_moves_at_once_each_is_judged_by_what_it_finds(service: Service) -> None:
    await service.model()
    await guard(service, NOT_WORSE)
    for value in (0.1, 0.5, 0.9):
        await service.version(metrics=[metric(value, dataset="imagenet")])
    for attempt in range(8):
        await service.client.delete(ALIAS)
        assert (await override(service, 1)).status_code in (200, 201)
        answers = await asyncio.gather(service.point("production", 2), service.point("production", 3))
        # Whichever came first, the better one stands; the worse one cannot have come after it.
        assert await stands(service) == 3, attempt
        assert answers[1].status_code == 200
        assert answers[0].status_code in (200, 409)
        history = [one["version"] for one in await promotions(service, page_size=2)]
        assert history == ([3, 2] if answers[0].status_code == 200 else [3, 1])


async def test_an_approval_that_is_withdrawn_meanwhile_counts_whole_or_not_at_all(service: Service) -> None:
    await service.model()
    await guard(service, {"type": "approvals"})
    for _ in range(12):
        number = (await service.version())["number"]
        given = (await approve(service, "bob", number)).json()
        moved, withdrawn = await asyncio.gather(
            service.point("production", number),
            service.client.delete(f"{VERSIONS}/{number}/approvals/{given['id']}", headers=by("bob")),
        )
        assert withdrawn.status_code == 204
        if moved.status_code == 409:
            assert refused(moved) == ["approvals"]
            assert await stands(service) != number
        else:
            assert moved.status_code in (200, 201)
            assert (await promotions(service, page_size=1))[0]["approved_by"] == ["bob"]
        # From here on it is known to be gone.
        await service.client.delete(ALIAS)
        assert refused(await service.point("production", number)) == ["approvals"]


async def test_a_policy_that_changes_meanwhile_counts_whole_or_not_at_all(service: Service) -> None:
    await with_versions(service, 1)
    for attempt in range(10):
        moved, created = await asyncio.gather(
            service.point("production", 1),
            service.client.post(
                "/promotion-policies", json={"name": f"p{attempt}", "alias": "production", "gates": [SIGNATURE]}
            ),
        )
        assert created.status_code == 201
        assert moved.status_code in (201, 409)
        assert await stands(service) == (1 if moved.status_code == 201 else None)
        if moved.status_code == 201:
            assert (await promotions(service, page_size=1))[0]["policies"] == []
            await service.client.delete(ALIAS)
        assert refused(await service.point("production", 1)) == ["signature"]
        assert (await service.client.delete(f"/promotion-policies/p{attempt}")).status_code == 204


async def test_promotions_go_with_their_model(service: Service) -> None:
    await with_versions(service, 1)
    await service.point("production", 1)
    await service.client.delete(ALIAS)
    assert (await service.client.delete(f"{VERSIONS}/1")).status_code == 204
    assert (await service.client.delete(at("resnet"))).status_code == 204
    assert await service.database["promotions"].count_documents({}) == 0


@pytest.mark.parametrize("method", ["override", "rollback"])
async def test_custom_methods_of_aliases_are_posts(method: str, memory_service: Service) -> None:
    for verb in ("GET", "OPTIONS", "PUT", "PATCH", "DELETE"):
        answer = await memory_service.client.request(verb, f"{ALIAS}:{method}")
        assert (answer.status_code, answer.headers["allow"]) == (405, "POST")
        assert answer.json()["code"] == "METHOD_NOT_ALLOWED"


@pytest.mark.parametrize(("custom", "body"), [("rollback", {}), ("override", {"version": 1, "reason": "urgent"})])
async def test_an_idempotency_key_is_refused_where_no_answer_is_kept(
    any_service: Service, custom: str, body: dict[str, Any]
) -> None:
    answer = await any_service.client.post(f"{ALIAS}:{custom}", json=body, headers={"Idempotency-Key": "k"})
    assert (answer.status_code, answer.json()["errors"][0]["type"]) == (422, "not_kept")
    assert answer.json()["errors"][0]["loc"] == ["header", "Idempotency-Key"]
