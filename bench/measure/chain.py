"""Two hops: 1 KiB over HTTP/1.1 with keep-alive, plain from the client, through two processes.

This is how a service on another machine is reached: controller, tunnel, supervisor. The references are two
nginx, one behind the other, with and without TLS between them.
"""
from ..figure import Figure, ratio_figure
from ..lab import Lab
from ..method import at_each, ratio, ratio_of
from ..plot import Chart
from ..tables import costs
from .proxy import CONNECTIONS, request_charts

TITLE = "Two hops"
OURS = "wharf, tunnel"
PLAIN, TLS = "two nginx", "two nginx, TLS between"


def measure(lab: Lab) -> dict:
    targets = [lab.direct(), lab.two_nginx(), lab.two_nginx(tls_between=True), lab.tunnel()]
    return at_each(CONNECTIONS, targets)


def figures(result: dict) -> list[Figure]:
    one, many, most = (result[str(n)] for n in CONNECTIONS)
    return [
        ratio_figure("two hops over the tunnel, 64 connections, CPU per request against two plain nginx",
                     ratio(many, OURS, PLAIN), 0.60, 0.45, row=1),
        ratio_figure("two hops over the tunnel, 64 connections, CPU per request against two nginx with TLS between", ratio(many, OURS, TLS), 0.45, 0.32, row=2),
        ratio_figure("two hops, 1 connection, CPU per request against two plain nginx",
                     ratio(one, OURS, PLAIN), 1.1, 0.95, row=4),
        ratio_figure("two hops, 1 connection, what is added to the direct p50, against two plain nginx",
                     added_latency(one), 1.15, 1.0, row=5),
        ratio_figure("two hops, 1000 connections, CPU per request against two plain nginx", ratio(most, OURS, PLAIN)),
    ]


def added_latency(samples: dict) -> dict:
    """The p50 of each target less the direct one, ours against theirs."""
    direct, ours, theirs = ([one["p50_us"] for one in samples[name]] for name in ("direct", OURS, PLAIN))
    least = {"ratio": (min(ours) - min(direct)) / (min(theirs) - min(direct))}
    # In one round the difference can be next to nothing; such rounds say nothing.
    added = [(a - base, b - base) for a, b, base in zip(ours, theirs, direct) if b - base > 5]
    return {**ratio_of(*map(list, zip(*added))), **least} if added else {**least, "median": least["ratio"]}


def details(result: dict) -> list[str]:
    return costs(result, "connections", "request")


def charts(result: dict) -> dict[str, Chart]:
    return request_charts("two-hops", "two hops", result)
