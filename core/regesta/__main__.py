"""`regesta` and `python -m regesta`: the command line, or a word on what it is missing."""

import gc
import sys

# The import names of the extra `service`; the bare install is the router factory and has none of them.
SERVICE_MODULES = frozenset({"pydantic_settings", "structlog", "typer", "uvicorn"})


def main() -> None:
    """Run the command line; exit with status 2 where the extra `service` is not installed, 130 on Ctrl-C."""
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


if __name__ == "__main__":
    main()
