"""The life of a call: the only place where codec and transport meet."""

from aiocake._pipeline.examiner import Examiner
from aiocake._pipeline.executor import CallExecutor
from aiocake._pipeline.settings import ClientStats, PipelineSettings

__all__ = ["CallExecutor", "ClientStats", "Examiner", "PipelineSettings"]
