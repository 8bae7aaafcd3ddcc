"""What is wrong with a setting, in both languages: the bricks say it in English, by these sentences."""

from __future__ import annotations

import re

from publisher.texts import Text, bilingual, mark

SENTENCES = (
    mark("the environment variable {name} is not set; set it or use file:PATH"),
    mark("the vault holds no secret {name}; add it: gongbao secret set {name}"),
    mark("cannot read {path}: {why}"),
    mark("say where its filing (备案) stands: filed, unfiled, closing or closed"),
    mark("is needed for an account that is filed"),
    mark("cover_file: there is no such file, or it cannot be read"),
    mark("cover_file: a JPEG or PNG of at most 10 MB is needed"),
    mark("Field required"),
    mark("Extra inputs are not permitted"),
)


def in_both(what: str) -> Text:
    """The sentence in both languages where it is known; else as it is."""
    for sentence in SENTENCES:
        if found := re.fullmatch(_pattern(sentence), what):
            return bilingual(sentence, **found.groupdict())
    return Text(what, what)


def _pattern(sentence: str) -> str:
    """Its places as groups; a place that comes twice has to say the same."""
    seen: set[str] = set()

    def group(place: re.Match[str]) -> str:
        name = place[1]
        again = name in seen
        seen.add(name)
        return f"(?P={name})" if again else f"(?P<{name}>.+)"

    return re.sub(r"\\\{(\w+)\\\}", group, re.escape(sentence))
