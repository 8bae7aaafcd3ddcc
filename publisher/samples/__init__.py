"""The project's own sample items: one in each format, of a fictitious agency, ready to be submitted."""

from __future__ import annotations

from pathlib import Path

_FOLDER = Path(__file__).parent
# In the order in which they are best submitted: the policy before what explains it.
_NAMES = (
    "maintenance-notice.md",
    "registration-support-policy.md",
    "registration-support-interpretation.md",
    "early-warning-list.json",
    "licence-results.html",
    "open-day-notice.txt",
)
# Plain text says nothing about itself; these are what an editor would set on submitting it.
_PLAIN_TEXT = {
    "open-day-notice.txt": {
        "id": "sample-open-day-notice",
        "summary": "2026年版权开放日活动的时间、内容和参加方式。",
        "column": "notices",
        "content_type": "服务通知",
        "issuing_body": "示例市版权局",
        "drafting_unit": "示例市版权局版权管理处",
        "drafter": "示例起草人乙",
        "openness": "主动公开",
        "index_number": "11990000MB0000000J/2026-00011",
        "created_on": "2026-04-07",
        "keywords": "版权宣传，开放日",
    }
}


def sample_files() -> list[Path]:
    """The items themselves; the files they attach or show lie in the same folder."""
    return [_FOLDER / name for name in _NAMES]


def sample_overrides(path: Path) -> dict[str, str]:
    """What to set when submitting `path`; empty where the file itself says everything."""
    return dict(_PLAIN_TEXT.get(path.name, {}))
