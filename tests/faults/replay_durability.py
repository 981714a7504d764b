"""An answer that vouches for somebody's write is never taken back: `python -m tests.faults.replay_durability`.

Three nodes, and the majority is cut off. On one server many requests write, and wait for the majority. On a second
server the same is asked for again, and on a third one, which believes whatever it reads (the negative control). Then
the first server and the primary are killed, and what the first server wrote is gone. What was answered must be true
after that: all that the second server says is, and nothing that the third one says.

Prints what was answered and what is stored. The exit code is 0 if the server under test told the truth and the control
did not, else 1.
"""

import asyncio
import sys
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any, Literal

import httpx
from tests.eventually import eventually_async
from tests.faults.replica_set import ReplicaSet, temporary_replica_set
from tests.faults.server import GULLIBLE, Server, make_indexes, serving

from regesta.operations import etag_of

DATABASE = "faults"
PATIENCE = 60.0  # seconds
# How long the server under test may say something wrong. What it says later must be true as well.
TEMPTATION = 1.0
PATCH = {"Content-Type": "application/merge-patch+json"}
LINES = {"Content-Type": "application/x-ndjson"}

# What the control does: it lies at once; or when the primary is dead, since MongoDB makes it wait until then; or not at
# all, since MongoDB itself vouches for what it says: at the commit of a transaction that wrote nothing, or of a write
# outside of one that a unique index refuses.
Control = Literal["lies", "lies late", "cannot lie"]
Answer = httpx.Response
Raw = dict[str, Any] | None
Asks = Callable[[httpx.AsyncClient, str, str], Coroutine[Any, Any, Answer]]


@dataclass(frozen=True)
class Case:
    """One way to vouch for another server's write. Each function gets a client, a key and the ETag before the write."""

    name: str
    before: Asks | None
    write: Asks
    ask: Asks
    # Whether an answer is true of the document that is stored, which had this ETag before the write.
    is_true: Callable[[Answer, Raw, str], bool]
    path: str = "accounts"
    control: Control = "lies"


@dataclass
class Told:
    """What a server answered to a case."""

    case: Case
    server: str
    key: str
    etag: str = ""
    answer: Answer | None = None
    stored: Raw = None

    @property
    def is_true(self) -> bool:
        return self.answer is None or self.case.is_true(self.answer, self.stored, self.etag)

    def __str__(self) -> str:
        said = "nothing" if self.answer is None else f"{self.answer.status_code} {self.answer.text.strip()[:90]}"
        there = "nothing" if self.stored is None else etag_of(self.stored)
        return f"{'true ' if self.is_true else 'FALSE'} {self.server:8} {self.case.name:28} {said} | stored: {there}"


def _create(client: httpx.AsyncClient, key: str, _: str) -> Coroutine[Any, Any, Answer]:
    return client.post("/accounts", json={"name": key})


def _create_plain(client: httpx.AsyncClient, key: str, _: str) -> Coroutine[Any, Any, Answer]:
    return client.post("/plains", json={"name": key})


def _create_once(client: httpx.AsyncClient, key: str, _: str) -> Coroutine[Any, Any, Answer]:
    return client.post("/accounts", json={"name": key}, headers={"Idempotency-Key": key})


def _import(client: httpx.AsyncClient, key: str, _: str) -> Coroutine[Any, Any, Answer]:
    return client.post("/accounts?on_conflict=skip", content=f'{{"name": "{key}"}}\n', headers=LINES)


def _batch(client: httpx.AsyncClient, key: str, _: str) -> Coroutine[Any, Any, Answer]:
    create = {"op": "create", "body": {"name": key}}
    return client.post("/accounts:batch", json={"atomic": False, "operations": [create]})


def _delete(client: httpx.AsyncClient, key: str, _: str) -> Coroutine[Any, Any, Answer]:
    return client.delete(f"/accounts/{key}")


def _delete_plain(client: httpx.AsyncClient, key: str, _: str) -> Coroutine[Any, Any, Answer]:
    return client.delete(f"/plains/{key}")


