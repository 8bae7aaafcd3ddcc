"""What the web server is handed."""

from __future__ import annotations

from dataclasses import dataclass

from content_queue.store import Store
from publisher.clock import Clock
from publisher.desk import Desk
from publisher.fanout import Routes
from publisher.health import Health
from publisher.media import MediaStore
from publisher.metrics import Metrics
from publisher.people import Signing
from publisher.web.callbacks import Receives
from publisher.web.renditions import Renditions
from publisher.web.view import SiteInfo


@dataclass(frozen=True, slots=True)
class WebParts:
    """`body_limit` bounds a whole request and `source_limit` the submitted text in it, both in bytes.

    `log_vkey` is the log's public key as outsiders are given it (C2SP signed-note).
    """

    desk: Desk
    store: Store
    health: Health
    metrics: Metrics
    renditions: Renditions
    media: MediaStore
    site: SiteInfo
    signing: Signing
    routes: Routes
    clock: Clock
    body_limit: int
    source_limit: int
    log_vkey: str
    reception: Receives | None = None
