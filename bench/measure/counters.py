"""What a warm path must not do: look at the database, connect, accept, shake hands.

strace watches controller and supervisor for four seconds at rest, and again in the middle of a load of 64 connections.
A call that names a file of the database is a look at it, `connect` is a new way to the app or the supervisor, `accept4` a
new connection from either side. What happens at rest is no request's: the dispatcher looks for work now and then. The
app counts the requests itself.
"""
import contextlib
import re
import threading
import time

from ..figure import Figure
from ..lab import Lab
from ..load import wrk
from ..plot import Chart
from ..tables import table
from ..target import Target
from ..tracing import Trace, attached

TITLE = "Counters of the warm path"
CONNECTIONS = 64
LEAD_SECONDS, WATCHED_SECONDS = 1, 4
CALLS = "trace=connect,accept4,pread64,pwrite64,fcntl,fdatasync,fsync,openat"
EVENTS = {
    "database": re.compile(r"wharf\.db"),
    "connect": re.compile(r"\bconnect\("),
    "accept": re.compile(r"\baccept4\(.*= \d"),
}


def measure(lab: Lab) -> dict:
    return {target.name: watch(lab, target) for target in (lab.short_way(), lab.tunnel())}


def watch(lab: Lab, target: Target) -> dict[str, int]:
    """How often each event happened at rest and under load, and the requests in that time."""
    target.check()
    with contextlib.ExitStack() as stack:
        # -y names the files behind descriptors.
        traces = [stack.enter_context(attached(pid, lab.folder(f"strace-{pid}"), "-y", "-e", CALLS))
                  for pid in target.proxies]
        at_rest = count(traces)
        # Longer than watched on both sides: strace takes its time to let go.
        loading = Background(lambda: wrk(target, CONNECTIONS, LEAD_SECONDS + WATCHED_SECONDS + 5))
        time.sleep(LEAD_SECONDS)
        n_before = requests(target)
        # Past what the question for the number itself did.
        under_load = count(traces)
        n_after = requests(target)
        loading.check_alive()
    loading.join()
    return {"requests": n_after - n_before, **under_load, **{f"{event} at rest": n for event, n in at_rest.items()}}


def count(traces: list[Trace]) -> dict[str, int]:
    """How often each event happens while they are watched."""
    starts = [len(trace.lines()) for trace in traces]
    time.sleep(WATCHED_SECONDS)
    lines = [line for trace, start in zip(traces, starts) for line in trace.lines()[start:]]
    return {event: sum(bool(pattern.search(line)) for line in lines) for event, pattern in EVENTS.items()}


def requests(target: Target) -> int:
    """As many as the app has answered."""
    return int(target.get("/requests"))


class Background:
    """A function in a thread; its failure is ours."""

    def __init__(self, work):
        self.error: BaseException | None = None

        def run() -> None:
            try:
                work()
            except BaseException as error:  # noqa: BLE001 - handed to who waits
                self.error = error

        self.thread = threading.Thread(target=run)
        self.thread.start()

    def check_alive(self) -> None:
        if not self.thread.is_alive():
            raise TimeoutError("the load ended before the watch did")

    def join(self) -> None:
        self.thread.join()
        if self.error:
            raise self.error


def figures(result: dict) -> list[Figure]:
    found = []
    for name, counted in result.items():
        for event, words in (("database", "looks at the database"), ("connect", "new dials"), ("accept", "new connections taken")):
            at_rest = counted[f"{event} at rest"]
            # To two digits: what the dispatcher does every ten seconds does not fall into every period.
            per_request = round(max(0, counted[event] - at_rest) / counted["requests"], 2)
            found.append(Figure(f"{words} per request in steady state, {name.removeprefix('wharf, ')}", per_request,
                                f"{per_request:g} ({counted[event]} in {counted['requests']:,}, {at_rest} in that time at rest)",
                                bar=0, row=11))
    return found


def details(result: dict) -> list[str]:
    at_rest = [f"{event} at rest" for event in EVENTS]
    return table(["target", "requests", *EVENTS, *at_rest],
                 [[name, *map(str, counted.values())] for name, counted in result.items()])


def charts(_result: dict) -> dict[str, Chart]:
    return {}
