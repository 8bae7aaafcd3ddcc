"""Errors as RFC 9457 problems: every refusal of the API has one shape, a code, and a remedy in both languages."""

from __future__ import annotations

import logging
import secrets
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any

from aiohttp import web
from pydantic import ValidationError

from content_queue.store import Conflict, Forbidden, StoreBusy, StoreClosed, StoreFull, Unknown
from publisher.intake import IntakeError
from publisher.intake.problems import quoted
from publisher.problems import Held, NotAllowed, NotFound, Problem, Refused, disk_full, is_disk_full, locked_out
from publisher.texts import Text, bilingual, mark
from publisher.web.api.answers import Fault, FieldProblem
from publisher.web.api.words import Both
from publisher.web.auth import Unauthorised

log = logging.getLogger(__name__)

PROBLEM_TYPE = "application/problem+json"
PLAIN_HEADERS = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff", "Server": "Gongbao"}
INCIDENT = "incident"
BUSY_SECONDS = "10"
FULL_SECONDS = "60"  # before this nobody will have made room

_TITLES: Mapping[int, str] = {
    400: mark("The request cannot be read"),
    401: mark("A token is needed"),
    403: mark("Not allowed"),
    404: mark("Not found"),
    405: mark("Not possible at this address"),
    409: mark("It does not fit what is there"),
    411: mark("The length is missing"),
    413: mark("Too large"),
    415: mark("A kind of content that is not taken"),
    417: mark("Expectation not met"),
    422: mark("The request cannot be taken as it is"),
    500: mark("A fault of the service"),
    503: mark("Not ready"),
}


