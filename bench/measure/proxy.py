"""One hop: 1 KiB over HTTP/1.1 with keep-alive, plain, through one proxy.

Wharf takes the short way here: on the app's own machine the supervisor hands over a connected socket.
"""
from ..figure import Figure, ratio_figure
from ..lab import Lab
from ..method import at_each, cost, least, median, ratio
from ..plot import Chart
from ..tables import costs

TITLE = "One hop"
CONNECTIONS = (1, 64, 1000)
OURS = "wharf, short way"


def measure(lab: Lab) -> dict:
    targets = [lab.direct(), lab.nginx(), lab.haproxy(), lab.http_proxy(), lab.short_way()]
    return at_each(CONNECTIONS, targets)


def figures(result: dict) -> list[Figure]:
    found = []
    for connections, samples in result.items():
        bars = {"bar": 1.0, "stretch": 0.8, "row": 12} if connections == "64" else {}
        what = f"one hop, {connections} connections, CPU per request against one nginx"
        found.append(ratio_figure(what.replace(" 1 connections", " 1 connection"), ratio(samples, OURS, "nginx"), **bars))
    return found


def details(result: dict) -> list[str]:
    return costs(result, "connections", "request")


def charts(result: dict) -> dict[str, Chart]:
    return request_charts("one-hop", "one hop", result)


def request_charts(file: str, words: str, result: dict) -> dict[str, Chart]:
    """CPU time and latency by number of connections."""
    groups = {f"{n} connection{'s' * (n != '1')}": samples for n, samples in result.items()}
    cpu = {group: {name: cost(least(taken)) for name, taken in samples.items() if taken[0]["cpu_us"]}
           for group, samples in groups.items()}
    p50 = {group: {name: median(taken, "p50_us") / 1000 for name, taken in samples.items()}
           for group, samples in groups.items()}
    return {f"{file}-cpu": Chart(f"CPU time per request, {words}", "µs of all proxy processes, least of all rounds", cpu),
            f"{file}-latency": Chart(f"Latency, {words}", "ms, median of the rounds' p50", p50)}
