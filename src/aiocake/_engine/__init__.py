"""encode, exchange, decode: the only place where codec and transport meet."""

from aiocake._engine._engine import CallRunner, ClientStats, PipelineSettings
from aiocake._engine._view import Pipeline

__all__ = ["CallRunner", "ClientStats", "Pipeline", "PipelineSettings"]