class BadRequest(Problem):
    """What was sent is wrong; `status` says how (400, 413, 415, 422), `fields` where."""

    def __init__(
        self,
        status: int,
        code: str,
        message: Text,
        remedy: Text,
        fields: Sequence[Mapping[str, Any]] = (),
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(code, message, remedy)
        self.status = status
        self.fields = tuple(fields)
        self.headers = dict(headers or {})


def invalid(error: ValidationError, status: int = 422) -> BadRequest:
    """Names the field and the rule it breaks; the value is left out, for it may be a secret."""
    found = error.errors(include_input=False, include_url=False)
    fields = [_field(".".join(str(p) for p in e["loc"]), e["type"], e.get("ctx", {}), e["msg"]) for e in found]
    return BadRequest(
        status,
        "invalid_request",
        bilingual("The request does not fit this address."),
        bilingual("Mend what “problems” lists; /api/v1/openapi.json describes every request."),
        fields,
    )


_RULES: Mapping[str, str] = {
    "missing": mark("{field} is missing."),
    "extra_forbidden": mark("{field} is not known here."),
    "greater_than_equal": mark("{field} must be at least {ge}."),
    "less_than_equal": mark("{field} must be at most {le}."),
    "string_too_long": mark("{field} may have at most {max_length} characters."),
    "string_too_short": mark("{field} must not be empty."),
    "string_pattern_mismatch": mark("{field} has a form or characters that are not taken."),
    "enum": mark("{field} must be one of: {expected}."),
    "int_parsing": mark("{field} must be a whole number."),
}


def _field(place: str, kind: str, context: Mapping[str, Any], said: str) -> dict[str, Any]:
    name = quoted(place, 80)
    if kind in _RULES:
        message = bilingual(_RULES[kind], **{**context, "field": name})
    else:
        own = isinstance(context.get("error"), ValueError)
        rule = bilingual(str(context["error"])) if own else Text(said, said)
        message = bilingual("{field} does not fit: {rule}.", field=name or "JSON", rule=rule)
    remedy = bilingual("Look at /api/v1/openapi.json for what is expected.")
    return {
        "code": kind,
        "field": name,
        "line": None,
        "message": message.as_dict(),
        "remedy": remedy.as_dict(),
    }


def too_large(limit: int) -> BadRequest:
    return BadRequest(
        413,
        "too_large",
        bilingual("The request is larger than the {limit} bytes that are taken here.", limit=limit),
        bilingual("Split the text, or send long lists and files as attachments (multipart/form-data)."),
    )


def as_problem(error: Exception) -> Problem | None:
    """The problem an exception stands for; None when it is a surprise."""
    if isinstance(error, Problem):
        return error
    if isinstance(error, IntakeError):
        return _intake(error)
    if isinstance(error, web.HTTPException):
        return _http(error)
    if isinstance(error, (web.RequestPayloadError, ConnectionError)):
        message = bilingual("The body of the request broke off.")
        return BadRequest(400, "broken_body", message, bilingual("Send it again."))
    if isinstance(error, Unknown):
        return NotFound("not_found", bilingual(error.template, **error.facts), bilingual("Check the name."))
    if isinstance(error, Conflict):
        return Refused("conflict", bilingual(error.template, **error.facts), bilingual("Look at it again."))
    if isinstance(error, Forbidden):
        remedy = bilingual("Somebody else has to do this.")
        return NotAllowed("forbidden", bilingual(error.template, **error.facts), remedy)
    if isinstance(error, StoreFull) or is_disk_full(error):
        return BadRequest(503, "disk_full", *disk_full(), headers={"Retry-After": FULL_SECONDS})
    if isinstance(error, StoreBusy):
        message = bilingual(error.template, **error.facts)
        return BadRequest(503, "database_busy", message, locked_out(), headers={"Retry-After": BUSY_SECONDS})
    if isinstance(error, StoreClosed):
        message = bilingual("The service is stopping.")
        remedy = bilingual("Repeat the request in a moment.")
        return BadRequest(503, "stopping", message, remedy, headers={"Retry-After": "2"})
    return None


def _intake(error: IntakeError) -> BadRequest:
    problems = [p.to_dict() for p in error.problems]
    large = [p for p in problems if p["code"] == "too_large"]
    return BadRequest(
        413 if large and len(large) == len(problems) else 422,
        "too_large" if large and len(large) == len(problems) else "submission_refused",
        bilingual("The submission cannot be taken as it is."),
        bilingual("Mend what “problems” lists and submit it again; nothing has been stored."),
        problems,
    )


def _http(error: web.HTTPException) -> BadRequest:
    """What aiohttp itself refuses."""
    if isinstance(error, web.HTTPMethodNotAllowed):
        allowed = ", ".join(sorted(error.allowed_methods))
        message = bilingual("{method} is not possible here.", method=error.method)
        remedy = bilingual("Possible are: {methods}.", methods=allowed)
        return BadRequest(405, "method_not_allowed", message, remedy, headers={"Allow": allowed})
    if error.status == 404:
        message = bilingual("Nothing is served at this address.")
        return BadRequest(404, "no_such_address", message, bilingual("/api/v1/openapi.json lists the addresses."))
    phrase = HTTPStatus(error.status).phrase
    message = bilingual("The request was refused: {what}.", what=phrase)
    return BadRequest(error.status, f"http_{error.status}", message, bilingual("Look at the request again."))


def surprise(request_id: str) -> tuple[Problem, str]:
    """Call inside `except`: the log gets the traceback under an incident id, the caller gets the id alone."""
    incident = secrets.token_hex(6)
    log.exception("a request failed unexpectedly", extra={INCIDENT: incident, "request_id": request_id})
    problem = BadRequest(
        500,
        "fault",
        bilingual("The service failed; what is accepted is safe. The incident is {incident}.", incident=incident),
        bilingual("Repeat it with the same Idempotency-Key; if it fails again, give the operator the incident."),
    )
    return problem, incident


def respond(
    problem: Problem, *, instance: str, request_id: str, authority: str, incident: str | None = None
) -> web.Response:
    """`authority` is the agency's tag authority and date: it makes the problem types permanent (RFC 4151)."""
    title = bilingual(_TITLES.get(problem.status, mark("Refused")))
    fault = Fault(
        type=f"tag:{authority}:gongbao/problem/{problem.code}",
        title=title.en,
        title_zh=title.zh,
        status=problem.status,
        detail=problem.message.en,
        detail_zh=problem.message.zh,
        code=problem.code,
        remedy=Both(**problem.remedy.as_dict()),
        problems=[FieldProblem.model_validate(f) for f in getattr(problem, "fields", ())],
        findings=[dict(f) for f in problem.findings] if isinstance(problem, Held) else [],
        instance=instance,
        request_id=request_id,
        incident=incident,
    )
    return web.Response(
        status=problem.status,
        body=fault.model_dump_json(exclude=None if incident else {INCIDENT}).encode(),
        content_type=PROBLEM_TYPE,
        charset=None,
        headers={**PLAIN_HEADERS, "X-Request-Id": request_id, **_extra_headers(problem)},
    )


def _extra_headers(problem: Problem) -> dict[str, str]:
    if isinstance(problem, Unauthorised):
        return {"WWW-Authenticate": problem.challenge}
    return problem.headers if isinstance(problem, BadRequest) else {}
