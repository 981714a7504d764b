"""The short version of `python -m tests.faults.uploads`: acknowledged uploads keep their bytes (G17)."""

from typing import Any

import pytest
from tests.faults.uploads import main


def test_acknowledged_uploads_keep_their_bytes_while_a_primary_is_killed(
    capsys: pytest.CaptureFixture[str], record_property: Any
) -> None:
    assert main(["--uploads", "24", "--kills", "1", "--control", "24", "--control-kills", "0"]) == 0
    record_property("summary", capsys.readouterr().out)
