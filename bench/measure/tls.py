"""TLS 1.3 from the client, 1 KiB: HTTP/1.1 over 64 connections (wrk), HTTP/2 with 64 streams over 8 (h2load).

The reference is ONE nginx hop, plain behind it, although Wharf's tunnel is a second hop. All have P-256 certificates
and agree on the same cipher suite.
"""
from ..figure import Figure, ratio_figure
from ..lab import Lab
from ..load import h2load, wrk
from ..method import ROUNDS, cost, least, ratio, rounds
from ..plot import Chart
from ..tables import costs

TITLE = "TLS in the browser"
CONNECTIONS = 64
H2_CONNECTIONS, H2_STREAMS = 8, 8
H1, H2 = "HTTP/1.1", "HTTP/2"


def measure(lab: Lab) -> dict:
    targets = [lab.nginx_tls(), lab.short_way(tls=True), lab.tunnel(tls=True)]
    ciphers = {target.cipher() for target in targets}
    if len(ciphers) != 1:
        raise ValueError(f"the targets agree on different TLS: {ciphers}")
    version, suite = ciphers.pop()
    return {
        "cipher": f"{version} {suite}",
        H1: rounds(targets, ROUNDS[64], lambda target: wrk(target, CONNECTIONS)),
        H2: rounds(targets, ROUNDS[64], lambda target: h2load(target, H2_CONNECTIONS, H2_STREAMS)),
    }


def figures(result: dict) -> list[Figure]:
    bars = {H1: (1.2, 1.05), H2: (1.25, 1.10)}
    found = [ratio_figure(f"TLS in the browser and on the tunnel, {protocol}, CPU per request against one nginx TLS hop",
                          ratio(result[protocol], "wharf, tunnel", "nginx"), *bars[protocol], row=3)
             for protocol in (H1, H2)]
    return found + [ratio_figure(f"TLS in the browser, short way, {protocol}, CPU per request against one nginx TLS hop",
                                 ratio(result[protocol], "wharf, short way", "nginx")) for protocol in (H1, H2)]


def details(result: dict) -> list[str]:
    return [f"All of them chose {result['cipher']}.", "",
            *costs({protocol: result[protocol] for protocol in (H1, H2)}, "protocol", "request")]


def charts(result: dict) -> dict[str, Chart]:
    cpu = {protocol: {name: cost(least(taken)) for name, taken in result[protocol].items()} for protocol in (H1, H2)}
    return {"tls-cpu": Chart("CPU time per request, TLS in the browser", "µs of all proxy processes, least of all rounds", cpu)}
