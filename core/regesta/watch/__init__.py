"""Changes as they commit: one change stream for each collection and process, however many watch."""

from regesta.watch.audience import Audience, frame
from regesta.watch.hub import asking, end_watches, kept, watchers_here
from regesta.watch.matching import matcher
from regesta.watch.tokens import Position, WatchTokens, binding_of
from regesta.watch.watch import NOW, Watch, open_watch
from regesta.watch.watcher import Overrun

__all__ = [
    "NOW",
    "Audience",
    "Overrun",
    "Position",
    "Watch",
    "WatchTokens",
    "asking",
    "binding_of",
    "end_watches",
    "frame",
    "kept",
    "matcher",
    "open_watch",
    "watchers_here",
]
