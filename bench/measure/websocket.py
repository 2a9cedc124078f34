"""WebSocket echo: messages of 64 bytes there and back, one at a time on each socket."""
from ..figure import Figure, ratio_figure
from ..lab import Lab
from ..load import Load, loadgen
from ..method import ROUNDS_ELSEWHERE, cost, least, ratio, rounds
from ..plot import Chart
from ..tables import costs
from ..target import Target

TITLE = "WebSocket echo"
SOCKETS = (1, 64)


def measure(lab: Lab) -> dict:
    targets = [lab.direct(), lab.nginx(), lab.two_nginx(), lab.haproxy(), lab.short_way(), lab.tunnel()]
    return {str(n): rounds(targets, ROUNDS_ELSEWHERE, lambda target: echo(target, n)) for n in SOCKETS}


def echo(target: Target, n_sockets: int) -> Load:
    _result, load = loadgen(target, "echo", "--sockets", n_sockets, "--seconds", 1)
    return load


def figures(result: dict) -> list[Figure]:
    found = []
    for ours, words, reference, reference_words in (
            ("wharf, tunnel", "over the tunnel", "two nginx", "two nginx"),
            ("wharf, short way", "the short way", "nginx", "one nginx")):
        for n in SOCKETS:
            bars = {"bar": 0.6, "stretch": 0.5, "row": 6} if (ours, n) == ("wharf, tunnel", 64) else {}
            what = f"{n} active WebSocket{'s' * (n > 1)} {words}, CPU per message against {reference_words}"
            found.append(ratio_figure(what, ratio(result[str(n)], ours, reference), **bars))
    return found


def details(result: dict) -> list[str]:
    return costs(result, "sockets", "message")


def charts(result: dict) -> dict[str, Chart]:
    cpu = {f"{n} socket{'s' * (n != '1')}": {name: cost(least(taken)) for name, taken in samples.items() if taken[0]["cpu_us"]}
           for n, samples in result.items()}
    return {"websocket-cpu": Chart("CPU time per WebSocket message", "µs of all proxy processes, least of all rounds", cpu)}
