"""What the edge needs of this process, wired together in `app.main`."""

from __future__ import annotations

from dataclasses import dataclass

from litestar.di import NamedDependency
from litestar.params import FromPath, SkipValidation

from app.api.stream import Streams
from app.broadcast import Broadcast
from app.conversations import Conversations
from app.departures import Departures
from app.imports import Imports
from app.log import Log
from app.running import Running
from app.search import Search
from app.settings import Settings
from responders.registry import Registry


@dataclass(frozen=True)
class Node:
    """The parts of one running process that the API calls."""

    settings: Settings
    log: Log
    running: Running
    conversations: Conversations
    broadcast: Broadcast
    registry: Registry
    streams: Streams
    search: Search
    imports: Imports
    departures: Departures


ThisNode = NamedDependency[SkipValidation[Node]]
"""How a call asks for the node that it runs in."""
PathId = FromPath[str]
"""An id in a call's path."""
