"""encode, exchange, decode: the only place where codec and transport meet."""

from aiocake._pipeline.executor import CallRunner, ClientStats, PipelineSettings
from aiocake._pipeline.pipeline import Pipeline

__all__ = ["CallRunner", "ClientStats", "Pipeline", "PipelineSettings"]
