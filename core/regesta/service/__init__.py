"""The service: an application with every plugin mounted, its settings, health checks and logs."""

from regesta.service.application import create_app
from regesta.service.settings import Settings

__all__ = ["Settings", "create_app"]
