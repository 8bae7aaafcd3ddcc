"""Drawn once per change, only what changed, never half, and a poll that asks the shelf nothing."""

from __future__ import annotations

import asyncio
import gzip
import threading
from collections.abc import AsyncIterator
from dataclasses import replace

import feedparser
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lxml import etree
from shelf import SECOND, SITE, MemoryShelf, attachment, published, related

from publisher.web.feeds import CHUNK, WINDOW
from publisher.web.pages.drawing import Address, Drawn
from publisher.web.pages.rendition import Rendition, Shelved, made
from publisher.web.renditions import Renditions

ATOM_ALL, ATOM_NOTICES, ATOM_POLICIES = (Address("feed.atom", slug) for slug in ("all", "notices", "policies"))
HOME = Address("home", language="zh")


def item(number: int, language: str = "zh") -> Address:
    return Address("item", f"item-{number:04d}", 0, language)


@pytest.fixture
async def shelf() -> MemoryShelf:
    made = MemoryShelf()
    made.fill(3)
    return made


@pytest.fixture
async def kept(shelf: MemoryShelf) -> AsyncIterator[Renditions]:
    renditions = Renditions(shelf, SITE)
    await renditions.refresh()
    yield renditions
    renditions.close()


async def body(kept: Renditions, address: Address) -> str:
    found = await kept.fetch(address)
    assert found is not None
    return found.plain.body.decode()


async def test_a_poll_asks_the_shelf_nothing(kept: Renditions, shelf: MemoryShelf) -> None:
    await kept.fetch(item(1))
    shelf.asked.clear()
    for address in (ATOM_ALL, Address("feed.rss", "all"), Address("feed.json", "notices"), HOME, item(1)):
        assert kept.get(address) is not None
        assert await kept.fetch(address) is kept.get(address)
    assert shelf.asked == []


async def test_an_unchanged_shelf_costs_one_question(kept: Renditions, shelf: MemoryShelf) -> None:
    shelf.asked.clear()
    before = kept.get(ATOM_ALL)
    await kept.refresh()
    assert shelf.asked == ["version"]
    assert kept.get(ATOM_ALL) is before


async def test_only_what_changed_is_drawn_again(kept: Renditions, shelf: MemoryShelf) -> None:
    await kept.fetch(item(1))
    await kept.fetch(item(2))
    before = {a: kept.get(a) for a in (ATOM_ALL, ATOM_NOTICES, ATOM_POLICIES, item(1), item(2), HOME)}
    shelf.correct("item-0001")
    await kept.refresh()
    assert kept.get(ATOM_POLICIES) is before[ATOM_POLICIES]
    assert kept.get(item(2)) is before[item(2)]
    assert kept.get(item(1)) is None
    for address in (ATOM_ALL, ATOM_NOTICES, HOME):
        assert kept.get(address) is not before[address]
    assert "已更正" in await body(kept, HOME)


async def test_a_correction_resurfaces_at_the_top(kept: Renditions, shelf: MemoryShelf) -> None:
    shelf.correct("item-0001")
    await kept.refresh()
    assert feedparser.parse(await body(kept, ATOM_ALL)).entries[0].id.endswith("item-0001")


async def test_a_withdrawal_reaches_every_place(kept: Renditions, shelf: MemoryShelf) -> None:
    shelf.put(published(4, body_html="<p>正文四</p>", attachments=[attachment()]))
    await kept.refresh()
    assert "正文四" in await body(kept, item(4))
    assert kept.file("a" * 64, attachment().name)[0] is not None
    shelf.withdraw("item-0004")
    await kept.refresh()
    gone = await kept.fetch(item(4))
    assert gone is not None
    assert gone.status == 410
    for address in (item(4), ATOM_ALL, ATOM_NOTICES, Address("sitemap"), HOME):
        assert "正文四" not in await body(kept, address)
    assert "item-0004" not in await body(kept, Address("sitemap"))
    assert "item-0004" not in await body(kept, HOME)
    assert kept.file("a" * 64, attachment().name) == (None, True)


