"""The item that is hard on every form goes out to every stand-in within its limits, with nothing cut; what cannot fit
is refused before anything leaves."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

import pytest
from heavy_item import BODY, FAMILY, FLAG, HEAD, PICTURES, RARE, SUMMARY, TABLE, TITLE, pictures, sentences, source
from live_accounts import LIVE
from rehearsal_house import BASE, EDITOR, House, quickened, rehearsed_house

from channels import registry
from channels.contract import Preparable, Prepared
from channels.phrases import phrase
from channels.sandbox.stand_in import Standing
from channels.text import clusters
from content_queue.states import DELIVERED
from publisher.content import Content
from publisher.desk import Paper
from publisher.fitting import RULE
from publisher.intake import IntakeError, MappingFiles
from publisher.problems import Problem

ITEM = "heavy-item"
LINK = f"{BASE}/items/{ITEM}"
# What must stay whole wherever a part of it appears.
WHOLE = (FAMILY, FLAG, "示版〔2026〕12号", "2026", "1234567890", "12,345.67", LINK)
SHORTENED = re.compile(r".*…$")


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    quickened(monkeypatch)


async def test_it_goes_out_everywhere_within_the_limits_and_uncut(tmp_path: Path) -> None:
    async with rehearsed_house(tmp_path, {variant: variant for variant in LIVE}, deadline=20) as house:
        filed = await house.publish(ITEM, source(ITEM), MappingFiles(pictures()))
        content = filed.submission.content
        assert (len(content.title) > 60, len(content.body_text) >= BODY, len(content.images)) == (True, True, PICTURES)
        assert "<table" in content.body_html
        for name, prepared in forms(house, content).items():
            within_limits(name, prepared)
            uncut(name, prepared)
        await house.settled(ITEM, 1)
        await taken_everywhere(house)


def forms(house: House, content: Content) -> dict[str, Prepared]:
    """What `gongbao preview` shows."""
    found = {}
    for name, channel in house.app.workshop.channels().items():
        assert isinstance(channel, Preparable), name
        found[name] = channel.prepare(house.app.fitting.post(name, content, item_id=ITEM))
    assert set(found) == set(LIVE)
    return found


def within_limits(name: str, prepared: Prepared) -> None:
    assert prepared.measured, name
    for measured in prepared.measured:
        assert measured.limit is None or 0 < measured.length <= measured.limit, (name, measured)
    limited = next((m for m in prepared.measured if m.part == "images" and m.limit is not None), None)
    if limited is not None:  # each picture that does not go along is named
        left = {f"image:{n}" for n in range(int(limited.length) + 1, PICTURES + 1)}
        assert left <= set(prepared.dropped), name


def uncut(name: str, prepared: Prepared) -> None:
    """Whole parts of the item and nothing else; a title that had to be shortened is named and ends between words that
    must stay whole."""
    rest = prepared.text
    for line in dict.fromkeys(rest.split("\n")):
        if SHORTENED.fullmatch(line) and TITLE.startswith(line.removesuffix("…")):
            assert "title" in prepared.dropped, (name, line)
            assert whole(line.removesuffix("…")), (name, line)
            rest = rest.replace(line, "", 1)
    for part in parts():
        rest = rest.replace(part, " ")
    assert not re.sub(r"\s", "", rest), (name, rest)
    if "body" not in prepared.dropped:
        assert all(sentence in prepared.text for sentence in sentences()), name
    if "summary" not in prepared.dropped and "body" in prepared.dropped:
        assert SUMMARY in prepared.text, name


def parts() -> list[str]:
    """Longest first."""
    cells = [cell.strip() for line in TABLE.splitlines() for cell in line.split("|") if cell.strip("- ")]
    captions = [f"第{n}张图片：登记窗口" for n in range(1, PICTURES + 1)]
    labels = [phrase("read_on", "zh-CN", url=LINK), LINK, "#版权", "#登记", "|", "\t"]
    return sorted({TITLE, SUMMARY, *sentences(), *cells, *captions, *labels}, key=len, reverse=True)


def whole(beginning: str) -> bool:
    """Whether this beginning of the title ends inside nothing that must stay together."""
    at = len(beginning)
    starts = ((TITLE.find(part), part) for part in WHOLE)
    inside = any(0 <= start < at < start + len(part) for start, part in starts)
    together, ends = 0, {0}
    for cluster in clusters(TITLE):
        together += len(cluster)
        ends.add(together)
    return not inside and at in ends


async def taken_everywhere(house: House) -> None:
    for name, [delivery] in (await house.deliveries(ITEM)).items():
        assert delivery.state in DELIVERED, (name, delivery.reason)
        [shown] = house.stand_ins[name].shown
        draft = name.endswith("-draft")
        assert shown.standing is (Standing.PENDING if draft else Standing.LIVE), name
        assert "关于印发《示例市〈版权登记条例〉实施办法（2026年修订）》" in shown.title + shown.text, name
        if name.startswith("wechat"):
            assert (shown.images, "12,345.67" in shown.text, RARE in shown.text) == (PICTURES, True, True), name


# -- what cannot fit --------------------------------------------------------------------------------------------

LIMITED = {variant: kind for variant, (kind, _) in LIVE.items() if kind != "webhook"}  # its receiver names no limit
LONGEST = 2_000  # characters of a wording that intake takes
LONG = f"《关于〈示例〉的决定》{RARE * 10}{FLAG * 3}{FAMILY}".ljust(LONGEST, "𠮷")
# The longest wording fits (DingTalk and Feishu take 20,000 bytes), or is the summary alone.
ROOMY = {"dingtalk_robot", "feishu_robot"}


def worded(item_id: str, name: str, wording: str) -> Paper:
    head = HEAD.format(id=item_id, title="关于举办版权培训班的通知", summary="定于三月举办版权培训班。")
    head = head.replace("\n---\n", f"\nchannels: {name}\nwordings:\n  {name}: {wording}\n---\n")
    text = f"{head}\n定于三月举办版权培训班，请按时参加。\n\n![登记窗口](pic1.png)\n"
    return Paper(text.encode(), "long.md", MappingFiles(pictures()))


async def test_an_overlong_wording_is_refused_before_release_in_both_languages(tmp_path: Path) -> None:
    assert len(LONG) == LONGEST
    async with rehearsed_house(tmp_path, {variant: variant for variant in LIMITED}) as house:
        before = {name: len(stand_in.calls) for name, stand_in in house.stand_ins.items()}
        for name in LIMITED:
            item_id = f"long-{name.replace('_', '-')}"
            with pytest.raises(IntakeError, match=str(LONGEST)):
                await house.app.desk.submit(worded(item_id, name, LONG + "𠮷"), actor=EDITOR)
            filed = await house.app.desk.submit(worded(item_id, name, LONG), actor=EDITOR)
            misfits = [f for f in filed.verdict.report.findings if f.rule_id == RULE]
            assert (filed.verdict.blocked, len(misfits)) == ((False, 0) if name in ROOMY else (True, 1)), name
            for finding in misfits:
                refused(name, finding.message.as_dict(), finding.fix.as_dict())
                with pytest.raises(Problem):
                    await house.sign(item_id)
        assert {name: len(stand_in.calls) for name, stand_in in house.stand_ins.items()} == before
        assert all(not stand_in.shown for stand_in in house.stand_ins.values())


def refused(name: str, message: Mapping[str, str], remedy: Mapping[str, str]) -> None:
    """Channel, count, limit and remedy, in English and in Chinese."""
    said = message["en"].replace(name, "")
    numbers = re.findall(r"\d+(?:\.\d+)?", said)
    assert len(numbers) == 2, message
    assert float(numbers[0]) > float(numbers[1]) > 0, message
    for language in ("en", "zh"):
        assert all(part in message[language] for part in (name, *numbers)), message
        assert f"{name}:" in remedy[language], remedy
    assert message["en"] != message["zh"]


def test_every_kind_that_has_a_form_is_tried() -> None:
    kinds = {kind for kind, adapter in registry.kinds().items() if kind not in ("site", "canary", "manual", "webhook")}
    assert set(LIMITED.values()) == kinds
