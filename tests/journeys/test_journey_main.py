"""The main job from the editor's file to the reader's feed, seen by outsiders: browser, feed readers, a subscriber."""

from __future__ import annotations

import base64
import hashlib
import html
import json
from pathlib import Path
from typing import Any

import fastfeedparser
import feedparser
from journey_house import BASE, EDITOR, OPERATOR, PUBLIC_KEY, SECRET, House, Letter, until
from lxml import etree
from standardwebhooks.webhooks import Webhook

from publisher.content import Content
from publisher.desk import Paper, WithdrawalReason
from publisher.intake import DirectoryFiles
from publisher.samples import sample_files, sample_overrides

SAMPLES = sample_files()
NS = {"a": "http://www.w3.org/2005/Atom", "at": "http://purl.org/atompub/tombstones/1.0"}
CHROME = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"


async def all_published(house: House) -> dict[str, Content]:
    """item -> what was signed."""
    contents = {}
    for path in SAMPLES:
        filed = await house.sample(path)
        assert not filed.verdict.blocked, (path.name, [f.rule_id for f in filed.verdict.blocking])
        await house.sign(filed.revision.item_id)
        contents[filed.revision.item_id] = Content.from_canonical(filed.revision.content)
    await house.done(*contents)
    return contents


async def feed(house: House, suffix: str, slug: str = "all") -> bytes:
    status, body = await house.get(f"/feeds/{slug}.{suffix}")
    assert status == 200
    return body


def verified(letter: Letter) -> dict[str, Any]:
    """By the published library for v1, by cryptography alone for v1a."""
    event = Webhook(SECRET).verify(letter.body, dict(letter.headers))
    headers = {k.lower(): v for k, v in letter.headers.items()}
    signed = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + letter.body
    tokens = [t.removeprefix("v1a,") for t in headers["webhook-signature"].split(" ") if t.startswith("v1a,")]
    assert len(tokens) == 1
    PUBLIC_KEY.verify(base64.b64decode(tokens[0]), signed)
    assert isinstance(event, dict)
    return event


async def pages_show(house: House, contents: dict[str, Content]) -> None:
    for item_id, content in contents.items():
        status, page = await house.page(item_id)
        assert status == 200
        tree = etree.HTML(page)
        assert "".join(tree.find(".//h1").itertext()).strip() == content.title
        for column in ("/", f"/columns/{content.column}"):
            listing = (await house.get(column, Accept=CHROME))[1].decode()
            assert html.escape(content.title) in listing


async def files_are_whole(house: House, contents: dict[str, Content]) -> None:
    seen = 0
    for letter in house.box.letters:
        data = letter.event["data"]
        for file in [*data.get("attachments", []), *data.get("images", [])]:
            assert file["url"].startswith(BASE)
            status, body = await house.get(file["url"])
            assert status == 200
            assert hashlib.sha256(body).hexdigest() == file["sha256"]
            assert len(body) == file["size"]
            seen += 1
    assert seen == sum(len(c.attachments) + len(c.images) for c in contents.values()) > 1


async def feeds_agree(house: House, contents: dict[str, Content]) -> dict[str, str]:
    """Answers item -> its permanent id; three formats and two readers tell the same."""
    told = []
    for suffix in ("atom", "rss"):
        body = await feed(house, suffix)
        first = feedparser.parse(body)
        assert not first.bozo, first.get("bozo_exception")
        told.append({e.id: e.title for e in first.entries})
        told.append({e.id: e.title for e in fastfeedparser.parse(body.decode()).entries})
    told.append({e["id"]: e["title"] for e in json.loads(await feed(house, "json"))["items"]})
    assert all(t == told[0] for t in told)
    assert sorted(told[0].values()) == sorted(c.title for c in contents.values())
    ids = {item: next(i for i in told[0] if i.endswith(f"/{item}")) for item in contents}
    assert {told[0][ids[item]] for item in contents} == {c.title for c in contents.values()}
    return ids


def subscriber_knows(house: House, contents: dict[str, Content]) -> None:
    assert sorted(house.box.taken) == sorted(("item.published", item, 1) for item in contents)
    for letter in house.box.letters:
        event = verified(letter)
        assert event["data"]["title"] == contents[event["data"]["id"]].title


