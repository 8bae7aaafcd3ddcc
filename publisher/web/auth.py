"""Who is calling: bearer tokens (RFC 6750), found by their hash, and the roles they carry."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum

from aiohttp import web

from content_queue.store import Access
from publisher.clock import Clock
from publisher.desk import hash_token
from publisher.problems import Problem
from publisher.texts import Text, bilingual

CHALLENGE = 'Bearer realm="gongbao"'
_SCHEME = re.compile(r"[Bb][Ee][Aa][Rr][Ee][Rr] +([A-Za-z0-9._~+/=-]{1,200}) *")  # RFC 6750 section 2.1


class Role(StrEnum):
    EDITOR = "editor"
    REVIEWER = "reviewer"
    OPERATOR = "operator"
    AUDITOR = "auditor"


ANYONE = frozenset(Role)  # with a token


@dataclass(frozen=True, slots=True)
class Caller:
    """The holder of a token. `name` is who the log says did it."""

    name: str
    role: str
    token_id: int


NOBODY = Caller("", "", 0)


class Unauthorised(Problem):
    """No token, or one that does not count (401). `challenge` is the WWW-Authenticate answer."""

    status = 401

    def __init__(self, code: str, message: Text, *, challenge: str = CHALLENGE) -> None:
        remedy = bilingual("Send the header “Authorization: Bearer gbt_...” with a valid token.")
        super().__init__(code, message, remedy)
        self.challenge = challenge


class WrongRole(Problem):
    """The token counts, but its role may not do this (403)."""

    status = 403


async def identify(request: web.Request, access: Access, clock: Clock) -> Caller:
    """Raises `Unauthorised`. The token is looked up by its SHA-256, so the time taken tells nothing about it."""
    given = request.headers.getall("Authorization", [])
    if not given:
        raise Unauthorised("no_token", bilingual("This address needs a token."))
    match = _SCHEME.fullmatch(given[0]) if len(given) == 1 else None
    if match is None:
        raise _invalid()
    token = await access.find(hash_token(match[1]), now=clock())
    if token is None:
        raise _invalid()
    return Caller(token.name, token.role, token.id)


def permit(caller: Caller, roles: frozenset[Role]) -> None:
    """Raises `WrongRole`."""
    if caller.role in roles:
        return
    needed = ", ".join(sorted(roles))
    raise WrongRole(
        "wrong_role",
        bilingual("A token of the role {role} may not do this.", role=caller.role),
        bilingual("Use a token of one of these roles: {roles}.", roles=needed),
    )


def _invalid() -> Unauthorised:
    message = bilingual("The token is unknown, expired or revoked.")
    return Unauthorised("invalid_token", message, challenge=f'{CHALLENGE}, error="invalid_token"')
