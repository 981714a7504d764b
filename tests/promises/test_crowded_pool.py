"""G10: requests that are given up while they wait for a connection leave the connections to others."""

import asyncio
from collections import Counter

import pytest
from tests.promises.asgi import send
from tests.promises.documents import Account, serve

from regesta.store import collection_of, open_store

CONNECTIONS = 2
WRITERS = 300
ROUNDS = 4


@pytest.mark.parametrize("option", ["", "&waitQueueTimeoutMS=5000"], ids=["usual", "own"])
async def test_a_crowd_that_runs_out_of_time_does_not_block_those_after_it(mongod_uri: str, option: str) -> None:
    name = f"crowded_{'own' if option else 'usual'}"
    address = f"{mongod_uri}&maxPoolSize={CONNECTIONS}{option}"
    async with open_store(address, database=name) as store:
        patient = await serve(store.database)
        seen: Counter[int] = Counter()
        for attempt in range(ROUNDS):
            hasty = await serve(store.database, seconds=0.02 * 3**attempt)
            asked = [send(hasty, "POST", "/accounts", {"name": f"{attempt}-{n}"}) for n in range(WRITERS)]
            seen.update(answer.status for answer in await asyncio.wait_for(asyncio.gather(*asked), 30))
            answer = await asyncio.wait_for(send(patient, "POST", "/accounts", {"name": f"{attempt}-last"}), 30)
            assert answer.status == 201
        assert seen.keys() <= {201, 503}
        assert seen[503]
        assert await collection_of(Account).count_documents({}) >= seen[201] + ROUNDS
        await store.client.drop_database(name)
