"""encode, exchange, decode: the only place where codec and transport meet."""

from aiocake._engine._engine import Engine, Settings, Stats
from aiocake._engine._view import View

__all__ = ["Engine", "Settings", "Stats", "View"]
