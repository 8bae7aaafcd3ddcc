"""Forms, limits and codes of WeChat Official Accounts."""

from __future__ import annotations

import io
import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from sample_post import correction, post, withdrawal
from wechat_world import START, World, images, world

from channels import registry
from channels.adapters.wechat_official import article, errors, html, sending
from channels.adapters.wechat_official.errors import CODES, Class
from channels.phrases import phrase
from channels.refusals import said
from channels.registry import BadSettings
from channels.text import clusters
from channels.verdicts import Deferred, OutcomeUnknown, Rejected, Suspended, Verdict
from publisher.commands.platforms import platform_reasons

KNOWN = {"https://e.gov.cn/1.png"}


@pytest.fixture
async def here() -> AsyncIterator[World]:
    async with world() as made:
        yield made


def composed(**changes: Any) -> article.Article:
    options = {"author": "", "shorten": True, "own_cover": False}
    return article.compose(post(**changes), **options)


# -- html ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("source", "kept", "dropped"),
    [
        ('<p onclick="x()">文<script>alert(1)</script></p>', "<p>文</p>", ("html:script",)),
        ('<p><a href="https://x.gov.cn/?a=1&amp;b">条</a></p>', "<p>条（https://x.gov.cn/?a=1&amp;b）</p>", ("links",)),
        ('<a href="https://x.gov.cn/">https://x.gov.cn/</a>', "https://x.gov.cn/", ("links",)),
        ('<a href="tel:12345">热线</a>', "热线（12345）", ("links",)),
        ('<a href="javascript:x">坏</a>', "坏", ()),
        ('<a href="https://mp.weixin.qq.com/s/1">文</a>', '<a href="https://mp.weixin.qq.com/s/1">文</a>', ()),
        ('<a href="https://mp.weixin.qq.com.evil.cn/">文</a>', "文（https://mp.weixin.qq.com.evil.cn/）", ("links",)),
        ("<iframe src=x></iframe><form><input></form>", "", ("html:iframe", "html:form")),
        ("<dl><dt>甲</dt><dd>乙</dd></dl>", "<section><p>甲</p><p>乙</p></section>", ()),
        ("<ruby>漢<rp>(</rp><rt>han</rt></ruby>", "漢（han）", ()),
        ("a &lt;b&gt; &amp; <blink>c</blink>", "a &lt;b&gt; &amp; c", ("html:blink",)),
        ('<img src="https://else.cn/2.png" alt="图&lt;">', "［图&lt;］", ("image:1",)),
        ('<img src="data:image/png;base64,AA">', "", ("image:1",)),
        ('<ol start="3"><li value="x">一</li></ol>', '<ol start="3"><li>一</li></ol>', ()),
        ("<!-- nothing --><p>文</p>", "<p>文</p>", ()),
        ("", "", ()),
    ],
)
def test_html_is_reduced_to_what_is_kept(source: str, kept: str, dropped: tuple[str, ...]) -> None:
    found = html.reduce(source, KNOWN)
    assert (found.html, found.dropped) == (kept, dropped)


def test_a_table_stays_a_table_with_its_caption_before_it() -> None:
    row = '<colgroup><col></colgroup><tr><td colspan="2" width="9">甲</td></tr>'
    source = f'<table class="x"><caption>表一</caption>{row}</table>'
    found = html.reduce(source, ())
    assert re.sub(r' style="[^"]+"', "", found.html).startswith('<p>表一</p><table><tr><td colspan="2">甲</td>')
    assert "border" in found.html
    assert html.text_of(found.html) == "表一\n甲"


def test_the_plain_text_has_a_line_a_row_and_no_others() -> None:
    source = "<table>\n<tr>\n<td>甲</td>\n<td>乙</td>\n</tr>\n</table>\n<p>一\n二</p>"
    assert html.text_of(html.reduce(source, ()).html) == "甲\t乙\n一 二"


def test_pictures_move_to_where_they_were_uploaded() -> None:
    found = html.reduce('<p><img src="https://e.gov.cn/1.png" alt="甲"></p>', KNOWN)
    assert found.images == ("https://e.gov.cn/1.png",)
    moved = html.rewritten(found.html, {"https://e.gov.cn/1.png": "http://mmbiz.qpic.cn/x?a=1&b=2"})
    assert 'src="http://mmbiz.qpic.cn/x?a=1&amp;b=2" alt="甲"' in moved
    assert "e.gov.cn" not in moved


# -- the article -----------------------------------------------------------------------------------------------


def test_every_operation_has_a_mark_of_its_own_behind_the_same_page() -> None:
    first, again, other = (article.source_url(p) for p in (post(), post(), correction()))
    assert first == again != other
    assert {first.partition("#")[0], other.partition("#")[0]} == {post().url}


def test_a_client_message_id_is_32_ascii_characters_and_derived() -> None:
    found = sending.client_message_id(post().key)
    assert re.fullmatch(r"[0-9a-f]{32}", found)
    assert found == sending.client_message_id(post().key) != sending.client_message_id("gb_other")