def _change(client: httpx.AsyncClient, key: str, _: str) -> Coroutine[Any, Any, Answer]:
    return client.patch(f"/accounts/{key}", json={"balance": 1}, headers=PATCH)


def _change_plain(client: httpx.AsyncClient, key: str, _: str) -> Coroutine[Any, Any, Answer]:
    return client.patch(f"/plains/{key}", json={"balance": 1}, headers=PATCH)


def _change_that(client: httpx.AsyncClient, key: str, etag: str) -> Coroutine[Any, Any, Answer]:
    return client.patch(f"/accounts/{key}", json={"balance": 2}, headers={**PATCH, "If-Match": f'"{etag}"'})


async def _read_again(client: httpx.AsyncClient, key: str, _: str) -> Answer:
    return await _unchanged(client, f"/accounts/{key}")


async def _make_version(client: httpx.AsyncClient, key: str, _: str) -> Answer:
    (await client.post("/models", json={"name": key})).raise_for_status()
    return await client.post(f"/models/{key}/versions", json={})


async def _make_aliased(client: httpx.AsyncClient, key: str, etag: str) -> Answer:
    await _make_version(client, key, etag)
    return await _set_alias(client, key, etag)


def _set_alias(client: httpx.AsyncClient, key: str, _: str) -> Coroutine[Any, Any, Answer]:
    return client.put(f"/models/{key}/aliases/champion", json={"version": 1})


def _describe(client: httpx.AsyncClient, key: str, _: str) -> Coroutine[Any, Any, Answer]:
    return client.patch(f"/models/{key}/versions/1", json={"description": "new"}, headers=PATCH)


async def _read_alias_again(client: httpx.AsyncClient, key: str, _: str) -> Answer:
    return await _unchanged(client, f"/models/{key}/aliases/champion")


async def _unchanged(client: httpx.AsyncClient, path: str) -> Answer:
    first = await client.get(path)
    return await client.get(path, headers={"If-None-Match": first.headers["etag"]})


def _is_there(answer: Answer, stored: Raw, _: str) -> bool:
    running = answer.status_code == 409 and answer.json().get("code") == "IDEMPOTENCY_KEY_IN_USE"
    return running or answer.status_code == 503 or stored is not None


def _are_there(answer: Answer, stored: Raw, _: str) -> bool:
    """As `_is_there`, of an answer that has a status for each document."""
    unknown = '"status":503' in answer.text
    return unknown or answer.status_code == 503 or stored is not None


def _is_gone(answer: Answer, stored: Raw, _: str) -> bool:
    return answer.status_code == 503 or stored is None


def _has_changed(answer: Answer, stored: Raw, etag: str) -> bool:
    return answer.status_code == 503 or (stored is not None and etag_of(stored) != etag)


def _is_as_answered(answer: Answer, stored: Raw, _: str) -> bool:
    return answer.status_code == 503 or (stored is not None and answer.headers["etag"] == f'"{etag_of(stored)}"')


def _is_as_read(answer: Answer, stored: Raw, _: str) -> bool:
    """A 200 is a plain read."""
    return answer.status_code != 304 or _is_as_answered(answer, stored, _)


def _has_alias(answer: Answer, stored: Raw, _: str) -> bool:
    return answer.status_code == 503 or "champion" in (stored or {})["aliases"]


CASES = [
    Case("a replay", None, _create_once, _create_once, _is_there),
    Case("409 of a create", None, _create, _create, _is_there, control="lies late"),
    Case("409 without a transaction", None, _create_plain, _create_plain, _is_there, "plains", "cannot lie"),
    Case("skipped by an import", None, _create, _import, _are_there, control="lies late"),
    Case("409 in a batch", None, _create, _batch, _are_there, control="lies late"),
    Case("404 after a delete", _create, _delete, _delete, _is_gone),
    Case("404 without a transaction", _create_plain, _delete_plain, _delete_plain, _is_gone, "plains"),
    Case("412", _create, _change, _change_that, _has_changed),
    Case("304", _create, _change, _read_again, _is_as_read),
    Case("304 of a plugin's route", _make_aliased, _describe, _read_alias_again, _is_as_read, "versions"),
    Case("nothing to change", _create_plain, _change_plain, _change_plain, _is_as_answered, "plains"),
    Case("an alias that stands", _make_version, _set_alias, _set_alias, _has_alias, "versions", "cannot lie"),
]


