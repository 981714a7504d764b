"""The console script `regesta`. It stands outside the package, whose import takes most of a second.

So Ctrl-C during that second ends the command quietly, instead of with a traceback.
"""

import gc
import sys

# The import names of the extra `service`; the bare install is the router factory and has none of them.
SERVICE_MODULES = frozenset({"httpcore", "idna", "pydantic_settings", "structlog", "typer", "uvicorn"})


def main() -> None:
    """Run the command line. Exit with status 2 if the extra `service` is not installed, with 130 on Ctrl-C."""
    try:
        gc.disable()  # as `regesta.service.memory` does, which cannot be imported yet
        from regesta.cli import app

        gc.enable()
        app()
    except ModuleNotFoundError as error:
        # Any other missing module is a defect of ours or of a plugin: its traceback is wanted.
        if error.name is None or error.name.partition(".")[0] not in SERVICE_MODULES:
            raise
        message = "the service needs more packages: pip install 'regesta[service]'"
        print(f"regesta: {message}", file=sys.stderr)  # noqa: T201  nothing better is installed
        raise SystemExit(2) from None
    except KeyboardInterrupt:  # while all of this was imported: commands have an end of their own
        raise SystemExit(130) from None
