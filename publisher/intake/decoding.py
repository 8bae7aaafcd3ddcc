"""Bytes to text: UTF-8 or a clear refusal, and no character that XML could not carry."""

from __future__ import annotations

import re

from publisher.intake.problems import IntakeError, Report, quoted, refuse
from publisher.texts import Text, bilingual, mark

BOM = b"\xef\xbb\xbf"
# XML 1.0 section 2.2 leaves out C0 controls (tab, LF and CR apart), surrogates, U+FFFE and U+FFFF; DEL and C1
# are only discouraged there, but in a text they are always the residue of a wrong encoding.
_FORBIDDEN = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff]")
_BREAK = re.compile(r"\r\n|\r|\n")
_HAN = re.compile(r"[\u3000-\u303f\u4e00-\u9fff\uff00-\uffef]")
_WIDE = {
    b"\xff\xfe\x00\x00": "UTF-32",
    b"\x00\x00\xfe\xff": "UTF-32",
    b"\xff\xfe": "UTF-16",
    b"\xfe\xff": "UTF-16",
}
_SAVE_AS_UTF8 = mark("Save the file as UTF-8 and submit it again.")


def decode(raw: bytes) -> str:
    """The text exactly as written; a leading byte order mark is a signature, not text, and is left out."""
    text_bytes = raw.removeprefix(BOM)
    _not_wide(raw)
    try:
        return text_bytes.decode("utf-8")
    except UnicodeDecodeError as error:
        offset = error.start + len(raw) - len(text_bytes)
        raise _broken(raw, offset) from None


def _not_wide(raw: bytes) -> None:
    name = next((name for start, name in _WIDE.items() if raw.startswith(start)), None)
    if name is None and len(raw) >= 4 and raw[:200].count(0) * 3 > len(raw[:200]):
        name = "UTF-16"
    if name:
        message = bilingual("The file is in {encoding}, not in UTF-8.", encoding=name)
        raise refuse("encoding", "", 1, message, bilingual(_SAVE_AS_UTF8))


def _broken(raw: bytes, offset: int) -> IntakeError:
    line = len(_BREAK.findall(raw[:offset].decode("latin-1"))) + 1
    message = bilingual("The text is not valid UTF-8 at byte {offset} (counted from 0).", offset=offset)
    if _reads_as_gbk(raw):
        message = _joined(message, bilingual("It looks like GBK / GB 18030."))
    return refuse("encoding", "", line, message, bilingual(_SAVE_AS_UTF8))


def _joined(first: Text, second: Text) -> Text:
    return Text(f"{first.en} {second.en}", f"{first.zh}{second.zh}")


def _reads_as_gbk(raw: bytes) -> bool:
    try:
        text = raw.decode("gb18030")
    except UnicodeDecodeError:
        return False
    wide = [c for c in text if c > "\x7f"]
    return len(_HAN.findall("".join(wide))) > 0.8 * len(wide)


def line_of(text: str, offset: int) -> int:
    """1-based; CR LF, LF and CR each end a line."""
    return len(_BREAK.findall(text, 0, offset)) + 1


def line_starts(text: str) -> list[int]:
    return [0, *(m.end() for m in _BREAK.finditer(text))]


def check_characters(
    text: str, field: str, line: int | None, report: Report, *, spread: bool = False
) -> bool:
    """Reports the first forbidden character; `spread` says that the text's own lines count on from `line`."""
    found = _FORBIDDEN.search(text)
    if found is None:
        return True
    if spread and line is not None:
        line += line_of(text, found.start()) - 1
    name = f"U+{ord(found.group()):04X}"
    message = bilingual("The text holds the forbidden character {name}.", name=name)
    if "\ud800" <= found.group() <= "\udfff":
        message = bilingual("The text holds half of a surrogate pair ({name}).", name=name)
    remedy = bilingual(
        "Delete it: feeds and pages cannot carry it. Near: “{near}”.", near=_near(text, found.start())
    )
    report.add("character", field, line, message, remedy)
    return False


def _near(text: str, offset: int) -> str:
    return quoted(text[max(0, offset - 10) : offset + 10])
