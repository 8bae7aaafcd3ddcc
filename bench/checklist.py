"""How fast the checklist reads, and how much memory it takes: on text like a regulation, written for this."""

from __future__ import annotations

import datetime
import time
import tracemalloc
from pathlib import Path
from typing import Any

from publisher.checklist import Checklist
from publisher.content import Content, Openness

ROOT = Path(__file__).resolve().parents[1]
_SENTENCES = (
    "为了规范作品登记工作，保护著作权人的合法权益，制定本办法。",
    "县级以上地方人民政府著作权主管部门负责本行政区域内的登记管理工作。",
    "申请人应当提交身份证明、作品样本和权利归属说明（以下统称申请材料）。",
    "登记机关自受理之日起30日内作出决定；需要补正的，应当一次告知。",
    "违反前款规定的，责令限期改正，可以处1000元以上1万元以下罚款。",
    "本办法自2024年3月1日起施行，国版发〔2017〕5号文件同时废止。",
)


def regulation(characters: int) -> str:
    """Articles in a row, each with its number and two sentences."""
    articles = []
    length = number = 0
    while length < characters:
        first, second = _SENTENCES[number % 6], _SENTENCES[(number * 5 + 2) % 6]
        articles.append(f"第{number + 1}条　{first}{second}")
        length += len(articles[-1]) + 1
        number += 1
    return "\n".join(articles)[:characters]


def _item(text: str) -> Content:
    return Content(
        title="作品登记办法",
        body_html="".join(f"<p>{line}</p>" for line in text.split("\n")),
        body_text=text,
        column="policies",
        content_type="policy_document",
        issuing_body="国家版权局",
        drafting_unit="版权管理司",
        openness=Openness.PROACTIVE,
    )


def measure(checklist: Checklist, characters: int, rounds: int = 3) -> dict[str, Any]:
    """The best of `rounds` by CPU time; memory in a round of its own, because tracing slows it."""
    item = _item(regulation(characters))
    today = datetime.date(2024, 7, 1)
    seconds = []
    for _ in range(rounds):
        started = time.process_time()
        checklist.check(item, today=today)
        seconds.append(time.process_time() - started)
    tracemalloc.start()
    checklist.check(item, today=today)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return {
        "characters": characters,
        "seconds": min(seconds),
        "characters_per_second": characters / min(seconds),
        "peak_bytes": peak,
    }


def run() -> dict[str, Any]:
    started = time.process_time()
    checklist = Checklist.load(ROOT / "config" / "rules", ROOT / "config" / "words")
    load_seconds = time.process_time() - started
    measure(checklist, 1_000, rounds=1)  # fills the caches
    sizes = [measure(checklist, size) for size in (2_500, 25_000, 250_000, 1_000_000)]
    return {"rules": len(checklist.rules), "load_seconds": load_seconds, "sizes": sizes}


def main() -> None:
    result = run()
    print(f"{result['rules']} rules, loaded in {result['load_seconds'] * 1000:.0f} ms")
    print(f"{'characters':>12} {'ms':>9} {'characters/s':>14} {'peak MiB':>9}")
    for row in result["sizes"]:
        print(
            f"{row['characters']:>12,} {row['seconds'] * 1000:>9.1f} "
            f"{row['characters_per_second']:>14,.0f} {row['peak_bytes'] / 2**20:>9.1f}"
        )


if __name__ == "__main__":
    main()
