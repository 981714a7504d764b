"""Where webhooks may lead. No name that needs a name server is looked up, and nothing is sent off this machine."""

import socket
import threading
from collections.abc import Iterator
from ipaddress import ip_address

import pytest
from tests.mlflow.application import Both, both

from regesta_mlflow import Settings
from regesta_mlflow.delivery import (
    Busy,
    Forbidden,
    Shares,
    Targets,
    UnusableUrl,
    authority_of,
    is_public,
    networks_of,
    parsed,
    targets,
)

EVENTS = [{"entity": "MODEL_VERSION", "action": "CREATED"}]
NOT_PUBLIC = [
    *("127.0.0.1", "10.0.0.1", "192.168.1.1", "172.31.0.1", "169.254.169.254", "0.0.0.0", "0.1.2.3"),
    *("100.64.0.1", "100.100.100.200", "192.0.0.1", "192.0.0.170", "192.0.0.192", "192.0.2.1", "192.88.99.1"),
    *("198.18.0.1", "198.19.255.255", "198.51.100.1", "203.0.113.1", "224.0.0.1", "239.1.1.1", "240.0.0.1"),
    *("255.255.255.255", "168.63.129.16"),
    *("::1", "::", "fe80::1", "fc00::1", "fd00:ec2::254", "fec0::1", "ff02::1", "ff0e::1", "100::1", "100:0:0:1::1"),
    *("2001::1", "2001:2::1", "2001:10::1", "2001:1::4", "2001:db8::1", "3fff::1", "5f00::1", "4000::1", "::a00:1"),
    *("::ffff:10.0.0.1", "::ffff:169.254.169.254", "2002:0a00:0001::", "2002:7f00:1::", "2002:a9fe:a9fe::1"),
    *("64:ff9b::a00:1", "64:ff9b::a9fe:a9fe", "64:ff9b::c612:1", "64:ff9b:1::1", "64:ff9b:1::a00:1"),
]
PUBLIC = [
    *("93.184.216.34", "1.1.1.1", "192.0.0.9", "192.0.0.10", "192.31.196.1", "192.52.193.1", "192.175.48.1"),
    *("100.128.0.1", "172.32.0.1", "198.20.0.1"),
    *("2606:4700::1111", "2001:4860::1", "2001:1::1", "2001:1::2", "2001:1::3", "2001:3::1", "2001:4:112::1"),
    *("2001:20::1", "2001:30::1", "2620:4f:8000::1", "64:ff9b::5db8:d822", "::ffff:93.184.216.34", "2002:5db8:d822::1"),
]


def url_of(address: str) -> str:
    return f"https://[{address}]/x" if ":" in address else f"https://{address}/x"


@pytest.mark.parametrize("address", NOT_PUBLIC)
async def test_an_address_that_is_not_public_is_refused(registry: Both, address: str) -> None:
    assert not is_public(ip_address(address))
    hook = {"name": "hook", "url": url_of(address), "events": EVENTS, "status": "DISABLED"}
    said = await registry.refused("POST", "/webhooks", **hook)
    assert said[:2] == (400, "INVALID_PARAMETER_VALUE")


@pytest.mark.parametrize("address", PUBLIC)
async def test_an_address_that_is_public_is_taken(registry: Both, address: str) -> None:
    assert is_public(ip_address(address))
    hook = {"name": "hook", "url": url_of(address), "events": EVENTS, "status": "DISABLED"}
    await registry.done("POST", "/webhooks", **hook)


