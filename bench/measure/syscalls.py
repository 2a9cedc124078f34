"""System calls per request at 64 connections, counted by strace on each proxy process.

The figure that load on the machine hardly changes, and so the one to watch in every change. strace slows the
processes down, so more requests wait at a time than otherwise, for all of them alike.
"""
import contextlib

from ..figure import Figure
from ..lab import Lab
from ..load import wrk
from ..plot import Chart
from ..tables import table
from ..target import Target
from ..tracing import attached

TITLE = "System calls"
CONNECTIONS = 64
SECONDS = 3
# Calls rarer than this, per request, are summed up as others.
SHOWN_MIN = 0.02


def measure(lab: Lab) -> dict:
    targets = [lab.nginx(), lab.two_nginx(), lab.short_way(), lab.tunnel()]
    return {target.name: count(lab, target) for target in targets}


def count(lab: Lab, target: Target) -> list[dict[str, float]]:
    """Calls per request by name, one dictionary per process."""
    target.check()
    wrk(target, CONNECTIONS)
    with contextlib.ExitStack() as stack:
        traces = [stack.enter_context(attached(pid, lab.folder(f"strace-{pid}"), "-c")) for pid in target.proxies]
        n = wrk(target, CONNECTIONS, SECONDS).n
    return [{name: calls / n for name, calls in trace.counts().items()} for trace in traces]


def figures(result: dict) -> list[Figure]:
    controller, supervisor = (sum(calls.values()) for calls in result["wharf, tunnel"])
    direct = sum(result["wharf, short way"][0].values())
    what = "system calls per request, 64 connections"
    return [
        Figure(f"{what}, tunnel: controller", controller, f"{controller:.2f}", 3.2, 2.5, row=10),
        Figure(f"{what}, tunnel: supervisor", supervisor, f"{supervisor:.2f}", 2.5, 2.2, row=10),
        Figure(f"{what}, short way: controller", direct, f"{direct:.2f}"),
    ]


def details(result: dict) -> list[str]:
    rows = []
    for name, processes in result.items():
        for number, calls in enumerate(processes):
            total = sum(calls.values())
            if total < SHOWN_MIN and number:
                continue
            ordered = sorted(calls.items(), key=lambda item: -item[1])
            shown = ", ".join(f"{call} {n:.2f}" for call, n in ordered if n >= SHOWN_MIN)
            rows.append([name, str(number + 1), f"{total:.2f}", shown])
    return table(["target", "process, from the client", "calls per request", "of these"], rows)


def charts(result: dict) -> dict[str, Chart]:
    totals = {name: sum(sum(calls.values()) for calls in processes) for name, processes in result.items()}
    return {"syscalls": Chart("System calls per request, 64 connections", "calls of all proxy processes", {"": totals})}
