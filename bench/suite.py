"""The benchmarks as sections of one report: what is ours, what bounds it, what we aim at."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Sequence
from typing import Any

from bench import checklist, claims, feeds, isolation, latency, webhooks, workers
from bench.report import Row, Section

MIB = 2**20


def run_webhooks(quick: bool) -> Section:
    results = webhooks.run(items=40, rounds=1) if quick else webhooks.run()
    rows = [row for name, found in results.items() for row in _webhook_rows(name, found)]
    first = next(iter(results.values()))
    note = (
        f"{first['requests']:,} requests of about 4 KB to {webhooks.ENDPOINTS} endpoints, median of {first['rounds']} "
        "rounds; the bare client signs the same bodies and keeps nothing."
    )
    return Section("webhooks", TITLES["webhooks"], rows, (note,))


def _webhook_rows(name: str, r: dict[str, Any]) -> list[Row]:
    rate, bare, ready = (f"{r[key]:,.0f}/s" for key in ("rate", "bare_rate", "presigned_rate"))
    times = r["cpu_us"] / r["bare_cpu_us"]
    return [
        Row(f"{name}: deliveries recorded, to a bare client that signs", rate, bare, r["ratio"], ("at least", 0.8)),
        Row(f"{name}: the same, to a bare client that only sends", rate, ready, r["ratio_presigned"]),
        Row(f"{name}: CPU a delivery", f"{r['cpu_us']:.0f} us", f"{r['bare_cpu_us']:.0f} us", times),
    ]


def run_isolation(quick: bool) -> Section:
    results = isolation.run(items=2, rounds=1) if quick else isolation.run()
    rows = [row for name, found in results.items() for row in _isolation_rows(name, found)]
    first = next(iter(results.values()))
    note = (
        f"{first['items']} items to {first['endpoints']:,} endpoints, one every {isolation.PACE_SECONDS:g} s; "
        f"median of {first['rounds']} rounds: from the release to the first byte at the receiver, over the nine "
        "tenths that are healthy in both runs. In the one run the others hang, reset, drip or answer 429. The aim is a "
        "rise of no more than 10 % or 250 ms, whichever is more."
    )
    return Section("isolation", TITLES["isolation"], rows, (note,))


def _isolation_rows(name: str, r: dict[str, Any]) -> list[Row]:
    rows = []
    for share, label in ((0.5, "p50"), (0.95, "p95"), (0.99, "p99")):
        ours, bound = r[f"troubled_{share}"], r[f"healthy_{share}"]
        aim = ("at most", round(max(1.1, 1 + 0.25 / bound), 2)) if share == 0.95 else None
        figures = (f"{ours * 1000:.0f} ms", f"{bound * 1000:.0f} ms")
        ratio = r["rise_0.95"] if share == 0.95 else ours / bound
        rows.append(Row(f"{name}: {label} of the healthy endpoints", *figures, ratio, aim))
    for behaviour, requests in r["bad"].items():
        rows.append(Row(f"{name}: requests to one endpoint ({behaviour})", f"{requests:.1f}", f"{r['items']} items"))
    missing = Row(f"{name}: healthy deliveries that did not arrive in the run", f"{r['missing']:,}")
    return [*rows, missing] if r["missing"] else rows


def run_feeds(quick: bool) -> Section:
    if quick:
        feeds.SECONDS, feeds.ROUNDS = 0.3, 1
    result = feeds.run()
    rows = [_poll_row(label, result[key]) for key, label in _POLLS.items()]
    note = f"A feed of {result['body_bytes']:,} bytes compressed, {result['connections']} connections."
    return Section("feeds", TITLES["feeds"], rows, (note,))


_POLLS = {"304": "304, nothing new", "200_gzip": "200, compressed"}


def _poll_row(label: str, r: dict[str, Any]) -> Row:
    return Row(label, f"{r['ours']:,}/s", f"{r['constant']:,}/s", r["ratio"], ("at least", 0.8))


def run_claims(quick: bool) -> Section:
    results = claims.run((1_000, 10_000), 20) if quick else claims.run()
    rows = [row for name, found in results.items() for row in _claim_rows(name, found)]
    note = (
        f"Microseconds are per delivery, commit included: median of the rounds, each {claims.BATCH} deliveries over "
        f"{len(claims.CHANNELS)} channels. The bound is the cost at the smallest size. The memory is that of the "
        "claiming process; most of its growth on SQLite is the page cache, which has a fixed limit."
    )
    return Section("claims", TITLES["claims"], rows, (note,))


def _claim_rows(name: str, found: Sequence[dict[str, Any]]) -> list[Row]:
    first, last = found[0], found[-1]
    rows = []
    for r in found:
        aim = ("at most", 1.5) if r is last else None
        ratio = None if r is first else r["claim_us"] / first["claim_us"]
        bound = "" if r is first else f"{first['claim_us']:.0f} us"
        claimed = f"{r['claim_us']:.0f} us"
        rows.append(Row(f"{name}: a claim, {r['waiting']:,} waiting", claimed, bound, ratio, aim))
    rows.append(Row(f"{name}: recording its outcome, {last['waiting']:,} waiting", f"{last['record_us']:.0f} us"))
    rows.append(Row(f"{name}: memory, {last['waiting']:,} waiting", f"{last['process_bytes'] / MIB:.0f} MiB"))
    return rows


def run_checklist(quick: bool) -> Section:
    del quick  # it takes a few seconds
    result = checklist.run()
    first, last = result["sizes"][0], result["sizes"][-1]
    rows = [
        Row(
            f"{r['characters']:,} characters",
            f"{r['characters_per_second']:,.0f}/s",
            "" if r is first else f"{first['characters_per_second']:,.0f}/s",
            None if r is first else r["characters_per_second"] / first["characters_per_second"],
        )
        for r in result["sizes"]
    ]
    rows.append(Row(f"memory at {last['characters']:,} characters", f"{last['peak_bytes'] / MIB:.0f} MiB"))
    loaded = f"{result['rules']} rules, loaded in {result['load_seconds'] * 1000:.0f} ms."
    note = f"{loaded} The bound is the speed at {first['characters']:,} characters: reading should stay linear."
    return Section("checklist", TITLES["checklist"], rows, (note,))


def run_latency(quick: bool) -> Section:
    result = latency.run(20) if quick else latency.run()
    ours, theirs, bare, disk = (result[name] for name in ("ours", "procrastinate", "bare", "disk"))
    rows = [
        Row("p50, to Procrastinate", _ms(ours["p50"]), _ms(theirs["p50"]), ours["p50"] / theirs["p50"]),
        Row("p99, to Procrastinate", _ms(ours["p99"]), _ms(theirs["p99"]), ours["p99"] / theirs["p99"]),
        Row("p99, to 100 ms", _ms(ours["p99"]), "100.0 ms", ours["p99"] / 100, ("at most", 1)),
        Row("p50 of a NOTIFY and a bare request", _ms(bare["p50"])),
        Row("p99 of one write to the disk", _ms(disk["p99"])),
    ]
    noise = ", ".join(f"{name} {_ms(result[name]['noise'])}" for name in ("ours", "procrastinate", "bare"))
    note = (
        f"{result['rounds']} of each, in turns, on one PostgreSQL. The run's quarters differ in their medians by: "
        f"{noise}. Ours is the checklist, the fan-out, a claim and a signed request; theirs is a job that makes one."
    )
    return Section("latency", TITLES["latency"], rows, (note,))


def _ms(milliseconds: float) -> str:
    return f"{milliseconds:.1f} ms"


def run_workers(quick: bool) -> Section:
    result = workers.run(10, 1, 10_000) if quick else workers.run()
    one = _of_workers(result["runs"], workers.WORKERS[0])
    rows = [row for count in workers.WORKERS for row in _worker_rows(count, _of_workers(result["runs"], count), one)]
    recovery, memory = result["recovery"], result["memory"]
    last, held = recovery["last"], f"of {recovery['held']} that it held delivered after"
    rows += [
        Row(f"kill -9: the first {held}", f"{recovery['first']:.1f} s"),
        Row(f"kill -9: the last {held}", f"{last:.1f} s", "60.0 s", last / 60, ("at most", 1)),
        Row(
            f"memory of a worker, {memory['waiting']:,} waiting, to none",
            f"{memory['long_bytes'] / MIB:.0f} MiB",
            f"{memory['empty_bytes'] / MIB:.0f} MiB",
            memory["long_bytes"] / memory["empty_bytes"],
            ("at most", 1.5),
        ),
    ]
    spread = ", ".join(
        f"{count}: {min(rates):,.0f} to {max(rates):,.0f}/s"
        for count in workers.WORKERS
        if (rates := [r["rate"] for r in result["runs"] if r["workers"] == count])
    )
    note = (
        f"{result['deliveries']:,} deliveries to {workers.ENDPOINTS} endpoints, median of {result['rounds']} rounds; "
        f"by number of workers the rounds went from {spread}. Workers, database and receiver share the cores."
    )
    return Section("workers", TITLES["workers"], rows, (note,))


def _of_workers(runs: Sequence[dict[str, float]], count: int) -> dict[str, float]:
    """The medians of one number of workers."""
    mine = [r for r in runs if r["workers"] == count]
    return {key: statistics.median(r[key] for r in mine) for key in mine[0]}


def _worker_rows(count: int, r: dict[str, float], one: dict[str, float]) -> list[Row]:
    many = "1 worker" if count == 1 else f"{count} workers"
    bound = "" if r is one else f"{one['rate']:,.0f}/s"
    cost = f"{r['worker_us']:.0f} + {r['database_us']:.0f} us"
    ratio = None if count == 1 else r["rate"] / one["rate"]
    return [
        Row(f"{many}: deliveries recorded, to 1 worker", f"{r['rate']:,.0f}/s", "" if count == 1 else bound, ratio),
        Row(f"{many}: CPU a delivery, workers + PostgreSQL", cost),
    ]


TITLES = {
    "webhooks": "Signed webhooks, from queued to recorded",
    "feeds": "Feed polls, to a handler of constant bytes",
    "claims": "Claims while many deliveries wait",
    "isolation": "Endpoints that misbehave, beside those that do not",
    "checklist": "The checklist",
    "latency": "From approved to the wire, PostgreSQL idle",
    "workers": "Many workers on one PostgreSQL",
}
RUNNERS: dict[str, Callable[[bool], Section]] = {
    "webhooks": run_webhooks,
    "feeds": run_feeds,
    "claims": run_claims,
    "isolation": run_isolation,
    "checklist": run_checklist,
    "latency": run_latency,
    "workers": run_workers,
}
