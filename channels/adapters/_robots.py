"""What the robots of group chats share: one POST with the whole credential in it, errors inside HTTP 200, nothing that
can be looked up, changed or taken back. A correction or a withdrawal is a message of its own; after a withdrawal a
person deletes the first message in the group.
"""

from __future__ import annotations

import json
import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import Annotated, Any, ClassVar, NamedTuple, TypeVar

from pydantic import AfterValidator, Field, SecretStr

from channels import refusals
from channels.account_keys import Frozen
from channels.answers import Answer
from channels.contract import Capabilities, Idempotency, Measured, Operation, Post, Prepared, Quota
from channels.forms import candidates, headline, note, too_long
from channels.refusals import Sort, refusal, timed
from channels.registry import Tools
from channels.text import utf8
from channels.transport import Response
from channels.verdicts import Awaits, OutcomeUnknown, Receipt, Rejected, Verdict

PARALLEL = 2  # a group reads in order; more at once would only meet the limit sooner
KEYWORDS = 10  # DingTalk and Feishu, security settings of a custom robot: up to ten
HEADERS = {"Content-Type": "application/json; charset=utf-8"}
_ADDRESS = re.compile(r"https?://\S+")
# What a reader of Markdown would take for markup. Neither platform documents how to escape it.
_MARKUP = re.compile(
    r"[*`<\\]|~~|\]\(|&#?\w+;|(?<!\w)_|_(?!\w)|^\s*(?:#{1,6}\s|>|\||[-=+]+\s*$)|^(?: {4}|\t)", re.MULTILINE
)
F = TypeVar("F")


def _credential(given: SecretStr) -> SecretStr:
    text = given.get_secret_value()
    if not text or not text.isascii() or not text.isprintable() or any(c in text for c in " /?&#"):
        raise ValueError("must be the credential alone, not the whole address, without blanks")
    return given


Credential = Annotated[SecretStr, AfterValidator(_credential)]


class RobotSettings(Frozen):
    """`mention_all` rings every member of the group."""

    mention_all: bool = False


class SignedSettings(RobotSettings):
    """`token` stands at the end of the robot's address; `secret` signs. `keywords` are those of the robot's security
    settings: a message must contain one."""

    token: Credential
    secret: Credential | None = None
    keywords: tuple[str, ...] = Field((), max_length=KEYWORDS)


def capabilities(per_minute: int, *more: Quota) -> Capabilities:
    quotas = (Quota("messages_a_minute", per_minute, 60), *more)
    return Capabilities(Idempotency.NONE, parallel=PARALLEL, quotas=quotas)


class Fault(NamedTuple):
    """One code, or with `says` one meaning of a code that has several. `wait` is seconds."""

    code: int
    sort: Sort
    says: str = ""
    name: str = ""
    wait: float | None = None

    def means(self, code: int, text: str) -> bool:
        return code == self.code and self.says in text.lower()


class Said(NamedTuple):
    """A post with its title apart from its text. The title is empty where an editor's wording says it all."""

    title: str
    text: str
    dropped: tuple[str, ...] = ()

    @property
    def has_markup(self) -> bool:
        return _MARKUP.search(self.title) is not None or _MARKUP.search(self.text) is not None


def sayings(post: Post, keywords: tuple[str, ...] = ()) -> Iterator[Said]:
    """From the richest to the sparest. Where none of the `keywords` occurs the first one stands at the end."""
    for said in _sayings(post):
        if any(word in f"{said.title}\n{said.text}" for word in keywords) or not keywords:
            yield said
        else:
            yield said._replace(text="\n\n".join(filter(None, (said.text, keywords[0]))))


def _sayings(post: Post) -> Iterator[Said]:
    if post.wording and post.operation is Operation.PUBLISH:
        yield Said("", post.wording)
        return
    title = headline(post)
    if post.wording and post.operation is Operation.EDIT:
        yield Said(title, "\n\n".join(filter(None, (note(post), post.wording))))
        return
    for text, dropped in candidates(post):
        yield Said(title, text.removeprefix(title.strip()).strip(), dropped)
    if post.operation is Operation.RECALL:  # a withdrawal is never held back for its words
        yield Said(title, "", ("note",))


def richest(
    post: Post, keywords: tuple[str, ...], render: Callable[[Said], tuple[F, Measured]]
) -> tuple[F, Measured, Said]:
    """The first saying whose form fits. Raises `Rejected("too_long")`."""
    last = None
    for said in sayings(post, keywords):
        form, last = render(said)
        if last.limit is None or last.length <= last.limit:
            return form, last, said
    assert last is not None
    raise too_long(last)