@pytest.mark.parametrize(
    "url",
    [
        *("ftp://x", "https://", "https://[x", "https://a b", "x", "https://a/\u2028", "https://a/\t", "https://a\\b"),
        *("https://a..b/x", "https://.a/x", "https://-a/x", "https://a-/x", "https://%31.0.0.1/", "https://a:0/"),
        *("https://a:99999/", "https://a:b/", f"https://{'a' * 64}.b/", f"https://{'a.' * 150}b/", "https://xn--/"),
        *("https://\u2603.example/", "https://a\u200db/", "https://\u0301a.example/", f"https://{'ü' * 250}.a/"),
        *(f"https://{'ü' * 100_000}.a/", f"https://a/{'x' * 3000}", "https://\ud800.a/"),
        *("https://me:secret@a/", "https://me@a/", "https://@a/"),
    ],
)
async def test_a_url_that_nothing_can_be_sent_to_is_refused_without_looking_a_name_up(
    registry: Both, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: pytest.fail("a name was looked up"))
    with pytest.raises(UnusableUrl):
        parsed(url)
    assert authority_of(url) == ""
    if url.isprintable():  # what is no text in JSON never gets here
        status, code, said = await registry.refused("POST", "/webhooks", name="hook", url=url, events=EVENTS)
        assert (status, code) == (400, "INVALID_PARAMETER_VALUE")
        assert "secret" not in said.replace("with a secret", "")


@pytest.mark.parametrize(
    ("url", "authority"),
    [
        ("https://Bücher.Example/x", "xn--bcher-kva.example:443"),
        ("https://\uff25XAMPLE.com", "example.com:443"),
        ("http://my_service:8080/", "my_service:8080"),
        ("https://[2606:4700::1111]/", "[2606:4700::1111]:443"),
        ("https://a.b./", "a.b.:443"),
    ],
)
def test_hosts_are_kept_apart_by_their_name_in_ascii_and_their_port(url: str, authority: str) -> None:
    assert authority_of(url) == authority


def test_what_a_path_cannot_have_as_it_is_is_encoded() -> None:
    assert parsed("https://a/ü?q=ä%20b&c=[d]#e").path == "/%C3%BC?q=%C3%A4%20b&c=[d]"
    assert parsed("https://a?b").path == "/?b"


# networks of the operator's own


async def test_only_networks_that_are_listed_may_be_reached() -> None:
    listed = Targets(networks_of("10.1.0.0/16,fd00::/8"))
    for url in ("http://10.1.2.3/", "https://[fd00::1]/", "http://[::ffff:10.1.2.3]/", "https://[64:ff9b::a01:203]/"):
        assert await listed.addresses(listed.target(url), "t")
    for url in ("https://10.2.0.1/", "https://127.0.0.1/", "https://[::1]/", "https://[fe80::1]/"):
        with pytest.raises(Forbidden, match="not a public address"):
            await listed.addresses(listed.target(url), "t")


async def test_plain_http_is_for_listed_networks_only() -> None:
    with pytest.raises(UnusableUrl, match="use https"):
        Targets().target("http://93.184.216.34/")
    listed = Targets(networks_of("10.1.0.0/16"))
    with pytest.raises(Forbidden, match="is a public address: use https"):
        await listed.addresses(listed.target("http://93.184.216.34/"), "t")
    assert await listed.addresses(listed.target("https://93.184.216.34/"), "t") == ["93.184.216.34"]


async def test_metadata_of_clouds_are_reached_by_no_list() -> None:
    everything = Targets(networks_of("0.0.0.0/0,::/0,169.254.169.254"))
    for address in ("169.254.169.254", "fd00:ec2::254", "::ffff:169.254.169.254", "64:ff9b::a9fe:a9fe"):
        with pytest.raises(Forbidden, match="metadata"):
            await everything.addresses(everything.target(url_of(address)), "t")


async def test_other_ways_to_write_an_address_are_the_same_address() -> None:
    for host in ("127.1", "0x7f.1", "2130706433", "0177.0.0.1", "\uff11\uff12\uff17.0.0.1", "localhost"):
        with pytest.raises(Forbidden):
            await Targets().addresses(parsed(f"https://{host}/"), "t")


# names that take their time


@pytest.fixture
def stuck(monkeypatch: pytest.MonkeyPatch) -> Iterator[threading.Event]:
    """Names are looked up when the event is set."""
    over = threading.Event()

    def looked_up(*_: object, **__: object) -> list[tuple[object, ...]]:
        over.wait()
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("10.0.0.1", 443))]

    monkeypatch.setattr(socket, "getaddrinfo", looked_up)
    yield over
    over.set()


