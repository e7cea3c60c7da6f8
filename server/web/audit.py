"""The audit log: one line for each act of an administrator, by whom, on what. Acts on keys: `server.access.admin`."""

import structlog

from server.access.principal import Principal
from server.web.paths import scope_of

_READING = frozenset({"GET", "HEAD", "OPTIONS"})

log = structlog.stdlib.get_logger("tureen.audit")


def audit_image(act: str, who: str, id_: str, owner: str) -> None:
    """An admin has read or deleted an image of somebody else."""
    log.info("audit", who=who, act=act, target=id_, owner=owner)


def audit_request(principal: Principal, method: str, path: str, outcome: str, *, reading: bool = False) -> None:
    """A request has ended, well (`done`) or not (`failed`): it leaves a line if it changes what only an admin may.

    `reading`: it changes nothing, and leaves a line all the same."""
    if (reading or method not in _READING) and scope_of(method, path) == "admin":
        log.info("audit", who=principal.id, act=method, target=path, outcome=outcome)
