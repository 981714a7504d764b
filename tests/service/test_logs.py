"""How logs are written: in a process of its own, since logging belongs to the process."""

import json
import subprocess
import sys

import pytest

PROGRAM = """
import logging, sys
import structlog
from regesta.service.logs import configure_logging, current_request
configure_logging(sys.argv[1], sys.argv[2])
structlog.get_logger().info("ours", number=2**70, half="\\ud800", text="line\\nbreak")
current_request.set("r1")
secret_local = "hunter2"
try:
    1 / 0
except ZeroDivisionError:
    logging.getLogger("regesta.hooks").exception("plugin %s failed", "x")
    structlog.get_logger().exception("failed", text="line\\u2028end\\u0085")
logging.getLogger("uvicorn.error").info("Started server process")
logging.getLogger("pymongo.command").debug("heartbeat")
logging.getLogger("other").debug("detail")
"""


def run(log_format: str, level: str) -> list[str]:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, log_format, level], capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.returncode, done.stdout) == (0, "")
    assert "hunter2" not in done.stderr
    return done.stderr.splitlines()


@pytest.mark.parametrize("log_format", ["json", "auto"])
def test_one_json_object_per_line_whoever_logs(log_format: str) -> None:
    ours, hooks, failed = map(json.loads, run(log_format, "info"))

    assert (ours["event"], ours["level"], ours["number"]) == ("ours", "info", 2**70)
    assert (hooks["event"], hooks["level"]) == ("plugin x failed", "error")
    assert hooks["logger"] == "regesta.hooks"
    assert hooks["request_id"] == failed["request_id"] == "r1"
    assert "ZeroDivisionError" in hooks["exception"]
    assert "ZeroDivisionError" in failed["exception"]
    assert "time" in ours
    assert "request_id" not in ours


def test_for_people() -> None:
    text = "\n".join(run("console", "info"))

    assert "ours" in text
    assert "plugin x failed" in text
    assert "ZeroDivisionError" in text
    assert not text.startswith("{")


def test_the_level_holds_for_all() -> None:
    assert [json.loads(line)["event"] for line in run("json", "error")] == ["plugin x failed", "failed"]
    assert "detail" in [json.loads(line)["event"] for line in run("json", "debug")]
    assert "heartbeat" not in [json.loads(line)["event"] for line in run("json", "debug")]
