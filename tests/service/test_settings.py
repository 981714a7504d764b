"""Settings."""

from ipaddress import ip_network
from typing import Any

import pytest

from regesta import ConfigurationError
from regesta.service import Settings
from regesta.service.settings import unknown_variables


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for field in Settings.model_fields:
        monkeypatch.delenv(f"REGESTA_{field.upper()}", raising=False)


def test_defaults_reach_nobody_but_this_machine() -> None:
    settings = Settings.load()

    assert (settings.store, settings.host, settings.port) == ("local", "127.0.0.1", 8000)
    assert (settings.plugins, settings.trusted_proxies) == (None, ())


def test_the_environment_is_read_and_overridden(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REGESTA_PORT", "9000")
    monkeypatch.setenv("REGESTA_STORE", "memory://")

    settings = Settings.load(store="local:x", port=None)

    assert (settings.port, settings.store) == (9000, "local:x")


@pytest.mark.parametrize(("text", "names"), [("b, a", ("b", "a")), ('["b", "a"]', ("b", "a")), ("b", ("b",)), ("", ())])
def test_lists_are_separated_by_commas(monkeypatch: pytest.MonkeyPatch, text: str, names: Any) -> None:
    monkeypatch.setenv("REGESTA_PLUGINS", text)

    assert Settings.load().plugins == names


def test_trusted_proxies_are_networks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REGESTA_TRUSTED_PROXIES", "10.0.0.0/8,::1")

    assert Settings.load().trusted_proxies == (ip_network("10.0.0.0/8"), ip_network("::1"))


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("PORT", "hunter2"),
        ("PORT", "65536"),
        ("LOG_FORMAT", "hunter2"),
        ("TRUSTED_PROXIES", "hunter2"),
        ("PLUGINS", "[hunter2"),
        ("SHUTDOWN_GRACE", "0"),
    ],
)
def test_a_wrong_value_is_named_and_not_repeated(monkeypatch: pytest.MonkeyPatch, variable: str, value: str) -> None:
    monkeypatch.setenv(f"REGESTA_{variable}", value)

    with pytest.raises(ConfigurationError, match=f"REGESTA_{variable}") as caught:
        Settings.load()

    assert "hunter2" not in str(caught.value)


def test_levels_and_formats_may_be_upper_case(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REGESTA_LOG_LEVEL", "WARNING")

    settings = Settings.load(log_format="Json")

    assert (settings.log_level, settings.log_format) == ("warning", "json")


def test_variables_that_nobody_reads_are_told_with_what_they_resemble() -> None:
    known = [
        "REGESTA_STORE",
        "regesta_port",
        "REGESTA_MONGOD",
        "REGESTA_MODELS_ARTIFACTS",
        "REGESTA_TWO_WORDS_X",
        "HOME",
    ]

    assert unknown_variables(known, ["models", "two-words"]) == {}
    assert unknown_variables(["REGESTA_STROE", "REGESTA_LOGLEVEL", "REGESTA_XYZ", *known], []) == {
        "REGESTA_LOGLEVEL": "REGESTA_LOG_LEVEL",
        "REGESTA_MODELS_ARTIFACTS": "",
        "REGESTA_STROE": "REGESTA_STORE",
        "REGESTA_TWO_WORDS_X": "",
        "REGESTA_XYZ": "",
    }


def test_a_password_is_not_shown() -> None:
    assert "hunter2" not in repr(Settings(store="mongodb://me:hunter2@db/x"))
