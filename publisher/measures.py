"""What quotas and the findings of a look at an account are called, in words. Adapters name them by codes."""

from __future__ import annotations

from publisher.texts import Text, bilingual, mark

WORDS: dict[str, str] = {
    "broker": mark("broker"),
    "calls": mark("requests in five minutes"),
    "days_left": mark("days of the token left"),
    "deletions": mark("removals in half an hour"),
    "draft": mark("as drafts"),
    "handle": mark("handle"),
    "left_today": mark("platform calls left today"),
    "lets us in": mark("lets us in"),
    "mass": mark("mass messages"),
    "mass_a_day": mark("mass messages a day"),
    "mass_a_month": mark("mass messages a month"),
    "max_characters": mark("characters in a post"),
    "max_media": mark("pictures in a post"),
    "may read the topic": mark("may read the topic"),
    "messages_a_minute": mark("messages a minute"),
    "messages_a_second": mark("messages a second"),
    "mode": mark("way of publishing"),
    "no": mark("no"),
    "none match": mark("none match"),
    "per_url": mark("characters that a link counts"),
    "posts_an_hour": mark("posts an hour"),
    "project": mark("project"),
    "publish": mark("publication"),
    "published": mark("articles published so far"),
    "pushes left this minute": mark("pushes left this minute"),
    "pushes_a_minute": mark("pushes a minute"),
    "receivers": mark("receivers"),
    "requests_a_day": mark("requests a day"),
    "server": mark("server"),
    "some match": mark("some match"),
    "writes_a_day": mark("writes a day"),
    "writes_an_hour": mark("writes an hour"),
    "yes": mark("yes"),
}


def named(code: str) -> Text:
    """As it is where there is no word: a number, a name, a version."""
    return bilingual(WORDS[code]) if code in WORDS else Text(code, code)