@pytest.mark.parametrize(("length", "cut"), [(32, False), (33, True)])
def test_a_long_title_is_shortened_for_all_to_see(length: int, cut: bool) -> None:
    title = "字" * length
    found = composed(title=title)
    assert len(found.title) == 32
    assert (found.title == title) is not cut
    assert ("title" in found.dropped) is cut
    assert (f"<p><strong>{title}</strong></p>" in found.content) is cut


def test_a_title_is_never_cut_inside_a_number_or_a_character() -> None:
    family = "👨‍👩‍👧"
    title = "关于印发" + "的通知" * 8 + family + "〔2026〕12号" + "文" * 20
    found = composed(title=title).title
    assert len(found) <= 32
    assert found.endswith("…")
    assert set(clusters(found)) <= {*clusters(title), "…"}
    assert "〔" not in found or "〔2026〕12号" in found


def test_long_titles_may_be_refused_instead(here_keys: dict[str, Any]) -> None:
    with pytest.raises(Rejected) as caught:
        article.compose(post(title="字" * 33), author="", shorten=False, own_cover=False)
    assert caught.value.reason == "too_long"
    assert "33 characters, the limit is 32" in caught.value.detail


@pytest.fixture
def here_keys() -> dict[str, Any]:
    return {"appid": "wx49f0ab532d5d035a", "secret": "s"}


def test_the_first_line_of_a_wording_is_the_title_and_the_rest_the_body() -> None:
    found = composed(title="字" * 60, wording="短标题\n第一段\n\n第二段")
    assert (found.title, "title" in found.dropped, "body" in found.dropped) == ("短标题", False, True)
    assert found.content.startswith("<p>第一段</p><p>第二段</p>")
    only = composed(title="字" * 60, wording="短标题")
    assert "第一条" in only.content
    assert "title" not in only.dropped


@pytest.mark.parametrize("wording", ["字" * 33, "题\n" + "字" * 20_000])
def test_an_overlong_wording_is_refused_with_count_limit_and_remedy(wording: str) -> None:
    with pytest.raises(Rejected) as caught:
        composed(wording=wording)
    assert caught.value.reason == "too_long"
    assert re.search(r"counts [\d,.e+]+ characters, the limit is \d+: .*wording", caught.value.detail)


def test_the_body_fits_to_the_last_character() -> None:
    """What the pictures' addresses will take is counted before they are uploaded."""
    plain = {"attachments": (), "summary": ""}
    spare = article.CONTENT - len(composed(html="<p></p>", **plain).content) - article.SOURCE_RESERVE
    spare += len(post().images[0].url)
    fitting = composed(html=f"<p>{'字' * spare}</p>", **plain)
    longest = dict.fromkeys(fitting.images, "h" * article.SOURCE_RESERVE)
    assert len(fitting.payload("c", longest)["content"]) == article.CONTENT
    with pytest.raises(Rejected, match="too_long"):
        composed(html=f"<p>{'字' * (spare + 1)}</p>", **plain)


def test_a_long_summary_and_a_long_authors_name_are_named() -> None:
    found = composed(summary="要" * 121, issuing_body="局" * 17)
    assert (len(found.digest), found.author) == (120, "")
    assert {"summary", "author"} <= set(found.dropped)
    assert composed(issuing_body="局" * 16).author == "局" * 16


def test_a_correction_says_so_at_its_head_and_a_conversion_at_its_end() -> None:
    found = article.compose(correction(derived_from="zh-CN"), author="", shorten=True, own_cover=False)
    assert found.content.startswith("<p><strong>更正说明：更正第三条日期</strong></p>")
    assert found.content.endswith(html.paragraph(phrase("converted", "zh-CN")))


def test_without_any_picture_it_is_refused_with_a_remedy() -> None:
    with pytest.raises(Rejected) as caught:
        composed(images=())
    assert caught.value.reason == "no_cover"
    assert "cover_file" in caught.value.detail


HEAVY = {
    "title": "关于转发《〈示例条例〉实施〈细则〉》的通知" * 3,
    "html": "<p>" + "《关于〈示例〉的办法》𠀀𪚥👨‍👩‍👧字" * 150 + "</p>"
    "<table><tr><th>甲</th></tr><tr><td>乙</td></tr></table>",
}


async def test_the_heavy_item_goes_out_within_the_limits(here: World) -> None:
    item = post(**HEAVY, images=images(12))
    channel = here.channel()
    prepared = channel.prepare(item)
    assert all(m.limit is None or m.length <= m.limit for m in prepared.measured)
    assert prepared.dropped == ("title",)
    await channel.publish(item)
    await here.decide()
    [shown] = here.stand_in.live()
    assert shown.images == 12
    assert HEAVY["title"] in shown.text
    assert "《关于〈示例〉的办法》𠀀𪚥👨‍👩‍👧字" in shown.text
    assert "甲" in prepared.text


