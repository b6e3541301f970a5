"""YAML -> Config; every error with file:line and the path of the key.

`load` is all that others need. Who has options of their own (solvers, deploy targets) gets them as a `Section`, and lets it
check them against a model of theirs, so that their errors have places too.
"""

from pathlib import Path

from acmectl.config.loading import load
from acmectl.config.schema import json_schema
from acmectl.config.section import Section
from acmectl.config.sources import is_source
from acmectl.config.values import (
    Authority,
    Authorize,
    Certificate,
    Command,
    Config,
    ExternalAccount,
    Follower,
    Loaded,
    Master,
    Sections,
)

DEFAULT_PATH = Path("/etc/acmectl/config.yaml")

__all__ = [
    "DEFAULT_PATH",
    "Authority",
    "Authorize",
    "Certificate",
    "Command",
    "Config",
    "ExternalAccount",
    "Follower",
    "Loaded",
    "Master",
    "Section",
    "Sections",
    "is_source",
    "json_schema",
    "load",
]