def left_out(post: Post, said: Said) -> tuple[str, ...]:
    """What the message leaves to the page behind its link."""
    kept_back = {"images": post.images, "attachments": post.attachments}
    return (*said.dropped, *(name for name, files in kept_back.items() if files))


def shown(said: Said, link: str) -> str:
    """What a reader sees of it, plain."""
    return "\n\n".join(filter(None, (said.title, said.text, link)))


def encoded(form: Mapping[str, Any]) -> bytes:
    """As it is sent. Chinese stays as it is: escaped it would count twice."""
    return json.dumps(form, ensure_ascii=False, separators=(",", ":")).encode()


def in_bytes(text: str, limit: int, part: str = "text") -> Measured:
    return Measured(part, utf8(text), limit, "bytes")


class Robot(ABC):
    """One robot in one group. `codes` names the statuses whose body is read for the platform's own code. Whatever is
    secret in `settings` is shown to nobody."""

    kind: ClassVar[str]
    name: ClassVar[str]  # in front of its codes
    faults: ClassVar[tuple[Fault, ...]]
    codes: ClassVar[Mapping[int, Answer] | None] = None

    def __init__(self, account: str, settings: RobotSettings, tools: Tools, promised: Capabilities) -> None:
        self.account, self.capabilities = account, promised
        self._transport, self._clock = tools.transport, tools.clock
        self._secrets = [value for _, value in settings if isinstance(value, SecretStr)]

    @abstractmethod
    def prepare(self, post: Post) -> Prepared: ...

    @abstractmethod
    def signed(self, form: Mapping[str, Any], now: float) -> tuple[str, bytes]:
        """Address and body of one request, signed with the time `now` (epoch seconds)."""

    @abstractmethod
    def code(self, reply: Mapping[str, Any]) -> object:
        """The platform's own code; 0 is success."""

    async def publish(self, post: Post) -> Receipt:
        return await self._say(post)

    async def follow_up(self, post: Post) -> Receipt:
        receipt = await self._say(post)
        if post.operation is Operation.RECALL:
            return replace(receipt, awaits=Awaits.PERSON, reason="original_stays")
        return receipt

    async def _say(self, post: Post) -> Receipt:
        """Robots give no id: the key stands for the message."""
        address, body = self.signed(self.prepare(post).form, self._clock())
        response = await self._transport.send("POST", address, HEADERS, body, account=self.account, codes=self.codes)
        refused = self._refusal(response)
        if refused is not None:
            raise timed(refused, response)
        return Receipt(post.key)

    def _refusal(self, response: Response) -> Verdict | None:
        try:
            reply = response.json()
        except OutcomeUnknown as unknown:
            return self._status(response) or unknown
        if not isinstance(reply, dict):
            return self._status(response) or OutcomeUnknown("unreadable_answer", f"{self.account}: no JSON object")
        code = self.code(reply)
        if not isinstance(code, int) or isinstance(code, bool):
            return self._status(response) or self.odd(reply)
        text = str(reply.get("errmsg") or reply.get("msg") or reply.get("StatusMessage") or "")
        return self._judged(code, text, response) if code else self._status(response)

    def _status(self, response: Response) -> Verdict | None:
        """A refusing status whose body says nothing is still a refusal."""
        if response.status // 100 == 2:
            return None
        return Rejected(f"http_{response.status}", f"{self.account} answered HTTP {response.status}")

    def odd(self, reply: Mapping[str, Any]) -> Verdict:
        """An answer without the platform's code."""
        return OutcomeUnknown("unreadable_answer", f"{self.account}: an answer without a code")

    def _judged(self, code: int, text: str, response: Response) -> Verdict:
        fault = next((f for f in self.faults if f.means(code, text)), None)
        words = refusals.said(_ADDRESS.sub("…", text), (secret.get_secret_value() for secret in self._secrets))
        detail = f"{self.account}: code {code}: {words}"
        if fault is None:
            return OutcomeUnknown(f"{self.name}_unknown", detail)
        return self.verdict(fault, detail, response)

    def verdict(self, fault: Fault, detail: str, response: Response) -> Verdict:
        reason = "_".join(filter(None, (self.name, str(fault.code), fault.name)))
        return refusal(fault.sort, reason, detail, now=self._clock(), wait=fault.wait)