async def test_a_file_shared_with_a_live_item_stays_public(kept: Renditions, shelf: MemoryShelf) -> None:
    for number in (4, 5):
        shelf.put(published(number, attachments=[attachment()]))
    shelf.withdraw("item-0004")
    await kept.refresh()
    assert kept.file("a" * 64, attachment().name)[0] is not None
    assert kept.file("a" * 64, "别的名字.pdf") == (None, False)


async def test_relations_show_on_both_sides_and_follow_a_withdrawal(kept: Renditions, shelf: MemoryShelf) -> None:
    assert "相关解读" not in await body(kept, item(1))
    shelf.put(published(4, title="第一号的解读", related=[related("interprets", "item-0001")]))
    await kept.refresh()
    assert "第一号的解读" in await body(kept, item(1))
    assert "相关解读" in await body(kept, item(1))
    assert "关于第1号事项的通知" in await body(kept, item(4))
    shelf.withdraw("item-0004")
    await kept.refresh()
    assert "第一号的解读" not in await body(kept, item(1))


async def test_archives_hold_fixed_chunks_and_change_only_when_touched(shelf: MemoryShelf) -> None:
    shelf.fill(2 * CHUNK)
    kept = Renditions(shelf, SITE)
    await kept.refresh()
    first, second = (Address("archive", "all", n) for n in (1, 2))
    before = {a: await kept.fetch(a) for a in (first, second)}
    ids = [e.id for e in feedparser.parse(await body(kept, first)).entries]
    assert [i[-4:] for i in ids] == [f"{n:04d}" for n in range(1, CHUNK + 1)]
    assert await kept.fetch(Address("archive", "all", 3)) is None
    shelf.fill(1)
    await kept.refresh()
    assert [kept.get(a) for a in (first, second)] == [before[a] for a in (first, second)]
    shelf.correct(f"item-{CHUNK + 1:04d}", "改正第二页。")
    await kept.refresh()
    assert kept.get(first) is before[first]
    assert kept.get(second) is None
    assert "改正第二页。" in await body(kept, second)
    shelf.fill(CHUNK)
    await kept.refresh()
    assert 'rel="next-archive"' in await body(kept, second)
    kept.close()


async def test_no_item_falls_between_current_page_and_archives() -> None:
    shelf = MemoryShelf()
    shelf.fill(CHUNK + 20)
    kept = Renditions(shelf, SITE)
    await kept.refresh()
    for number in range(1, WINDOW + 1):  # old corrections fill the window of newest changes
        shelf.correct(f"item-{number:04d}")
    await kept.refresh()
    current = {e.id for e in feedparser.parse(await body(kept, ATOM_ALL)).entries}
    archived = {e.id for e in feedparser.parse(await body(kept, Address("archive", "all", 1))).entries}
    assert {i.rpartition("/")[2] for i in current | archived} == set(shelf.items)
    kept.close()


async def test_a_move_to_another_column_redraws_both(kept: Renditions, shelf: MemoryShelf) -> None:
    shelf.correct("item-0002", column="policies")
    await kept.refresh()
    assert "item-0002" in await body(kept, ATOM_POLICIES)
    assert "item-0002" not in await body(kept, ATOM_NOTICES)


async def test_a_new_item_written_with_an_older_time_is_found(kept: Renditions, shelf: MemoryShelf) -> None:
    late = published(9)
    shelf.put(replace(late, published_at=shelf.items["item-0003"].published_at + 1, updated_at=shelf.clock + 1))
    await kept.refresh()
    assert "item-0009" in await body(kept, ATOM_ALL)


async def test_many_changes_between_refreshes_are_all_seen(shelf: MemoryShelf) -> None:
    shelf.fill(300)
    kept = Renditions(shelf, SITE)
    await kept.refresh()
    for number in range(1, 291):
        shelf.correct(f"item-{number:04d}", f"第{number}次更正")
    await kept.refresh()
    assert "第1次更正" in await body(kept, item(1))
    assert all(kept._edition.ledger.cards[f"item-{n:04d}"].corrected for n in range(1, 291))
    kept.close()


