"""Three mongods on this machine as one replica set, whose majority can be cut off and whose primary can be killed.

with ReplicaSet(directory) as nodes:
    with nodes.majority_cut_off():
        ...                 # the primary takes writes; none of them reaches the other two nodes
        nodes.fail_over()   # SIGKILL to the primary; another node takes over, without those writes
"""

import contextlib
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from tempfile import mkdtemp
from types import TracebackType
from typing import Any, Self

from pymongo import MongoClient
from pymongo.errors import PyMongoError
from pymongo.write_concern import WriteConcern
from tests.eventually import eventually

from regesta.store._mongod import find_mongod

NAME = "faults"
NODES = 3
PATIENCE = 60.0  # seconds
# What stops a secondary from fetching what the primary wrote. It goes on voting and answering.
NO_FETCHING = "stopReplProducer"

Admin = MongoClient[dict[str, Any]]


@dataclass(eq=False)
class Node:
    """One mongod and a client that talks to no other one."""

    directory: Path
    port: int
    process: "subprocess.Popen[bytes]"
    client: Admin

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    @property
    def runs(self) -> bool:
        return self.process.poll() is None

    @property
    def answers(self) -> bool:
        with contextlib.suppress(PyMongoError):
            return bool(self.client.admin.command("ping"))
        return False

    @property
    def is_primary(self) -> bool:
        """Whether it says that it takes writes. False if it does not answer."""
        with contextlib.suppress(PyMongoError):
            return bool(self.client.admin.command("hello").get("isWritablePrimary"))
        return False

    def kill(self) -> None:
        """With -9: it keeps what is in its journal."""
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()


class ReplicaSet:
    """Three nodes. `uri` is for clients of the code under test: they find the primary themselves."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self.nodes: list[Node] = []

    def __enter__(self) -> Self:
        try:
            self.nodes = [_start(self._directory / f"node{number}") for number in range(NODES)]
            members = [{"_id": number, "host": node.address} for number, node in enumerate(self.nodes)]
            # Elections happen if a test asks for one, not because the machine is busy.
            # No secondary fetches from another one, which would not notice that it is to stop.
            settings = {"electionTimeoutMillis": 60_000, "heartbeatIntervalMillis": 200, "chainingAllowed": False}
            first = self.nodes[0].client.admin
            eventually(lambda: all(node.answers for node in self.nodes), within=PATIENCE)
            first.command("replSetInitiate", {"_id": NAME, "members": members, "settings": settings})
            eventually(lambda: _step_up(self.nodes[0]), within=PATIENCE)
            eventually(self._is_whole, within=PATIENCE)
        except BaseException:
            self._stop()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop()

    @property
    def uri(self) -> str:
        return f"mongodb://{','.join(node.address for node in self.nodes)}/?replicaSet={NAME}"

    @property
    def primary(self) -> Node:
        """The node that takes writes. Waits until there is one."""
        return eventually(lambda: [node for node in self.nodes if node.runs and node.is_primary])[0]

    @property
    def secondaries(self) -> list[Node]:
        primary = self.primary
        return [node for node in self.nodes if node.runs and node is not primary]

    @contextlib.contextmanager
    def majority_cut_off(self) -> Iterator[None]:
        """Let no write reach a second node: writes with `w: majority` wait, and the majority sees none of them.

        It ends with the block, or with `fail_over`.
        """
        primary, secondaries = self.primary, self.secondaries
        for node in secondaries:
            _stop_fetching(node, primary)
        try:
            yield
        finally:
            for node in secondaries:
                _resume(node)

    def fail_over(self) -> Node:
        """Kill the primary with SIGKILL and let a secondary take over: the new primary.

        What reached no other node is gone: `revive` makes the old primary undo it.
        """
        dead, survivors = self.primary, self.secondaries
        dead.kill()
        for node in self.nodes:
            if node.runs:
                _resume(node)
        # The one that has fetched more; the other one gets no vote.
        eventually(lambda: any(map(_step_up, survivors)), within=PATIENCE)
        return self.primary

    def revive(self) -> None:
        """Start the nodes again that were killed, and wait until all three agree."""
        for number, node in enumerate(self.nodes):
            if not node.runs:
                node.client.close()
                self.nodes[number] = _start(node.directory, node.port)
        eventually(self._is_whole, within=PATIENCE)

    def _is_whole(self) -> bool:
        with contextlib.suppress(PyMongoError):
            status = self.primary.client.admin.command("replSetGetStatus")
            return sorted(member["state"] for member in status["members"]) == [1, 2, 2]
        return False

    def _stop(self) -> None:
        for node in self.nodes:
            if node.runs:
                node.kill()
            node.client.close()


@contextlib.contextmanager
def temporary_replica_set() -> Iterator[ReplicaSet]:
    """A replica set for a script: its data is removed in the end."""
    directory = Path(mkdtemp(prefix="regesta-faults-"))
    try:
        with ReplicaSet(directory) as nodes:
            yield nodes
    finally:
        shutil.rmtree(directory, ignore_errors=True)


def _start(directory: Path, port: int = 0) -> Node:
    directory.mkdir(parents=True, exist_ok=True)
    port = port or _free_port()
    command = [
        str(find_mongod()), "--dbpath", str(directory), "--logpath", str(directory / "mongod.log"), "--logappend",
        "--bind_ip", "127.0.0.1", "--port", str(port), "--nounixsocket", "--replSet", NAME,
        "--wiredTigerCacheSizeGB", "0.25", "--oplogSize", "64", "--journalCommitInterval", "10", "--quiet",
        "--setParameter", "diagnosticDataCollectionEnabled=false",
        "--setParameter", "enableTestCommands=1",
    ]  # fmt: skip
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, start_new_session=True)
    address = f"127.0.0.1:{port}"
    client = Admin(address, directConnection=True, serverSelectionTimeoutMS=1000, socketTimeoutMS=10_000)
    return Node(directory, port, process, client)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _stop_fetching(node: Node, primary: Node) -> None:
    """Stop the node's replication, and wait until it stands: it may have asked for the next writes already."""
    admin = node.client.admin
    before = admin.command("configureFailPoint", NO_FETCHING, mode="alwaysOn")["count"]
    unimportant = primary.client["faults"].get_collection("pulse", write_concern=WriteConcern(w=1))

    def stands() -> bool:
        unimportant.insert_one({"at": time.time()})  # answers what the node has asked for
        with contextlib.suppress(PyMongoError):
            admin.command("waitForFailPoint", NO_FETCHING, timesEntered=before + 1, maxTimeMS=200)
            return True
        return False

    eventually(stands, within=PATIENCE)


def _resume(node: Node) -> None:
    with contextlib.suppress(PyMongoError):  # it was killed meanwhile
        node.client.admin.command("configureFailPoint", NO_FETCHING, mode="off")


def _step_up(node: Node) -> bool:
    if node.is_primary:
        return True
    with contextlib.suppress(PyMongoError):
        node.client.admin.command("replSetStepUp")
    return node.is_primary
