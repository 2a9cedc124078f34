"""Idle WebSockets: memory (RSS) of all proxy processes for each of 5,000 that are open, less what was there before.

Each target is a fresh process. At the end every socket still echoes a message. 20,000 are then held by one
controller: over HTTP/1.1 as many as the machine's limit on open files leaves room for, the others over HTTP/2
(RFC 8441); they lead through tunnels to several containers, since each supervisor holds its own.
"""
import contextlib
import os

from ..accounting import rss_kib, wait_until_settled
from ..figure import Figure
from ..lab import TUNNEL, Lab
from ..load import held
from ..plot import Chart
from ..tables import table
from ..target import Target

TITLE = "Idle WebSockets"
N_IDLE = 5_000
N_MANY = 20_000
# Descriptors that a process needs beside its sockets.
DESCRIPTORS_ELSE = 1_000
SOCKETS_PER_SUPERVISOR = 8_000


def measure(lab: Lab) -> dict:
    makers = {
        "nginx": lab.nginx,
        "two nginx": lab.two_nginx,
        "haproxy": lab.haproxy,
        "wharf, short way": lab.short_way,
        "wharf, tunnel": lab.tunnel,
        "nginx, TLS": lab.nginx_tls,
        "wharf, short way, TLS": lambda: lab.short_way(tls=True),
        "wharf, tunnel, TLS": lambda: lab.tunnel(tls=True),
    }
    result = {name: kib_each(make()) for name, make in makers.items()}
    return {"kib_each": result, "many": hold_many(lab)}


def kib_each(target: Target) -> list[float]:
    """KiB per socket in each process."""
    target.check()
    wait_until_settled(target.proxies)
    before = rss_kib(target.proxies)
    with held(target, "websockets", N_IDLE) as sockets:
        wait_until_settled(target.proxies)
        grown = [(now - was) / N_IDLE for now, was in zip(rss_kib(target.proxies), before)]
        sockets.check()
    return grown


def hold_many(lab: Lab) -> dict:
    """20,000 through one controller: how they were opened, and KiB for each in controller and supervisors."""
    room = os.sysconf("SC_OPEN_MAX") - DESCRIPTORS_ELSE
    n_http1 = max(0, min(N_MANY, room))
    services = lab.services(TUNNEL, -(-N_MANY // min(SOCKETS_PER_SUPERVISOR, room)))
    pids = [services[0].wharf.pid, *(service.supervisor for service in services)]
    for service in services:
        service.target("wharf, tunnel").check()
    wait_until_settled(pids)
    before = rss_kib(pids)
    with contextlib.ExitStack() as stack:
        groups = []
        for service, plain, over_http2 in split(services, n_http1):
            if plain:
                groups.append(stack.enter_context(held(service.target("plain"), "websockets", plain)))
            if over_http2:
                target = service.target("HTTP/2", tls=True)
                groups.append(stack.enter_context(held(target, "websockets", over_http2, "--http2")))
        wait_until_settled(pids)
        controller, *supervisors = [now - was for now, was in zip(rss_kib(pids), before)]
        for sockets in groups:
            sockets.check()
        n_open = sum(sockets.n_open for sockets in groups)
    return {"n_open": n_open, "n_http1": n_http1, "n_containers": len(services),
            "kib_each": [controller / n_open, sum(supervisors) / n_open]}


def split(services: list, n_http1: int) -> list[tuple]:
    """Shares the sockets out: per service, how many over HTTP/1.1 and how many over HTTP/2."""
    shares, plain_left = [], n_http1
    for number, service in enumerate(services):
        n = N_MANY * (number + 1) // len(services) - N_MANY * number // len(services)
        plain = min(n, plain_left)
        plain_left -= plain
        shares.append((service, plain, n - plain))
    return shares


def figures(result: dict) -> list[Figure]:
    each, many = result["kib_each"], result["many"]
    bars = {"wharf, tunnel": (6, 3, 7), "wharf, tunnel, TLS": (24, 18, 7)}
    found = []
    for name, kib in each.items():
        if name.startswith("wharf"):
            found.append(Figure(f"memory of an idle WebSocket, {name.removeprefix('wharf, ')}", sum(kib),
                                f"{sum(kib):.1f} KiB", *bars.get(name, ()), unit="KiB"))
    found.append(Figure(f"idle WebSockets held by one controller, {many['n_http1']:,} of them over HTTP/1.1",
                        many["n_open"], f"{many['n_open']:,}, {sum(many['kib_each']):.1f} KiB each", bar=N_MANY,
                        more_is_better=True))
    return found


def details(result: dict) -> list[str]:
    rows = [[name, " + ".join(f"{part:.1f}" for part in kib), f"{sum(kib):.1f}"] for name, kib in result["kib_each"].items()]
    many = result["many"]
    lines = table(["target", "KiB each, by process from the client", "in all"], rows)
    return [*lines,
            f"{many['n_open']:,} at once through {many['n_containers']} tunnels, {many['n_http1']:,} over HTTP/1.1 and "
            f"{many['n_open'] - many['n_http1']:,} over HTTP/2: {many['kib_each'][0]:.1f} KiB each in the controller, "
            f"{many['kib_each'][1]:.1f} in the supervisors.", ""]


def charts(result: dict) -> dict[str, Chart]:
    kib = {name: sum(parts) for name, parts in result["kib_each"].items()}
    return {"idle-memory": Chart(f"Memory of an idle WebSocket, {N_IDLE:,} open", "KiB of all proxy processes", {"": kib})}
