"""Which hosts are allowed, by the text of a header and of a setting."""

import pytest

from regesta import ConfigurationError
from regesta.service import Settings
from regesta.service.hosts import AllowedHosts, Host, allowed_host, host_of, same_origin


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("localhost", Host("localhost")),
        ("LocalHost:8000", Host("localhost", 8000)),
        ("localhost.:8000", Host("localhost", 8000)),
        ("a_b-c.example", Host("a_b-c.example")),
        ("127.0.0.1:80", Host("127.0.0.1", 80)),
        ("[::1]", Host("::1")),
        ("[::1]:8000", Host("::1", 8000)),
        ("[0:0:0:0:0:0:0:1]:8000", Host("::1", 8000)),
        ("[::ffff:127.0.0.1]", Host("127.0.0.1")),
        ("localhost:", Host("localhost")),
        ("", None),
        (".", None),
        (":8000", None),
        ("::1", None),
        ("[::1", None),
        ("[127.0.0.1]", None),
        ("[::1]x", None),
        ("localhost:x", None),
        ("localhost:123456", None),
        ("localhost\n", None),
        ("localhost, evil.example", None),
        ("evil.example@localhost", None),
        ("localhost/evil.example", None),
        ("local%68ost", None),
        ("lócalhost", None),
        ("a" * 300, None),
    ],
)
def test_what_a_host_header_names(text: str, expected: Host | None) -> None:
    assert host_of(text) == expected


def allows(hosts: AllowedHosts, text: str) -> bool:
    host = host_of(text)
    assert host is not None
    return hosts.allow(host)


LOOPBACK = ("localhost", "LOCALHOST.:1", "a.localhost", "127.0.0.1", "127.8.9.1:80", "[::1]:8000", "[::ffff:127.0.0.1]")
FOREIGN = ("evil.example", "localhost.evil.example", "evillocalhost", "127.0.0.1.evil.example", "127.1", "2130706433")


@pytest.mark.parametrize(
    ("served", "also", "allowed", "refused"),
    [
        ("127.0.0.1", (), LOOPBACK, (*FOREIGN, "192.0.2.1", "0.0.0.0", "[2001:db8::1]")),
        ("localhost", (), LOOPBACK, (*FOREIGN, "192.0.2.1")),
        ("192.0.2.1", (), (*LOOPBACK, "192.0.2.1:8000"), (*FOREIGN, "192.0.2.2")),
        ("2001:db8:0::1", (), (*LOOPBACK, "[2001:db8::1]:8000"), (*FOREIGN, "[2001:db8::2]")),
        ("0.0.0.0", (), (*LOOPBACK, "192.0.2.1", "[2001:db8::1]", "0.0.0.0"), FOREIGN),
        ("::", (), (*LOOPBACK, "192.0.2.1", "[2001:db8::1]"), FOREIGN),
        ("Registry.lan", (), (*LOOPBACK, "registry.lan:8000", "192.0.2.1"), FOREIGN),
        ("127.0.0.1", ("registry.example",), (*LOOPBACK, "REGISTRY.example."), (*FOREIGN, "a.registry.example")),
        ("127.0.0.1", ("*.example",), ("evil.example", "a.b.example"), ("example", "example.com", "badexample")),
        ("127.0.0.1", ("192.0.2.7", "2001:db8::7"), ("192.0.2.7", "[2001:db8::7]"), ("192.0.2.8",)),
        ("127.0.0.1", ("*",), FOREIGN, ()),
    ],
)
def test_what_is_allowed(
    served: str, also: tuple[str, ...], allowed: tuple[str, ...], refused: tuple[str, ...]
) -> None:
    hosts = AllowedHosts.of(served, [allowed_host(text) for text in also])

    assert [text for text in allowed if not allows(hosts, text)] == []
    assert [text for text in refused if allows(hosts, text)] == []


@pytest.mark.parametrize(
    ("origin", "host", "same"),
    [
        ("http://localhost:8000", "localhost:8000", True),
        ("http://LOCALHOST:8000", "localhost.:8000", True),
        ("http://[::1]:8000", "[0::1]:8000", True),
        ("http://registry.example", "registry.example", True),
        ("http://registry.example", "registry.example:80", True),
        ("https://registry.example", "registry.example", True),  # behind a proxy that ended TLS
        ("https://registry.example:443", "registry.example", True),
        ("https://registry.example", "registry.example:443", True),
        ("http://localhost:3000", "localhost:8000", False),
        ("http://localhost", "localhost:8000", False),
        ("https://registry.example", "registry.example:80", False),
        ("http://127.0.0.1:8000", "localhost:8000", False),
        ("http://evil.example", "localhost", False),
        ("http://localhost@evil.example", "localhost", False),
        ("http://localhost/x", "localhost", False),
        ("file://localhost", "localhost", False),
        ("null", "null", False),
        ("", "localhost", False),
        ("http://[::1", "localhost", False),
    ],
)
def test_when_an_origin_is_our_own(origin: str, host: str, *, same: bool) -> None:
    found = host_of(host)
    assert found is not None
    assert same_origin(origin, found) is same


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Registry.Example.", "registry.example"),
        ("bücher.example", "xn--bcher-kva.example"),
        ("*.Example", "*.example"),
        ("[::1]", "::1"),
        ("0:0::1", "::1"),
        ("*", "*"),
    ],
)
def test_how_an_entry_of_the_setting_is_read(text: str, expected: str) -> None:
    assert Settings(allowed_hosts=(text,)).allowed_hosts == (expected,)


@pytest.mark.parametrize(
    "text", ["http://registry.example", "registry.example:8000", "a..b", "*.192.0.2.1x:", "*.", "a b", "-", "a*.b"]
)
def test_an_entry_that_is_no_host_stops_start_up_and_is_not_repeated(text: str) -> None:
    with pytest.raises(ConfigurationError, match=r"REGESTA_ALLOWED_HOSTS: .*without a scheme") as raised:
        Settings.load(allowed_hosts=f"localhost,{text}")
    assert text not in str(raised.value).replace("*.domain", "")


def test_the_setting_is_a_list_with_commas(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REGESTA_ALLOWED_HOSTS", "registry, registry.example")
    assert Settings.load().allowed_hosts == ("registry", "registry.example")