def stored(nodes: ReplicaSet, told: Told) -> Raw:
    """What the primary shows now."""
    database = nodes.primary.client[DATABASE]
    if told.case.path == "versions":
        return database["versions"].find_one({"model": told.key})
    return database[told.case.path.removesuffix("s").capitalize()].find_one({"name": told.key})


async def tell(nodes: ReplicaSet, first: Server, asked: list[Server], cases: list[Case]) -> list[Told]:
    """Let the first server write and the others be asked, then kill the first one and the primary."""
    names = ["tested", "control"][: len(asked)]
    all_told = [Told(case, name, f"{name}-{number}") for number, case in enumerate(cases) for name in names]
    clients = [httpx.AsyncClient(base_url=one.url, timeout=PATIENCE, trust_env=False) for one in (first, *asked)]
    writer, by_name = clients[0], dict(zip(names, clients[1:], strict=True))
    (await _create_once(writer, "first", "")).raise_for_status()  # makes an index, which waits for the majority
    for told in all_told:
        if told.case.before:
            (await told.case.before(writer, told.key, "")).raise_for_status()
            raw = stored(nodes, told)
            assert raw is not None
            told.etag = etag_of(raw)

    with nodes.majority_cut_off():
        writing = [asyncio.create_task(told.case.write(writer, told.key, told.etag)) for told in all_told]

        async def all_shown() -> bool:
            return all(_changed(stored(nodes, told), told.etag) for told in all_told)

        await eventually_async(all_shown, within=PATIENCE)
        asking = [asyncio.create_task(_asked(by_name[told.server], told)) for told in all_told]
        lies = [
            task
            for task, told in zip(asking, all_told, strict=True)
            if told.server == "control" and told.case.control == "lies"
        ]
        if lies:
            await asyncio.wait(lies, timeout=PATIENCE)
        await asyncio.wait(asking, timeout=TEMPTATION)
        first.kill()
        nodes.fail_over()
    await asyncio.gather(*writing, return_exceptions=True)
    await asyncio.gather(*asking)
    for told in all_told:
        told.stored = stored(nodes, told)
    for client in clients:
        await client.aclose()
    return all_told


def _changed(raw: Raw, etag: str) -> bool:
    return (etag_of(raw) if raw else "") != etag


async def _asked(client: httpx.AsyncClient, told: Told) -> None:
    told.answer = await told.case.ask(client, told.key, told.etag)


async def run(nodes: ReplicaSet, cases: list[Case], *, control: bool = True) -> list[Told]:
    """All of it on these nodes."""
    await make_indexes(nodes.uri, DATABASE)
    with serving(nodes.uri, DATABASE) as first, serving(nodes.uri, DATABASE) as tested:
        if not control:
            return await tell(nodes, first, [tested], cases)
        with serving(nodes.uri, DATABASE, GULLIBLE) as gullible:
            return await tell(nodes, first, [tested, gullible], cases)


def main() -> int:
    """Print what was told. 0 if the server under test told the truth, and the control did not."""
    with temporary_replica_set() as nodes:
        all_told = asyncio.run(run(nodes, CASES))
    print(*all_told, sep="\n")
    wrong = [told for told in all_told if told.server == "tested" and not told.is_true]
    harmless = [told for told in all_told if told.server == "control" and "lies" in told.case.control and told.is_true]
    print(f"{len(wrong)} answers of the server under test were taken back")
    if harmless:
        print(f"the control did not lie in {len(harmless)} cases: this run shows nothing of them")
    return 1 if wrong or harmless else 0


if __name__ == "__main__":
    sys.exit(main())
