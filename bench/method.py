"""How a figure is taken, so that it holds on a noisy machine.

Everything that is compared is up at once. A round sends a second of load to each target, in shuffled
order. The score is the ratio of the smallest cost over all rounds, because noise only ever adds; the
median of the per-round ratios beside it tells how far to trust that.
"""
import os
import random
import statistics
from typing import Callable, Iterable

from .load import Load, wrk
from .target import Target

# One connection is far noisier than 64: almost every request wakes a sleeping core.
ROUNDS = {1: 12, 64: 8}
ROUNDS_ELSEWHERE = 6

Samples = dict[str, list[dict]]


def rounds(targets: Iterable[Target], n_rounds: int, send: Callable[[Target], Load]) -> Samples:
    """One sample per target and round, by the target's name."""
    targets = list(targets)
    for target in targets:
        target.check()
        send(target)  # to fill pools and caches, uncounted
    samples: Samples = {target.name: [] for target in targets}
    for _round in range(n_rounds):
        for target in random.sample(targets, len(targets)):
            samples[target.name].append(sample(target, send))
    return samples


def at_each(connections: Iterable[int], targets: Iterable[Target]) -> dict[str, Samples]:
    """1 KiB over HTTP/1.1 with so many connections, by their number."""
    targets = list(targets)
    return {str(n): rounds(targets, ROUNDS.get(n, ROUNDS_ELSEWHERE), lambda target: wrk(target, n)) for n in connections}


def sample(target: Target, send: Callable[[Target], Load]) -> dict:
    """What one unit of load (a request, a message, a byte) cost, in microseconds of CPU time."""
    before, upstream_before = target.cpu_ns(), target.upstream_cpu_ns()
    load = send(target)
    used = [now - was for now, was in zip(target.cpu_ns(), before)]
    upstream_ns = target.upstream_cpu_ns() - upstream_before
    if upstream_ns <= 0:
        raise ConnectionError(f"{target.name}: the upstream did no work; who answered?")
    return {
        "n": load.n,
        "per_second": load.n / load.seconds,
        "cpu_us": [ns / 1000 / load.n for ns in used],
        "upstream_us": upstream_ns / 1000 / load.n,
        "client_us": load.client_ns / 1000 / load.n,
        "p50_us": load.p50_us,
        "load_average": os.getloadavg()[0],
    }


def cost(one: dict) -> float:
    """CPU time of all proxy processes for one unit, in microseconds."""
    return sum(one["cpu_us"])


def least(samples: list[dict]) -> dict:
    """The sample that noise disturbed least."""
    return min(samples, key=cost)


def ratio(samples: Samples, ours: str, reference: str, of: Callable[[dict], float] = cost) -> dict:
    """`{"ratio": ratio of minima, "median": median of the per-round ratios}`."""
    our_values, their_values = [[of(one) for one in samples[name]] for name in (ours, reference)]
    return ratio_of(our_values, their_values)


def ratio_of(ours: list[float], theirs: list[float]) -> dict:
    return {
        "ratio": min(ours) / min(theirs),
        "median": statistics.median(a / b for a, b in zip(ours, theirs)),
    }


def median(samples: list[dict], key: str) -> float:
    return statistics.median(one[key] for one in samples)
