"""Runs the application with uvicorn: one process, a clean end."""

import asyncio
import contextlib
import signal
import socket
from collections.abc import Callable, Generator
from enum import Enum, auto
from functools import partial
from typing import Any

import uvicorn
from fastapi import FastAPI
from starlette.types import ASGIApp

from regesta.errors import ConfigurationError
from regesta.service.files import allow_connections
from regesta.service.heads import BoundedHttp, Bounds
from regesta.service.memory import keep_what_is_there
from regesta.service.settings import Settings
from regesta.watch import end_watches

_SIGNALS = (signal.SIGINT, signal.SIGTERM)

Announce = Callable[[str], None]


class _Phase(Enum):
    STARTING = auto()
    SERVING = auto()
    STOPPING = auto()


def run_server(app: FastAPI, settings: Settings, announce: Announce) -> None:
    """Serve until SIGINT or SIGTERM; running requests get `shutdown_grace` seconds to end, then the store is closed.

    `announce` is called with the service's URL once it answers. Raises ConfigurationError where it cannot
    listen or the lifespan does not start.
    """
    listener = _bind(settings.host, settings.port)
    allow_connections(settings.max_connections)
    with contextlib.closing(listener), asyncio.Runner(loop_factory=_loop_factory()) as runner:
        runner.run(_run(app, settings, listener, announce))


async def _run(app: FastAPI, settings: Settings, listener: socket.socket, announce: Announce) -> None:
    # The lifespan is entered here and not by uvicorn, which would print a traceback for a store that is in use.
    server = _Server(_config(app, settings), lambda: announce(_url_of(listener)))
    phase, task = _Phase.STARTING, asyncio.current_task()

    def stop(number: int) -> None:
        if phase is _Phase.SERVING:
            server.handle_exit(number, None)
        elif phase is _Phase.STARTING and task is not None:
            task.cancel()

    with _signals_to(stop):
        try:
            async with app.router.lifespan_context(app):
                keep_what_is_there()
                phase = _Phase.SERVING
                # The first to ask for it would hold up all others for a second.
                describing = asyncio.ensure_future(asyncio.to_thread(app.openapi))
                await server.serve(sockets=[listener])
                await asyncio.wait({describing})
                phase = _Phase.STOPPING
        except asyncio.CancelledError:
            if phase is not _Phase.STARTING:
                raise


class _Server(uvicorn.Server):
    """uvicorn, that leaves signals to us: its own handling would end the process before the store is closed."""

    def __init__(self, config: uvicorn.Config, announce: Callable[[], None]) -> None:
        super().__init__(config)
        self._announce = announce

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self._announce()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        end_watches()  # it would wait for them
        await super().shutdown(sockets)

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        yield


def _config(app: ASGIApp, settings: Settings) -> uvicorn.Config:
    protocol: Any = partial(BoundedHttp, bounds=Bounds(settings.head_timeout, settings.max_connections))
    return uvicorn.Config(
        app,
        http=protocol,
        lifespan="off",
        log_config=None,
        access_log=False,
        # It would believe X-Forwarded-For of whoever calls from this machine; see `Proxies`.
        proxy_headers=False,
        server_header=False,
        ws="none",
        timeout_keep_alive=settings.keep_alive,
        timeout_graceful_shutdown=settings.shutdown_grace,
    )


def _bind(host: str, port: int) -> socket.socket:
    """Take the port before anything else is started; nobody can connect yet."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        listener = socket.socket(family, kind, protocol)
        try:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind(address)
        except BaseException:
            listener.close()
            raise
    except OSError as error:
        raise ConfigurationError(f"cannot listen on {host}:{port}: {error.strerror}; choose another --port") from error
    return listener


def _url_of(listener: socket.socket) -> str:
    host, port = listener.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


@contextlib.contextmanager
def _signals_to(handler: Callable[[int], None]) -> Generator[None, None, None]:
    loop = asyncio.get_running_loop()
    # Windows' loops have no signal handlers; there Ctrl-C cancels the task.
    with contextlib.suppress(NotImplementedError):
        for number in _SIGNALS:
            loop.add_signal_handler(number, handler, number)
    try:
        yield
    finally:
        with contextlib.suppress(NotImplementedError):
            for number in _SIGNALS:
                loop.remove_signal_handler(number)


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    try:
        import uvloop
    except ImportError:  # not on Windows, not with PyPy
        return None
    return uvloop.new_event_loop