def corrected_paper(path: Path, before: str, after: str) -> Paper:
    raw = path.read_bytes().replace(before.encode(), after.encode())
    assert raw != path.read_bytes()
    return Paper(raw, path.name, DirectoryFiles(path.parent), overrides=sample_overrides(path))


async def correct_one(house: House, item: str, entry_id: str) -> None:
    """Nothing moves before the last signature; then page, feeds and subscriber do."""
    before = entry_of(await feed(house, "atom"), entry_id)
    old = (await house.page(item))[1]
    paper = corrected_paper(SAMPLES[0], "共8小时", "共八小时")
    note = "更正停机时长的写法。"
    await house.app.desk.correct(item, paper, note=note, actor=EDITOR)
    await house.sign(item, "first", "second")
    assert (await house.page(item))[1] == old
    assert len(house.box.letters) == len(SAMPLES)
    await house.sign(item, "final")
    await house.done(item)

    async def shown() -> bool:
        told = entry_of(await feed(house, "atom"), entry_id)
        return "共八小时" in (await house.page(item))[1] and told.updated > before.updated

    await until(shown)
    await heard(house, ("item.corrected", item, 2))
    assert note in (await house.page(item))[1]
    after = entry_of(await feed(house, "atom"), entry_id)
    assert after.updated_parsed >= before.updated_parsed
    assert (after.updated > before.updated, after.published) == (True, before.published)
    event = verified(house.box.letters[-1])
    assert house.box.letters[-1].told == ("item.corrected", item, 2)
    assert event["data"]["note"] == note
    assert "共八小时" in event["data"]["html"]


async def heard(house: House, told: tuple[str, str, int]) -> None:
    """The subscriber's letter may come after the page has changed."""

    async def it_came() -> bool:
        return told in house.box.taken

    await until(it_came)


def entry_of(body: bytes, entry_id: str) -> Any:
    return next(e for e in feedparser.parse(body).entries if e.id == entry_id)


async def withdraw_one(house: House, item: str, entry_id: str, title: str) -> None:
    """Gone everywhere, and said so everywhere, under the same address and id."""
    files = [f for letter in house.box.letters if letter.told[1] == item for f in letter.event["data"]["attachments"]]
    await house.app.desk.withdraw(item, reason=WithdrawalReason.ERROR, note="内容有误。", actor=OPERATOR)
    await house.done(item)

    async def gone() -> bool:
        return (await house.page(item))[0] == 410 and b"deleted-entry" in await feed(house, "atom")

    await until(gone)
    await heard(house, ("item.withdrawn", item, 1))
    assert "内容有误。" in (await house.page(item))[1]
    tree = etree.fromstring(await feed(house, "atom"))
    assert [e.get("ref") for e in tree.findall("at:deleted-entry", NS)] == [entry_id]
    notice = entry_of(await feed(house, "atom"), entry_id)
    assert notice.title != title
    assert entry_of(await feed(house, "rss"), entry_id).title == notice.title
    event = verified(house.box.letters[-1])
    assert house.box.letters[-1].told == ("item.withdrawn", item, 1)
    assert (event["data"]["reason"], "html" in event["data"]) == ("error", False)
    for file in files:
        assert (await house.get(file["url"]))[0] == 410
    assert files


async def test_from_the_editors_file_to_the_reader(any_house: House) -> None:
    house = any_house
    contents = await all_published(house)
    assert len(contents) == len(SAMPLES)

    async def redrawn() -> bool:
        """The feeds tell all of them, and so no page is missing."""
        return len(json.loads(await feed(house, "json"))["items"]) == len(contents)

    await until(redrawn)
    await pages_show(house, contents)
    ids = await feeds_agree(house, contents)
    subscriber_knows(house, contents)
    await files_are_whole(house, contents)
    first = next(iter(contents))
    await correct_one(house, first, ids[first])
    with_files = next(item for item, content in contents.items() if content.attachments)
    await withdraw_one(house, with_files, ids[with_files], contents[with_files].title)
    untouched = set(contents) - {first, with_files}
    told = [letter.told[1] for letter in house.box.letters]
    assert all(told.count(item) == 1 for item in untouched)


