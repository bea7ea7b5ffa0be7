"""Examine an instance: connection, key, and which variant of CAKE it is.

::

    diagnosis = await doctor.examine(cake)
    for finding in diagnosis.findings:
        print(finding.level, finding.topic, finding.text)

It reads only, in at most :data:`MOST_REQUESTS` requests, and takes less than a minute. What it
finds of the instance are :class:`aiocake.traits.InstanceTraits`, which ``Client(traits=…)`` takes.
"""

from aiocake.doctor.diagnosis import Diagnosis, Finding, Level
from aiocake.doctor.examination import examine
from aiocake.doctor.probe import MOST_REQUESTS

__all__ = ["MOST_REQUESTS", "Diagnosis", "Finding", "Level", "examine"]
