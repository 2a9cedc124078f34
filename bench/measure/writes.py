"""Writes: how many a second are on the disk, and how soon the dispatcher has a request.

Each write is one POST of a link on a connection of its own; the answer comes when its commit is on the disk. How soon a request
is seen is read off its container's log entries: from the one of its making to the one of its lock by the dispatcher.
"""
import datetime
import json
import os
import statistics
import time
import urllib.parse

from ..accounting import cpu_ns
from ..figure import Figure
from ..lab import Lab
from ..load import posts
from ..processes import wait_for
from ..tables import table
from ..wharf import Wharf

TITLE = "Writes"
CONNECTIONS = (1, 16, 64)
SECONDS = 5
N_REQUESTS = 40


def measure(lab: Lab) -> dict:
    wharf = lab.wharf()
    wharf.import_image("busybox")
    return {"rates": {n: rate(wharf, n) for n in CONNECTIONS}, "commit_ms": commit_ms(lab),
            "locked_ms": [locked_ms(wharf) for _n in range(N_REQUESTS)]}


def rate(wharf: Wharf, n_connections: int) -> dict:
    """Writes a second over so many connections, and the controller's CPU time of one."""
    before = cpu_ns(wharf.pid)
    link = {"link": {"link_class": "tag", "name": "bench"}}
    done = posts(f"http://127.0.0.1:{wharf.port}/arvados/v1/links", wharf.token, link, n_connections, SECONDS)
    return {"per_second": done.n / done.seconds, "cpu_ms": (cpu_ns(wharf.pid) - before) / 1e6 / done.n, "p99_us": done.p99_us}


def commit_ms(lab: Lab) -> float:
    """What this disk takes to keep 4 KiB at the end of a file: the least that a commit can cost."""
    taken = []
    with (lab.home / "synced").open("wb") as file:
        for _n in range(100):
            begin = time.perf_counter()
            file.write(b"x" * 4096)
            file.flush()
            os.fdatasync(file.fileno())
            taken.append((time.perf_counter() - begin) * 1000)
    return statistics.median(taken)


def locked_ms(wharf: Wharf) -> float:
    """From a request's making to its container's lock."""
    made = wharf.api("POST", "/arvados/v1/container_requests", {"container_request": {
        "name": "bench", "state": "Committed", "priority": 1, "container_image": "busybox", "command": ["true"], "cwd": "/out",
        "output_path": "/out", "mounts": {"/out": {"kind": "tmp", "capacity": 1024}}, "use_existing": False,
        "runtime_constraints": {"vcpus": 1, "ram": 1 << 26}}})
    filters = urllib.parse.quote(json.dumps([["object_uuid", "=", made["container_uuid"]]]))

    def entries() -> list[dict] | None:
        found = wharf.api("GET", f"/arvados/v1/logs?filters={filters}&order=id&limit=100")["items"]
        return found if any(state_of(entry) == "Locked" for entry in found) else None

    found = wait_for("a container to be locked", entries, pause=0.02)
    wharf.wait_until_over(made["container_uuid"])
    locked = next(entry for entry in found if state_of(entry) == "Locked")
    return (at(locked) - at(found[0])).total_seconds() * 1000


def state_of(entry: dict) -> str | None:
    return (entry["properties"].get("new_attributes") or {}).get("state")


def at(entry: dict) -> datetime.datetime:
    return datetime.datetime.fromisoformat(entry["event_at"][:26])


def figures(result: dict) -> list[Figure]:
    rates = {int(n): one["per_second"] for n, one in result["rates"].items()}
    most = max(rates, key=rates.get)
    locked = statistics.median(result["locked_ms"])
    return [
        Figure(f"writes a second that are on the disk, SQLite, {most} connections", rates[most], f"{rates[most]:.0f}", bar=1000,
               more_is_better=True),
        Figure("a request made to its container locked by the dispatcher (median)", locked, f"{locked:.1f} ms", bar=20, unit="ms"),
    ]


def details(result: dict) -> list[str]:
    rows = [[str(n), f"{one['per_second']:.0f}", f"{one['cpu_ms']:.2f} ms", f"{one['p99_us'] / 1000:.1f} ms"] for n, one in result["rates"].items()]
    lines = table(["connections", "writes a second", "CPU time of the controller for one", "99 of 100 within"], rows)
    return [*lines, f"This disk takes {result['commit_ms']:.2f} ms (median) to keep 4 KiB.", ""]


def charts(_result: dict) -> dict:
    return {}
