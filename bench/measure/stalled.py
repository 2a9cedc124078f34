"""100 readers that stall: each has asked for a body without end and reads nothing.

Small requests go on beside them, over 64 connections to the same app. The rate with the stalled ones is
compared with the rate alone, in turns; the memory of the proxy processes is taken before they came and once
nothing moves any more.
"""
import statistics

from ..accounting import rss_kib, wait_until_settled
from ..figure import Figure
from ..lab import Lab
from ..load import held, wrk
from ..plot import Chart
from ..tables import table
from ..target import Target

TITLE = "Stalled readers"
N_STALLED = 100
CONNECTIONS = 64
TURNS, LOADS_PER_TURN = 3, 2


def measure(lab: Lab) -> dict:
    targets = [lab.nginx(), lab.two_nginx(), lab.short_way(), lab.tunnel()]
    return {target.name: in_turns(target) for target in targets}


def in_turns(target: Target) -> dict:
    target.check()
    result: dict = {"alone": [], "beside": [], "kib_each": []}
    rate(target)
    for _turn in range(TURNS):
        result["alone"] += [rate(target) for _load in range(LOADS_PER_TURN)]
        before = rss_kib(target.proxies)
        with held(target, "stalled", N_STALLED):
            wait_until_settled(target.proxies + target.upstreams)
            result["kib_each"].append([(now - was) / N_STALLED for now, was in zip(rss_kib(target.proxies), before)])
            result["beside"] += [rate(target) for _load in range(LOADS_PER_TURN)]
        wait_until_settled(target.proxies + target.upstreams)
    return result


def rate(target: Target) -> float:
    """Requests a second."""
    load = wrk(target, CONNECTIONS)
    return load.n / load.seconds


def share(one: dict) -> tuple[float, float]:
    """The rate beside stalled readers to that alone: of maxima, and of medians."""
    return max(one["beside"]) / max(one["alone"]), statistics.median(one["beside"]) / statistics.median(one["alone"])


def memory(one: dict) -> float:
    """KiB each in all processes; the first turn's, because later ones find memory that was not given back."""
    return sum(one["kib_each"][0])


def figures(result: dict) -> list[Figure]:
    found = []
    for name in ("wharf, tunnel", "wharf, short way"):
        of_maxima, of_medians = share(result[name])
        way = name.removeprefix("wharf, ")
        # The bars were set for the tunnel.
        bars = {"bar": 0.7, "stretch": 0.9, "row": 9} if way == "tunnel" else {}
        found.append(Figure(f"small requests beside {N_STALLED} stalled readers to alone, {way}", of_maxima,
                            f"{of_maxima:.2f} ({of_medians:.2f})", more_is_better=True, **bars))
        mib = memory(result[name]) / 1024
        bars = {"unit": "MiB", "bar": 1.0, "stretch": 0.3, "row": 9} if way == "tunnel" else {}
        found.append(Figure(f"memory of a stalled reader, {way}", mib, f"{mib:.2f} MiB", **bars))
    return found


def details(result: dict) -> list[str]:
    rows = [[name, f"{max(one['alone']):,.0f}", f"{max(one['beside']):,.0f}", f"{share(one)[0]:.2f}",
             " + ".join(f"{kib:.0f}" for kib in one["kib_each"][0]) + " KiB"] for name, one in result.items()]
    return table(["target", "requests/s alone", f"beside {N_STALLED} stalled", "ratio", "memory of each"], rows)


def charts(_result: dict) -> dict[str, Chart]:
    return {}
