"""Items over HTTP: what comes in, what is answered, and what a repeated request gets."""

from __future__ import annotations

import asyncio
import hashlib
import json
import socket
import struct
import zlib
from typing import Any

import aiohttp
import pytest
from api_world import HELD, World, an_item, token_of

MARKDOWN = """---
title: 关于开展版权登记服务的通知
column: notices
content_type: CT05
openness: proactive
attachments:
  - 申请表.txt
---
各有关单位：

自即日起，版权登记窗口每周一至周五开放。
"""


def png() -> bytes:
    """One white pixel."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = struct.pack(">IIBBBBB", 1, 1, 8, 0, 0, 0, 0)
    pixels = zlib.compress(b"\x00\xff")
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")


async def test_an_item_is_stored_before_the_answer_and_read_back(world: World) -> None:
    filed = await world.submitted()
    kept = await world.store.items.latest(filed["item_id"])
    assert (filed["state"], filed["revision"]) == ("draft", 1)
    assert (filed["content_hash"], kept.drafter) == (kept.content_hash, "edith")
    content = await world("GET", f"/items/{filed['item_id']}/revisions/1/content", "auditor")
    assert hashlib.sha256(content.raw).hexdigest() == filed["content_hash"]
    assert content.headers["ETag"] == f'"{filed["content_hash"]}"'
    assert json.loads(content.raw)["title"] == an_item()["title"]
    missing = await world("GET", f"/items/{filed['item_id']}/revisions/2/content", "auditor")
    assert (missing.status, missing.json["code"]) == (404, "not_found")


async def test_a_held_item_is_stored_and_told_with_masked_findings(world: World) -> None:
    reply = await world("POST", "/items", "editor", json=HELD)
    assert (reply.status, reply.json["state"]) == (201, "held")
    found = reply.json["findings"][0]
    assert (found["rule_id"], found["severity"], found["source_line"]) == ("PII-01", "block", 1)
    assert b"11010519491231002X" not in reply.raw
    signed = await world("POST", f"/items/{reply.json['item_id']}/signoffs", "reviewer", json=_sign(reply.json))
    assert (signed.status, signed.json["code"]) == (422, "checklist_blocks")
    assert [f["rule_id"] for f in signed.json["findings"]] == ["PII-01"]
    assert b"11010519491231002X" not in signed.raw


def _sign(filed: dict[str, Any], stage: str = "first") -> dict[str, Any]:
    return {"stage": stage, "content_hash": filed["content_hash"]}


async def test_check_stores_nothing(world: World) -> None:
    reply = await world("POST", "/check", "editor", json=HELD)
    assert (reply.status, reply.json["blocked"], reply.json["blocking"]) == (200, True, ["PII-01"])
    assert (await world("GET", "/items", "editor")).json == {"items": []}


@pytest.mark.parametrize(
    "kind, name", [("text/markdown", None), ("text/markdown; charset=utf-8", "公告.md"), ("text/plain", "a.txt")]
)
async def test_texts_come_with_their_media_type(world: World, kind: str, name: str | None) -> None:
    text = "各有关单位：\n\n自即日起开放。\n"
    more = {"title": "通知", "column": "notices", "content_type": "CT05", "openness": "proactive"}
    params = {**more, **({"filename": name} if name else {})}
    reply = await world(
        "POST", "/items", "editor", data=text.encode(), params=params, headers={"Content-Type": kind}
    )
    assert reply.status == 201, reply.raw.decode()
    assert reply.json["title"] == "通知"


def _form(*parts: tuple[str, Any, str | None]) -> aiohttp.FormData:
    form = aiohttp.FormData()
    for name, value, filename in parts:
        form.add_field(name, value, filename=filename)
    return form


async def test_a_form_brings_the_files_that_the_text_names(world: World) -> None:
    item, file = ("item", MARKDOWN.encode(), "通知.md"), ("file", "姓名：".encode(), "申请表.txt")
    reply = await world("POST", "/items", "editor", data=_form(item, file))
    assert reply.status == 201, reply.raw.decode()
    content = json.loads((await world.store.items.latest(reply.json["item_id"])).content)
    kept = content["attachments"][0]
    assert (kept["name"], kept["sha256"]) == ("申请表.txt", hashlib.sha256("姓名：".encode()).hexdigest())
    assert world.parts.media.read(kept["sha256"]).decode() == "姓名："
    alone = await world("POST", "/items", "editor", data=_form(item))
    assert (alone.status, alone.json["problems"][0]["code"]) == (422, "file_absent")


@pytest.mark.parametrize(
    "parts",
    [
        [("file", b"x", "a.txt")],
        [("item", b"x", "a.txt"), ("item", b"x", "b.txt")],
        [("item", b"x", "a.txt"), ("file", b"x", "c.txt"), ("file", b"y", "c.txt")],
        [("item", b"x", "a.txt"), ("title", b"\xff\xfe", "")],
    ],
)
async def test_a_form_that_cannot_be_understood_is_refused(world: World, parts: list[Any]) -> None:
    reply = await world("POST", "/items", "editor", data=_form(*parts))
    assert (reply.status, reply.json["code"]) == (400, "bad_form")


@pytest.mark.parametrize("written", ["申请表.txt", "%E7%94%B3%E8%AF%B7%E8%A1%A8.txt"])
async def test_file_names_come_as_they_are_or_percent_encoded(world: World, written: str) -> None:
    parts = [('name="item"; filename="a.md"', MARKDOWN), (f'name="file"; filename="{written}"', "姓名：")]
    body = "".join(f"--x\r\nContent-Disposition: form-data; {head}\r\n\r\n{text}\r\n" for head, text in parts)
    kind = {"Content-Type": "multipart/form-data; boundary=x"}
    reply = await world("POST", "/items", "editor", data=(body + "--x--\r\n").encode(), headers=kind)
    assert reply.status == 201, reply.raw.decode()


@pytest.mark.parametrize("raw", [b"", b"--x", b"--x\r\nbroken", b"--x\r\nA: b\r\n\r\ntext", b"\x00" * 100])
async def test_a_broken_form_is_the_senders_fault(world: World, raw: bytes) -> None:
    kind = {"Content-Type": "multipart/form-data; boundary=x"}
    reply = await world("POST", "/items", "editor", data=raw, headers=kind)
    assert reply.status == 400, reply.raw


async def test_a_repeated_request_is_answered_from_the_first(world: World) -> None:
    headers = {"Idempotency-Key": "k-1"}
    first = await world("POST", "/items", "editor", json=an_item(), headers=headers)
    world.clock.turn(5)
    again = await world("POST", "/items", "editor", json=an_item(), headers=headers)
    assert (first.status, again.status) == (201, 201)
    assert first.json == again.json
    assert first.headers["Location"] == again.headers["Location"] == f"/api/v1/items/{first.json['item_id']}"
    assert "Idempotency-Replayed" not in first.headers
    assert again.headers["Idempotency-Replayed"] == "true"
    other = await world("POST", "/items", "editor", json=an_item(title="另一件"), headers=headers)
    assert (other.status, other.json["code"]) == (409, "conflict")
    path = f"/items/{first.json['item_id']}/revisions"
    act = await world("POST", path, "editor", json=an_item(), headers=headers)
    assert act.status == 409, "the same text for another act is another request"


async def test_an_item_with_an_id_of_its_own_is_replayed_too(world: World) -> None:
    headers, item = {"Idempotency-Key": "k-2"}, an_item(id="notice-2026-01")
    await world("POST", "/items", "editor", json=item, headers=headers)
    world.clock.turn(5)
    again = await world("POST", "/items", "editor", json=item, headers=headers)
    assert (again.status, again.headers.get("Idempotency-Replayed")) == (201, "true")
    plain = await world("POST", "/items", "editor", json=item)
    assert plain.status == 409


@pytest.mark.parametrize("key", ["", "a b", "x" * 201, "ключ"])
async def test_an_unusable_key_is_refused(world: World, key: str) -> None:
    reply = await world("POST", "/items", "editor", json=an_item(), headers={"Idempotency-Key": key})
    assert (reply.status, reply.json["code"]) == (400, "idempotency_key")


async def test_fifty_at_once_make_one_item(either_world: World) -> None:
    headers = {"Idempotency-Key": "one"}
    calls = [either_world("POST", "/items", "editor", json=an_item(), headers=headers) for _ in range(50)]
    replies = await asyncio.gather(*calls)
    assert {r.status for r in replies} == {201}
    assert len({r.json["item_id"] for r in replies}) == 1
    assert sum("Idempotency-Replayed" not in r.headers for r in replies) == 1
    assert len(await either_world.store.items.listing()) == 1


async def test_a_correction_makes_a_revision_that_needs_new_signatures(world: World) -> None:
    item_id = await world.released()
    text = an_item(body="<p>窗口改为周一至周四开放。</p>")
    reply = await world("POST", f"/items/{item_id}/revisions", "editor", json=text, params={"note": "更正时间。"})
    assert (reply.status, reply.json["revision"], reply.json["state"]) == (201, 2, "draft")
    told = (await world("GET", f"/items/{item_id}", "editor")).json
    assert [v["revision"] for v in told["revisions"]] == [1, 2]
    assert told["revisions"][1]["note"] == "更正时间。"
    assert (told["unsigned"], told["state"]) == (["first", "final"], "draft")
    assert [s["person"] for s in told["revisions"][0]["signoffs"]] == ["rita", "frank"]
    assert {d["channel"] for d in told["deliveries"]} == {"site", "hook"}


async def test_only_the_text_that_was_read_is_signed(world: World) -> None:
    filed = await world.submitted()
    path = f"/items/{filed['item_id']}/signoffs"
    stale = await world("POST", path, "reviewer", json={"stage": "first", "content_hash": "0" * 64})
    assert (stale.status, stale.json["code"]) == (409, "text_changed")
    signed = await world("POST", path, "reviewer", json=_sign(filed))
    assert (signed.status, signed.json["signoffs"][0]["person"]) == (201, "rita")
    twice = await world("POST", path, "reviewer", json=_sign(filed))
    assert twice.status == 409
    foreign = await world("POST", path, "reviewer", json=_sign(filed, "final"))
    assert foreign.json["code"] == "may_not_sign"
    assert [s.person for s in await world.store.items.signoffs(1)] == ["rita"]


async def test_lists_are_filtered(world: World) -> None:
    first = await world.submitted()
    second = await world.submitted(an_item(column="policies"))
    held = await world.submitted(HELD)

    async def ids(query: str) -> list[str]:
        return [i["id"] for i in (await world("GET", f"/items{query}", "auditor")).json["items"]]

    assert set(await ids("")) == {first["item_id"], second["item_id"], held["item_id"]}
    assert await ids("?column=policies") == [second["item_id"]]
    assert await ids("?state=held") == [held["item_id"]]
    assert len(await ids("?limit=1")) == 1


async def _raw(world: World, head: str, body: bytes = b"") -> bytes:
    """Speaks HTTP by hand and reads what comes, although the rest of the body never does."""
    port = int(world.base.rpartition(":")[2])
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    writer.write(head.replace("\n", "\r\n").encode() + body)
    await writer.drain()
    async with asyncio.timeout(60):
        said = await reader.read(4096)
    writer.close()
    return said


HEAD = (
    "POST /api/v1/items HTTP/1.1\nHost: x\nContent-Type: application/json\n"
    f"Authorization: Bearer {token_of('editor')}\nContent-Length: 52428800\n"
)


async def test_fifty_megabytes_are_refused_by_their_announcement(world: World) -> None:
    """Only the first bytes are ever sent: the answer does not wait for the rest."""
    said = await _raw(world, HEAD + "\n", b"{")
    assert said.startswith(b"HTTP/1.1 413")
    assert b"1048576 bytes" in said


async def test_a_client_that_asks_first_is_told_before_it_sends(world: World) -> None:
    said = await _raw(world, HEAD + "Expect: 100-continue\n\n")
    assert said.startswith(b"HTTP/1.1 413")
    small = HEAD.replace("52428800", "2") + "Expect: 100-continue\n\n"
    assert (await _raw(world, small)).startswith(b"HTTP/1.1 100")
    assert (await _raw(world, small.replace("test-editor", "other"))).startswith(b"HTTP/1.1 401")


async def test_a_body_of_unknown_length_is_read_to_the_limit_only(world: World) -> None:
    sent = 0

    async def endless() -> Any:
        nonlocal sent
        for _ in range(800):
            sent += 65536
            yield b" " * 65536

    try:
        reply = await world("POST", "/items", "editor", data=endless(), headers={"Content-Type": "application/json"})
        assert (reply.status, reply.json["code"]) == (413, "too_large")
    except aiohttp.ClientError:
        assert sent < 50 << 20, "the connection was cut before all had been sent"


async def test_a_compressed_body_is_not_taken(world: World) -> None:
    headers = {"Content-Type": "application/json", "Content-Encoding": "gzip"}
    reply = await world("POST", "/items", "editor", data=b"\x1f\x8b", headers=headers)
    assert reply.status in (400, 415)


async def test_an_image_that_the_text_shows_comes_along(world: World) -> None:
    text = MARKDOWN.replace("attachments:\n  - 申请表.txt\n", "") + "\n![窗口照片](窗口.png)\n"
    reply = await world(
        "POST", "/items", "editor", data=_form(("item", text.encode(), "a.md"), ("file", png(), "窗口.png"))
    )
    assert reply.status == 201, reply.raw.decode()
    assert world.parts.media.has(hashlib.sha256(png()).hexdigest())