async def test_what_is_prepared_is_what_is_sent(here: World) -> None:
    channel = here.channel()
    await channel.publish(post())
    [draft] = here.stand_in.box.drafts.values()
    form = channel.prepare(post()).form
    assert {k: draft.articles[0][k] for k in ("title", "author", "digest", "content_source_url")} == {
        k: form[k] for k in ("title", "author", "digest", "content_source_url")
    }
    assert channel.prepare(withdrawal()).form == {"delete": "gb_first"}


async def test_a_cover_of_the_account_serves_items_without_pictures(here: World, tmp_path: Path) -> None:
    out = io.BytesIO()
    Image.new("RGB", (90, 38), "red").save(out, "JPEG")
    (tmp_path / "cover.jpg").write_bytes(out.getvalue())
    bare = post(images=(), html="<p>文</p>")
    for own in ({"cover_file": str(tmp_path / "cover.jpg")}, {"cover_media_id": "theirs"}):
        await here.channel(**own).publish(bare)
        here.stand_in.box.drafts.clear()
    assert here.calls("/material/add_material") == 1


@pytest.mark.parametrize("content", [None, b"not a picture"])
def test_a_cover_that_cannot_be_used_is_refused_at_the_start(
    here_keys: dict[str, Any], tmp_path: Path, content: bytes | None
) -> None:
    path = tmp_path / "cover.jpg"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(BadSettings, match="channel acct: cover_file"):
        registry.build("acct", "wechat_official", {**here_keys, "cover_file": str(path)}, None)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("key", "value"),
    [("appid", "wx1"), ("mode", "spam"), ("encoding_aes_key", "short"), ("author", "字" * 17), ("mass_tag_id", -1)],
)
def test_a_wrong_key_is_named_and_its_value_is_not(here_keys: dict[str, Any], key: str, value: Any) -> None:
    with pytest.raises(BadSettings, match=key) as caught:
        registry.build("acct", "wechat_official", {**here_keys, key: value}, None)  # type: ignore[arg-type]
    assert key in ("mode", "author") or str(value) not in str(caught.value)


# -- codes -----------------------------------------------------------------------------------------------------

C = Class
EXPECTED: dict[Class, tuple[type[Verdict], type[Verdict]]] = {  # what readers could notice, what is harmless
    C.RETRY: (OutcomeUnknown, Deferred),
    C.RATE: (Deferred, Deferred),
    C.QUOTA: (Deferred, Deferred),
    C.TOKEN: (Deferred, Deferred),
    C.AUTH: (Suspended, Suspended),
    C.PERM: (Suspended, Suspended),
    C.INPUT: (Rejected, Rejected),
    C.CONTENT: (Rejected, Rejected),
    C.TARGET: (Rejected, Rejected),
    C.DUP: (OutcomeUnknown, Deferred),
    C.REVIEW: (Suspended, Suspended),
    C.GONE: (Rejected, Rejected),
}


@pytest.mark.parametrize("code", [*CODES, 99999, -7])
def test_every_code_comes_to_one_verdict(code: int) -> None:
    noticed, harmless = EXPECTED[CODES.get(code, C.RETRY)]
    for noticeable, wanted in ((True, noticed), (False, harmless)):
        found = errors.verdict(code, "said", START, noticeable=noticeable)
        assert (type(found), found.reason, found.detail) == (wanted, f"wechat_{code}", "said")


def test_the_same_code_means_another_thing_at_the_token() -> None:
    assert (CODES[40001], errors.AT_TOKEN[40001]) == (C.TOKEN, C.AUTH)


def test_midnight_is_shanghais() -> None:
    assert errors.until_midnight(START) == 16 * 3_600
    assert errors.until_midnight(START + 16 * 3_600) == 86_400
    assert errors.until_midnight(START + 16 * 3_600 - 1) == 1


def test_what_the_platform_says_is_cut_and_holds_no_secret() -> None:
    assert said("bad \x00token=abc123 rid: 1-2", ("abc123", "")) == "bad token=*** rid: 1-2"
    assert len(said("长" * 500, ())) == 200


def test_every_reason_has_words() -> None:
    told = platform_reasons()
    own = {"still_publishing", "old_still_there", "old_not_found", "no_cover"}
    own |= {"draft_box_off", "draft_waits", "draft_corrects"}
    looks = {"wechat_original", "wechat_failed", "wechat_review", "wechat_deleted", "wechat_banned"}
    wanted = {f"wechat_{code}" for code in CODES} | own | looks | {"delete_by_hand", "wechat_mass_failed"}
    assert wanted - set(told) == set()


async def test_a_code_inside_http_200_is_read(here: World, monkeypatch: pytest.MonkeyPatch) -> None:
    refused = {"errcode": 53503, "errmsg": "draft not pass check rid: 1"}
    monkeypatch.setattr(here.stand_in, "_may", lambda name: refused)
    with pytest.raises(Rejected) as caught:
        await here.channel().publish(post())
    assert (caught.value.reason, caught.value.detail) == ("wechat_53503", "draft not pass check rid: 1")
    assert caught.value.timing is not None
