"""Cost against the number of open tunnels: three Wharfs with 1, 100 and 1,000 running containers, one tunnel each.

64 connections ask for 1 KiB, first from one of the containers only, then from all of them in turn, which leaves
little to be put together into one write and wakes a supervisor for each request. Containers and supervisors are
real; the CPU time of all supervisors counts, those at rest too.
"""
from ..accounting import children, wait_until_settled
from ..figure import Figure, ratio_figure
from ..lab import TUNNEL, Lab
from ..load import wrk
from ..method import ROUNDS, Samples, cost, least, median, ratio, rounds
from ..plot import Chart
from ..tables import table
from ..target import Target

TITLE = "Number of open tunnels"
TUNNELS = (1, 100, 1_000)
CONNECTIONS = 64
# Enough for the upstream, which holds nothing.
RAM = 32 << 20
# A thousand containers on one machine is no advice.
ROOM = {"Containers": {"MaxContainers": 2000, "RAMOvercommit": 100, "VCPUOvercommit": 1000}}
ONE, ALL = "to one of them", "to all in turn"


def measure(lab: Lab) -> dict:
    hosts, targets = {}, []
    for n in TUNNELS:
        target, names = many_services(lab, n)
        hosts[target.name] = file = lab.folder("hosts")
        file.write_text("".join(name + "\n" for name in names))
        targets.append(target)
    for target in targets:
        # Starting a thousand containers keeps the dispatcher at work for minutes.
        wait_until_settled(target.proxies[:1], seconds=600)
    n_rounds = ROUNDS[CONNECTIONS]
    return {
        ONE: summed(rounds(targets, n_rounds, lambda target: wrk(target, CONNECTIONS))),
        ALL: summed(rounds(targets, n_rounds, lambda target: wrk(target, CONNECTIONS, hosts=hosts[target.name]))),
    }


def summed(samples: Samples) -> Samples:
    """The supervisors' CPU times as one."""
    for taken in samples.values():
        for one in taken:
            controller, *supervisors = one["cpu_us"]
            one["cpu_us"] = [controller, sum(supervisors)]
    return samples


def label(n: int) -> str:
    return f"{n:,} tunnel{'s' * (n > 1)}"


def many_services(lab: Lab, n: int) -> tuple[Target, list[str]]:
    """A Wharf with `n` services, as one target, and their hosts."""
    services = lab.services({**TUNNEL, **ROOM}, n, RAM)
    family = children()
    plain = [service.target(label(n), family=family) for service in services]
    supervisors = tuple(target.proxies[1] for target in plain)
    upstreams = tuple(pid for target in plain for pid in target.upstreams)
    first = plain[0]
    target = Target(first.name, first.port, first.host, first.headers, (services[0].wharf.pid, *supervisors), upstreams)
    return target, [one.host for one in plain]


def figures(result: dict) -> list[Figure]:
    alone, some, many = map(label, TUNNELS)
    found = []
    for way, samples in result.items():
        found += [
            ratio_figure(f"CPU per request with {many}, load {way}, to that with 1", ratio(samples, many, alone), bar=1.3),
            ratio_figure(f"CPU per request with {some}, load {way}, to that with 1", ratio(samples, some, alone)),
        ]
    return found


def details(result: dict) -> list[str]:
    rows = []
    for way, samples in result.items():
        for name, taken in samples.items():
            controller, supervisors = least(taken)["cpu_us"]
            rows.append([way, name, f"{controller:.1f} µs", f"{supervisors:.1f} µs", f"{median(taken, 'per_second'):,.0f}"])
    return table(["load", "open", "controller, CPU per request", "all supervisors", "requests/s"], rows)


def charts(result: dict) -> dict[str, Chart]:
    cpu = {f"load {way}": {name: cost(least(taken)) for name, taken in samples.items()} for way, samples in result.items()}
    return {"tunnels-cpu": Chart("CPU time per request by number of open tunnels", "µs, least of all rounds", cpu)}