async def test_a_name_that_takes_too_long_is_no_hindrance_to_others(
    stuck: threading.Event, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(targets, "LOOKUP_SECONDS", 0.01)
    listed = Targets(networks_of("10.0.0.0/8"))
    slow = parsed("https://slow.test/")
    seen = set()
    for _ in range(targets.LOOKUPS):
        with pytest.raises((TimeoutError, Busy)) as raised:
            await listed.addresses(slow, "loud")
        seen.add(raised.type)
    assert seen == {TimeoutError, Busy}
    monkeypatch.setattr(targets, "LOOKUP_SECONDS", 20)
    stuck.set()
    assert await listed.addresses(slow, "quiet") == ["10.0.0.1"]


async def test_a_webhook_whose_name_takes_too_long_is_checked_when_something_is_sent(
    registry: Both, stuck: threading.Event, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(targets, "LOOKUP_SECONDS", 0.01)
    hook = {"name": "hook", "url": "https://slow.test/", "events": EVENTS, "status": "DISABLED"}
    created = (await registry.done("POST", "/webhooks", **hook))["webhook"]["webhook_id"]
    result = (await registry.done("POST", f"/webhooks/{created}/test"))["result"]
    assert result == {"success": False, "error_message": "the name slow.test cannot be looked up"}
    monkeypatch.setattr(targets, "LOOKUP_SECONDS", 20)
    stuck.set()
    result = (await registry.done("POST", f"/webhooks/{created}/test"))["result"]
    assert result == {"success": False, "error_message": "slow.test is not a public address"}


def test_nobody_gets_all_places() -> None:
    shares = Shares(8)
    while shares.allows("a"):
        shares.take("a")
    assert (shares.held("a"), shares.full()) == (4, ["a"])
    while shares.allows("b"):
        shares.take("b")
    assert (shares.held("b"), shares.free) == (2, 2)
    assert shares.allows("c")
    shares.leave("a")
    shares.leave("a")
    assert (shares.held("a"), shares.allows("a")) == (2, True)


# what a service of the operator's network says


class Secretive(threading.Thread):
    """Answers one connection with what it is given."""

    def __init__(self, said: bytes) -> None:
        super().__init__(daemon=True)
        self._said = said
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.port = self._listening.getsockname()[1]
        self.start()

    def run(self) -> None:
        with self._listening, self._listening.accept()[0] as connection:
            connection.recv(65536)
            connection.sendall(self._said)


@pytest.mark.parametrize(
    ("said", "result"),
    [
        (b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nsecret", {"success": True, "response_status": 200}),
        (b"SSH-2.0-secret\r\n", {"success": False, "error_message": "the answer is not HTTP"}),
        (b"HTTP/1.1 302 x\r\nLocation: http://127.0.0.1:1/\r\n\r\n", {"success": True, "response_status": 302}),
    ],
)
async def test_a_test_tells_nothing_of_what_a_service_of_this_network_says(
    database: object, said: bytes, result: dict[str, object]
) -> None:
    service = Secretive(said)
    async with both(database, settings=Settings(webhook_targets=networks_of("127.0.0.1"))) as here:
        hook = {"name": "hook", "url": f"http://localhost:{service.port}/", "events": EVENTS, "status": "DISABLED"}
        created = (await here.done("POST", "/webhooks", **hook))["webhook"]["webhook_id"]
        assert (await here.done("POST", f"/webhooks/{created}/test"))["result"] == result
    service.join(20)


async def test_tests_of_one_workspace_leave_room_for_others(database: object, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("regesta_mlflow.webhook_calls.TESTS", 0)
    async with both(database, settings=Settings(webhook_targets=networks_of("127.0.0.1"))) as here:
        hook = {"name": "hook", "url": "http://127.0.0.1:9/", "events": EVENTS, "status": "DISABLED"}
        created = (await here.done("POST", "/webhooks", **hook))["webhook"]["webhook_id"]
        said = await here.refused("POST", f"/webhooks/{created}/test")
    assert said[:2] == (429, "REQUEST_LIMIT_EXCEEDED")
