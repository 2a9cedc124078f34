"""Server-sent events: from the app's write to the client's read, by a clock that both share.

20 streams of one event every 20 ms each; rounds of three seconds in shuffled order.
"""
import random
import statistics

from ..figure import Figure
from ..lab import Lab
from ..load import loadgen
from ..method import ROUNDS_ELSEWHERE
from ..plot import Chart
from ..tables import table

TITLE = "Server-sent events"
STREAMS, PERIOD_MS, SECONDS = 20, 20, 3
KEYS = ("p50_us", "p99_us", "max_us")


def measure(lab: Lab) -> dict:
    targets = [lab.direct(), lab.nginx(), lab.two_nginx(), lab.short_way(), lab.tunnel()]
    result: dict = {target.name: [] for target in targets}
    for _round in range(ROUNDS_ELSEWHERE):
        for target in random.sample(targets, len(targets)):
            taken, _load = loadgen(target, "events", "--streams", STREAMS, "--period-ms", PERIOD_MS, "--seconds", SECONDS)
            result[target.name].append(taken)
    return result


def median_ms(taken: list[dict], key: str) -> float:
    return statistics.median(one[key] for one in taken) / 1000


def figures(result: dict) -> list[Figure]:
    found = []
    for name in ("wharf, short way", "wharf, tunnel"):
        p99 = median_ms(result[name], "p99_us")
        found.append(Figure(f"a server-sent event, from the app's write to the client, p99, {name.removeprefix('wharf, ')}",
                            p99, f"{p99:.2f} ms", bar=5, unit="ms"))
    return found


def details(result: dict) -> list[str]:
    rows = [[name, str(sum(one["events"] for one in taken)), *(f"{median_ms(taken, key):.2f} ms" for key in KEYS)]
            for name, taken in result.items()]
    return table(["target", "events", "p50", "p99", "longest"], rows)


def charts(_result: dict) -> dict[str, Chart]:
    return {}
