"""Bulk: 1 GiB in one body, and 256 MiB in each of four at a time, down and up, counted to the byte.

nginx has `proxy_buffers 8 256k` and passes uploads on as they come.
"""
from ..figure import Figure, ratio_figure
from ..lab import Lab
from ..load import Load, loadgen
from ..method import ROUNDS_ELSEWHERE, cost, least, median, ratio, rounds
from ..plot import Chart
from ..tables import table
from ..target import Target
from ..wharf import GIB

TITLE = "Bulk"
STREAMS = (1, 4)
TWO_NGINX = "two nginx, TLS between"


def measure(lab: Lab) -> dict:
    targets = [lab.direct(), lab.nginx(), lab.two_nginx(tls_between=True), lab.short_way(), lab.tunnel()]
    return {
        f"{way}, {n} {'body' if n == 1 else 'bodies'}":
            rounds(targets, ROUNDS_ELSEWHERE, lambda target: transfer(target, way, n))
        for way in ("down", "up") for n in STREAMS
    }


def transfer(target: Target, way: str, n_streams: int) -> Load:
    _result, load = loadgen(target, "bulk", way, "--streams", n_streams, "--bytes", GIB // n_streams)
    return load


def figures(result: dict) -> list[Figure]:
    tunnel = [ratio_figure(f"bulk {mode}, CPU per GiB over the tunnel against two nginx with TLS between",
                           ratio(samples, "wharf, tunnel", TWO_NGINX), 0.9, 0.7, row=8)
              for mode, samples in result.items()]
    return tunnel + [ratio_figure(f"bulk {mode}, CPU per GiB the short way against one nginx",
                                  ratio(samples, "wharf, short way", "nginx")) for mode, samples in result.items()]


def details(result: dict) -> list[str]:
    rows = []
    for mode, samples in result.items():
        for name, taken in samples.items():
            cpu = " + ".join(f"{us * GIB / 1000:.0f}" for us in least(taken)["cpu_us"])
            rows.append([mode, name, cpu and f"{cpu} ms", f"{median(taken, 'per_second') / 1e6:,.0f} MB/s"])
    return table(["transfer", "target", "CPU per GiB", "speed"], rows)


def charts(result: dict) -> dict[str, Chart]:
    cpu = {mode: {name: cost(least(taken)) * GIB / 1000 for name, taken in samples.items() if taken[0]["cpu_us"]}
           for mode, samples in result.items()}
    return {"bulk-cpu": Chart("CPU time per GiB", "ms of all proxy processes, least of all rounds", cpu)}
