"""The bundled service, as `regesta serve` runs it."""

from tests.serving import service_address

__all__ = ["service_address"]
