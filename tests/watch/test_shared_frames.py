"""What many watchers are told of one change is made once, whatever they are watching."""

from collections.abc import Mapping
from typing import Any

from regesta.watch import Audience, WatchTokens
from regesta.watch.audience import Commit

RAW = {"_id": 1, "name": "a", "text": "x" * 1000}


def audience(identity: int, shape: Any, made: list[int]) -> Audience:
    def shown(raw: Mapping[str, Any]) -> bytes:
        made.append(identity)
        return b'{"item": "%b"}' % raw["text"].encode()

    name = str(identity).encode()
    return Audience(name, shape, lambda raw: True, lambda raw: raw["name"], shown, WatchTokens(b"secret", name))


def test_a_document_is_encoded_once_for_each_shape_and_not_copied() -> None:
    made: list[int] = []
    commit = Commit({"_data": "8200"}, None, RAW)

    told = [commit.told(audience(number, number % 2, made)) for number in range(300)]

    assert made == [0, 1]
    assert len({parts[0] for parts in told}) == 300, "each has a token of its own"
    assert len({id(parts[1]) for parts in told}) == 2
    assert b"".join(told[0]).startswith(b"event: created\nid: ")
    assert b"".join(told[0]).endswith(b'\ndata: {"item": "' + b"x" * 1000 + b'"}\n\n')
