"""The service: an application with every plugin mounted, its settings, health checks and logs; for commands of plugins
its registry without the application.
"""

from regesta.service.application import create_app, open_registry
from regesta.service.commands import one_line_errors
from regesta.service.settings import Settings

__all__ = ["Settings", "create_app", "one_line_errors", "open_registry"]