async def test_refreshes_at_the_same_time_share_the_work(kept: Renditions, shelf: MemoryShelf) -> None:
    shelf.fill(1)
    shelf.asked.clear()
    await asyncio.gather(*(kept.refresh() for _ in range(20)))
    assert shelf.asked.count("version") <= 2
    assert "item-0004" in await body(kept, ATOM_ALL)


async def test_askers_at_the_same_time_share_one_drawing(kept: Renditions, shelf: MemoryShelf) -> None:
    shelf.asked.clear()
    found = await asyncio.gather(*(kept.fetch(item(2)) for _ in range(20)))
    assert shelf.asked == ["get"]
    assert len({id(one) for one in found}) == 1


async def test_a_drawing_that_a_refresh_overtook_is_not_kept(kept: Renditions, shelf: MemoryShelf) -> None:
    gate = asyncio.Event()
    plain = shelf.get

    async def slow(item_id: str):
        found = await plain(item_id)
        await gate.wait()
        return found

    shelf.get = slow  # type: ignore[method-assign]
    asking = asyncio.create_task(kept.fetch(item(1)))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    shelf.withdraw("item-0001")
    await kept.refresh()
    gate.set()
    await asking
    late = await kept.fetch(item(1))
    assert late is not None
    assert late.status == 410


async def test_readers_see_a_whole_edition(kept: Renditions, shelf: MemoryShelf) -> None:
    """While a refresh runs, all that is shown belongs to one version."""
    shelf.fill(1)
    seen: set[tuple[bool, bool, bool]] = set()
    work = asyncio.create_task(kept.refresh())
    while not work.done():
        views = [kept.get(a) for a in (ATOM_ALL, ATOM_NOTICES, HOME)]
        seen.add(tuple(b"item-0004" in view.plain.body for view in views if view))  # type: ignore[arg-type]
        await asyncio.sleep(0)
    assert seen <= {(False, False, False), (True, True, True)}


async def test_what_arrives_while_it_is_drawn_waits_for_the_next_edition(kept: Renditions, shelf: MemoryShelf) -> None:
    """No feed names an item whose page is not there yet."""
    shelf.fill(1)
    plain = shelf.latest

    async def late(column: str | None, limit: int):
        if limit == WINDOW and len(shelf.items) == 4:
            shelf.fill(1)
        return await plain(column, limit)

    shelf.latest = late  # type: ignore[method-assign]
    for newest in (4, 5):
        await kept.refresh()
        assert f"item-{newest:04d}" in await body(kept, ATOM_ALL)
        named = {a for a in map(item, range(1, 6)) if a.name in await body(kept, ATOM_ALL)}
        assert [await kept.fetch(a) is not None for a in named] == [True] * newest


async def test_a_failing_shelf_leaves_the_old_edition(kept: Renditions, shelf: MemoryShelf) -> None:
    before = kept.get(ATOM_ALL)
    shelf.fill(1)
    plain = shelf.latest

    async def broken(column: str | None, limit: int):
        raise OSError("the database is away")

    shelf.latest = broken  # type: ignore[method-assign]
    with pytest.raises(OSError, match="away"):
        await kept.refresh()
    assert kept.get(ATOM_ALL) is before
    shelf.latest = plain  # type: ignore[method-assign]
    await kept.refresh()
    assert "item-0004" in await body(kept, ATOM_ALL)


async def test_drawing_happens_in_one_thread_off_the_loop(
    kept: Renditions, shelf: MemoryShelf, monkeypatch: pytest.MonkeyPatch
) -> None:
    threads: set[str] = set()
    plain = kept._drawing.current_feed

    def noted(*given):
        threads.add(threading.current_thread().name)
        return plain(*given)

    monkeypatch.setattr(kept._drawing, "current_feed", noted)
    shelf.fill(1)
    await kept.refresh()
    assert len(threads) == 1
    assert threads != {threading.main_thread().name}


