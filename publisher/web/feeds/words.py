"""Words of the public face in the language of an item or a page."""

from __future__ import annotations

from typing import Any

from publisher.texts import mark, translate
from publisher.web.feeds.times import moment
from publisher.web.view import Column, Published, SiteInfo

# Why an item was taken back, by the typed code of a withdrawal. An unknown code gets the general sentence.
REASONS = {
    "error": mark("The item contained an error."),
    "correction": mark("The item contained an error."),
    "factual_error": mark("The item contained an error."),
    "mistake": mark("The item was published by mistake."),
    "published_in_error": mark("The item was published by mistake."),
    "privacy": mark("The item contained personal information that should not have been published."),
    "secrecy": mark("The item contained information that may not be published."),
    "security": mark("The item contained information that may not be published."),
    "unlawful": mark("The item contained content that may not be published by law."),
    "copyright": mark("The item infringed the rights of others."),
    "annulled": mark("The decision it announced was changed, annulled or declared void."),
    "expired": mark("The item is no longer in force."),
    "outdated": mark("The item is no longer in force."),
    "superseded": mark("The item was replaced by a newer one."),
    "duplicate": mark("The item was published twice."),
}
_GENERAL_REASON = mark("The item was taken back by the issuing body.")

# A title may repeat what had to be taken back. It stays readable only where the reason says that it does no harm.
_TITLE_HARMLESS = frozenset(REASONS) - {"privacy", "secrecy", "security", "unlawful", "copyright"}


def say(msgid: str, language: str, **values: Any) -> str:
    text = translate(msgid, language)
    return text.format(**values) if values else text


def reason_words(reason: str, language: str) -> str:
    return say(REASONS.get(reason, _GENERAL_REASON), language)


def public_title(item: Published, language: str | None = None) -> str:
    """The title, or words in its place where the title may be the thing that was taken back."""
    withdrawn = item.withdrawal
    if withdrawn is None or withdrawn.reason in _TITLE_HARMLESS:
        return item.content.title
    return say("Withdrawn item", language or item.content.language)


def day(micros: int, zone: str, language: str) -> str:
    """The date as people write it."""
    at = moment(micros, zone)
    return plain_day(at.year, at.month, at.day, language)


def plain_day(year: int, month: int, day_of_month: int, language: str) -> str:
    if language.lower().startswith("zh"):
        return f"{year}年{month}月{day_of_month}日"
    return f"{day_of_month} {_MONTHS[month - 1]} {year}"


_MONTHS = (
    "January", "February", "March", "April", "May", "June", "July",
    "August", "September", "October", "November", "December",
)  # fmt: skip


def column_name(column: Column, language: str) -> str:
    first, second = column.name_zh, column.name_en
    return (first or second) if language.lower().startswith("zh") else (second or first)


def column_description(column: Column, language: str) -> str:
    first, second = column.description_zh, column.description_en
    return (first or second) if language.lower().startswith("zh") else (second or first)


def agency(site: SiteInfo, language: str) -> str:
    zh = language.lower().startswith("zh")
    return (site.agency_zh or site.agency_en) if zh else (site.agency_en or site.agency_zh)
