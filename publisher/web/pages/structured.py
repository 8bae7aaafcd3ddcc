"""JSON-LD (schema.org) for search engines, safe to embed in HTML."""

from __future__ import annotations

import json
from typing import Any

from publisher.web.feeds.address import Addresses
from publisher.web.feeds.clean import clean, one_line
from publisher.web.feeds.times import rfc3339
from publisher.web.feeds.words import agency
from publisher.web.view import Published, SiteInfo


def json_ld(item: Published, site: SiteInfo) -> str:
    addresses, content = Addresses.of(site), item.content
    url = addresses.absolute(addresses.item(item.item_id))
    made: dict[str, Any] = {
        "@context": "https://schema.org",
        "@type": "Article",
        "@id": url,
        "url": url,
        "mainEntityOfPage": url,
        "headline": one_line(content.title),
        "description": one_line(content.summary),
        "inLanguage": content.language,
        "identifier": one_line(content.document_number or content.index_number),
        "datePublished": rfc3339(item.published_at, site.zone),
        "dateModified": rfc3339(item.updated_at, site.zone),
        "dateCreated": content.created_on,
        "author": {"@type": "GovernmentOrganization", "name": one_line(content.issuing_body)},
        "publisher": {"@type": "GovernmentOrganization", "name": agency(site, content.language)},
        "keywords": [one_line(word) for word in content.keywords],
        "image": [addresses.absolute(addresses.media(one.sha256, one.name)) for one in content.images],
        "isAccessibleForFree": True,
    }
    return for_script({key: value for key, value in made.items() if value not in ("", [])})


def for_script(value: object) -> str:
    """JSON that cannot end a script element or start markup: `<`, `>`, `&` and the line separators escaped."""
    text = clean(json.dumps(value, ensure_ascii=False))
    for character in "<>&\u2028\u2029":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return text