async def test_unknown_places_are_none(kept: Renditions, shelf: MemoryShelf) -> None:
    shelf.asked.clear()
    for address in (item(99), Address("archive", "all", 1), Address("column", "nowhere", 1, "zh"), Address("x")):
        assert await kept.fetch(address) is None
    assert "get" not in shelf.asked
    assert await kept.fetch(Address("column", "notices", 2, "zh")) is None


async def test_sitemap_lists_live_items(kept: Renditions) -> None:
    found = etree.fromstring((await body(kept, Address("sitemap"))).encode()).xpath("//*[local-name()='loc']/text()")
    assert found == [f"https://www.example.gov.cn/items/item-{n:04d}" for n in (1, 2, 3)]
    assert "Sitemap: https://www.example.gov.cn/sitemap.xml" in await body(kept, Address("robots"))


@given(st.binary(max_size=300))
@settings(max_examples=40, deadline=None)
def test_compressed_bytes_are_those_bytes_and_tags_differ(raw: bytes) -> None:
    one, again = made(Drawn(raw, "text/html")), made(Drawn(raw, "text/html"))
    assert gzip.decompress(one.zipped.body) == raw
    assert one.zipped.body == again.zipped.body
    assert one.plain.tag != one.zipped.tag
    assert made(Drawn(raw + b"x", "text/html")).plain.tag != one.plain.tag


def _rendition(size: int, topic: str = "t") -> Rendition:
    plain = made(Drawn(b"x" * size, "text/html", topics=frozenset({topic})))
    return replace(plain, zipped=plain.plain)


@given(st.lists(st.tuples(st.integers(0, 9), st.integers(1, 60)), max_size=60))
@settings(deadline=None)
def test_the_lazy_store_stays_within_its_bytes(puts: list[tuple[int, int]]) -> None:
    store = Shelved(200)
    for number, size in puts:
        store.put(Address("item", str(number)), _rendition(size))
        assert store.get(Address("item", str(number))) is not None
        assert store.size <= 200
        assert store.size == sum(one.size for one in store._kept.values())


def test_the_longest_unused_leaves_first() -> None:
    store = Shelved(200)
    one, two, three = (Address("item", name) for name in "abc")
    store.put(one, _rendition(40))
    store.put(two, _rendition(40))
    store.get(one)
    store.put(three, _rendition(40))
    assert store.get(two) is None
    assert store.get(one) is not None


def test_last_modified_comes_from_the_change() -> None:
    found = made(Drawn(b"", "text/html", modified=1_767_225_661 * SECOND + 5))
    assert found.plain.headers["Last-Modified"] == "Thu, 01 Jan 2026 00:01:01 GMT"
    assert "Last-Modified" not in made(Drawn(b"", "text/html")).plain.headers


async def test_a_change_within_the_same_second_is_not_hidden_by_its_date(kept: Renditions, shelf: MemoryShelf) -> None:
    first = kept.get(ATOM_ALL)
    at = shelf.items["item-0003"].published_at + 1
    shelf.put(replace(published(4), published_at=at, updated_at=at))
    await kept.refresh()
    second = kept.get(ATOM_ALL)
    assert first is not None
    assert second is not None
    assert second.plain.body != first.plain.body
    assert second.modified is None
    shelf.correct("item-0001")
    await kept.refresh()
    third = kept.get(ATOM_ALL)
    assert third is not None
    assert third.modified == shelf.items["item-0001"].updated_at // SECOND


async def test_a_related_item_that_leaves_a_page_moves_its_date(kept: Renditions, shelf: MemoryShelf) -> None:
    shelf.put(published(4, related=[related("interprets", "item-0001")]))
    await kept.refresh()
    before = await kept.fetch(item(1))
    shelf.withdraw("item-0004")
    await kept.refresh()
    after = await kept.fetch(item(1))
    assert before is not None
    assert after is not None
    assert (after.modified or 0) > (before.modified or 0)
