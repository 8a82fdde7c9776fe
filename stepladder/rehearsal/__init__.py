"""Outage rehearsal: the real orchestrator and the official SDKs against a local server that misbehaves by a script."""

from stepladder.rehearsal.faults import FAMILIES
from stepladder.rehearsal.rehearse import Changed, Rehearsed, World, rehearse
from stepladder.rehearsal.script import FaultLine, FaultScript, load_script, parse_script
from stepladder.rehearsal.server import FaultServer, Served

__all__ = [
    "FAMILIES",
    "Changed",
    "FaultLine",
    "FaultScript",
    "FaultServer",
    "Rehearsed",
    "Served",
    "World",
    "load_script",
    "parse_script",
    "rehearse",
]
