"""The important facts of the Dockerfile and the compose file: no engine is needed to check them."""

import json
import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

from regesta.service import Settings
from regesta.service.hosts import AllowedHosts, Host

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def instructions() -> list[tuple[str, str]]:
    """Each instruction of the final stage with its text, continued lines joined."""
    text = re.sub(r"(?m)^#.*\n", "", (ROOT / "Dockerfile").read_text("utf-8")).replace("\\\n", " ")
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    found = [(word, rest.strip()) for word, _, rest in (line.partition(" ") for line in lines)]
    last = max(at for at, (word, _) in enumerate(found) if word == "FROM")
    assert last > 0, "one stage only: build tools would stay in the image"
    return found[last:]


def the(instructions: list[tuple[str, str]], word: str) -> str:
    """The text of the only instruction of this kind."""
    (text,) = [text for found, text in instructions if found == word]
    return text


@pytest.fixture(scope="module")
def compose() -> dict[str, Any]:
    loaded = yaml.safe_load((ROOT / "docker-compose.yml").read_text("utf-8"))
    assert isinstance(loaded, dict)
    return loaded


def test_the_image_is_slim_and_takes_only_what_was_built(instructions: list[tuple[str, str]]) -> None:
    assert re.fullmatch(r"python:3\.\d+-slim", the(instructions, "FROM"))
    assert the(instructions, "COPY").startswith("--from=build ")
    assert not re.search(r"\b(apt-get|gcc|pip)\b", the(instructions, "RUN"))


def test_the_image_has_all_extras_but_other_stores() -> None:
    found = re.search(r"regesta-\*\.whl\)\[(.+?)\]", (ROOT / "Dockerfile").read_text("utf-8"))
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    (everything,) = project["optional-dependencies"]["all"]
    assert found
    extras = everything.removeprefix("regesta[").removesuffix("]").split(",")
    assert set(found[1].split(",")) == set(extras) - {"local", "memory"}


def test_the_user_is_not_root_and_numeric(instructions: list[tuple[str, str]]) -> None:
    user, group = the(instructions, "USER").split(":")
    assert int(user) > 0
    assert int(group) > 0
    assert instructions.index(("USER", f"{user}:{group}")) > [word for word, _ in instructions].index("RUN")


def test_the_image_serves_and_watches_itself(instructions: list[tuple[str, str]]) -> None:
    assert json.loads(the(instructions, "ENTRYPOINT")) == ["regesta"]
    assert json.loads(the(instructions, "CMD")) == ["serve", "--host", "0.0.0.0"]
    assert the(instructions, "EXPOSE") == "8000"
    python, option, program = json.loads(the(instructions, "HEALTHCHECK").partition(" CMD ")[2])
    assert (python, option) == ("python", "-c")
    compile(program, "HEALTHCHECK", "exec")
    assert "/livez" in program
    assert "int(os.environ.get('REGESTA_PORT', 8000))" in program


def test_only_what_the_wheel_needs_enters_the_build() -> None:
    lines = (ROOT / ".dockerignore").read_text("utf-8").splitlines()
    assert "*" in lines
    allowed = {line[1:] for line in lines if line.startswith("!")}
    assert allowed == {"pyproject.toml", "README.md", "LICENSE", "core", "plugins"}


def test_compose_runs_mongodb_8_as_a_replica_set(compose: dict[str, Any]) -> None:
    mongo = compose["services"]["mongo"]
    assert re.fullmatch(r"mongo:8(\.\d+)*", mongo["image"])
    assert mongo["command"][:3] == ["mongod", "--replSet", "rs0"]
    assert "ports" not in mongo, "the database has no password: it is not published"
    check = mongo["healthcheck"]["test"]
    assert check[:2] == ["CMD", "mongosh"]
    assert 'rs.initiate({_id: "rs0"' in check[-1]
    assert "isWritablePrimary" in check[-1]


def test_compose_keeps_the_data_in_a_named_volume(compose: dict[str, Any]) -> None:
    (mount,) = compose["services"]["mongo"]["volumes"]
    volume, target = mount.split(":")
    assert volume in compose["volumes"]
    assert target == "/data/db"


def test_compose_starts_the_service_once_the_store_takes_writes(compose: dict[str, Any]) -> None:
    service = compose["services"]["regesta"]
    assert service["depends_on"] == {"mongo": {"condition": "service_healthy"}}
    assert service["environment"]["REGESTA_STORE"] == "mongodb://mongo:27017/regesta?replicaSet=rs0"
    assert service["environment"]["REGESTA_HOST"] == "0.0.0.0"


def test_compose_has_an_environment_that_the_service_takes(
    compose: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in compose["services"]["regesta"]["environment"].items():
        monkeypatch.setenv(name, re.sub(r"\$\{\w+:-(.*)\}", r"\1", value))
    settings = Settings.load()
    hosts = AllowedHosts.of(settings.host, settings.allowed_hosts)
    # By another service of the file, by the port that is published, by a probe.
    assert all(hosts.allow(Host(name)) for name in ("regesta", "localhost", "127.0.0.1", "172.18.0.3"))
    assert not hosts.allow(Host("evil.example"))


def test_compose_restarts_and_publishes_on_this_machine_only(compose: dict[str, Any]) -> None:
    services = compose["services"]
    assert all(service["restart"] == "unless-stopped" for service in services.values())
    assert services["regesta"]["ports"] == ["${REGESTA_PUBLISH:-127.0.0.1:8000}:8000"]
