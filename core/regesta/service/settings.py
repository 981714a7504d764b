"""Settings of the service: from the environment (`REGESTA_STORE`, `REGESTA_PORT`, ...) and the command line."""

import json
from collections.abc import Iterable
from ipaddress import IPv4Network, IPv6Network
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, Field, ValidationError, field_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from regesta.errors import ConfigurationError
from regesta.service.hosts import allowed_host
from regesta.suggestions import nearest

PREFIX = "REGESTA_"

Network = IPv4Network | IPv6Network
AllowedHost = Annotated[str, AfterValidator(allowed_host)]
READ_ELSEWHERE = ("mongod", "webhook_targets")  # by the local store, by what sends webhooks
LogFormat = Literal["auto", "json", "console"]
LogLevel = Literal["debug", "info", "warning", "error"]


class Settings(BaseSettings):
    """What an operator decides. Each field is an environment variable with the prefix `REGESTA_`.

    Lists are separated by commas: `REGESTA_PLUGINS=models,datasets`.
    """

    model_config = SettingsConfigDict(env_prefix=PREFIX, frozen=True, hide_input_in_errors=True)

    store: str = Field(
        default="local",
        repr=False,  # an address may carry a password
        description="memory://, local, local:DIRECTORY, mongodb://... or mongodb+srv://...",
    )
    database: str = Field(default="regesta", description="The database, unless the store's address names one.")
    host: str = Field(default="127.0.0.1", description="The name or address to listen on.")
    port: int = Field(default=8000, ge=0, le=65535, description="The port to listen on; 0 takes a free one.")
    plugins: Annotated[tuple[str, ...] | None, NoDecode] = Field(
        default=None,
        description="The plugins to load, in this order; all that are installed, by name, unless given.",
    )
    log_format: LogFormat = Field(
        default="auto", description="json: one object per line; auto: console on a terminal, else json."
    )
    log_level: LogLevel = Field(default="info", description="What is less important is not logged.")
    trusted_proxies: Annotated[tuple[Network, ...], NoDecode] = Field(
        default=(), description="Networks whose X-Forwarded-For and X-Forwarded-Host are believed; others' are ignored."
    )
    allowed_hosts: Annotated[tuple[AllowedHost, ...], NoDecode] = Field(
        default=(),
        description="Names and addresses that a Host header may have, beside loopback ones and the one listened on: "
        "names, addresses, *.domain, or * for any.",
    )
    head_timeout: float = Field(
        default=15, gt=0, description="Seconds in which a request line with its headers must have come."
    )
    keep_alive: int = Field(default=75, ge=1, description="Seconds that an idle connection is kept open.")
    max_connections: int = Field(default=4096, ge=1, description="Connections at once; more are refused with 503.")
    shutdown_grace: int = Field(
        default=15, ge=1, description="Seconds that running requests get to finish once the service is told to stop."
    )

    @classmethod
    def load(cls, **overrides: Any) -> Self:
        """Settings from the environment; `overrides` that are not None win.

        Raises ConfigurationError that names the variable, and does not repeat its value.
        """
        try:
            return cls(**{name: value for name, value in overrides.items() if value is not None})
        except ValidationError as error:
            raise ConfigurationError("; ".join(_said(found["loc"], found["msg"]) for found in error.errors())) from None

    @field_validator("log_format", "log_level", mode="before")
    @classmethod
    def _lower(cls, value: Any) -> Any:
        return value.lower() if isinstance(value, str) else value

    @field_validator("plugins", "trusted_proxies", "allowed_hosts", mode="before")
    @classmethod
    def _split(cls, value: Any) -> Any:
        """Commas as well as the JSON that pydantic-settings would ask for."""
        if not isinstance(value, str):
            return value
        if value.lstrip().startswith("["):
            return json.loads(value)
        return [part.strip() for part in value.split(",") if part.strip()]


def unknown_variables(environment: Iterable[str], plugins: Iterable[str]) -> dict[str, str]:
    """The names with our prefix that nobody reads, each with the setting that it resembles most, or "".

    What begins with `REGESTA_` and the name of one of the installed `plugins` is theirs.
    """
    settings = [name.upper() for name in (*Settings.model_fields, *READ_ELSEWHERE)]
    theirs = tuple(f"{name.upper().replace('-', '_')}_" for name in plugins)
    found = {}
    for variable in sorted(environment):
        name = variable.upper().removeprefix(PREFIX)
        if name != variable.upper() and name not in settings and not name.startswith(theirs):
            near = nearest(name, settings)
            found[variable] = PREFIX + near if near else ""
    return found


def _said(loc: tuple[int | str, ...], message: str) -> str:
    return f"the setting {PREFIX}{str(loc[0]).upper() if loc else ''}: {message}"
