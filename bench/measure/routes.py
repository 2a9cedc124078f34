"""Cost against the number of services: three Wharfs with 10, 1,000 and 50,000 host names, requests cycling over all.

The names are `hostname` links to one container request, written into the database while Wharf is stopped.
Before the rounds each name has been asked for at least once.
"""
import pathlib
import sqlite3

from ..figure import Figure, ratio_figure
from ..lab import Lab
from ..load import wrk
from ..method import ROUNDS, cost, least, ratio, rounds
from ..plot import Chart
from ..tables import costs
from ..target import Target
from ..wharf import PORT, Service

TITLE = "Number of services"
ROUTES = (10, 1_000, 50_000)
CONNECTIONS = 64


def measure(lab: Lab) -> dict:
    hosts, targets = {}, []
    for n in ROUTES:
        service = lab.service()
        names = insert_links(service, n)
        target = named(n, service, names)
        hosts[target.name] = file = lab.folder("hosts")
        file.write_text("".join(f"{name}.containers.localhost:{target.port}\n" for name in names))
        ask_for_each(target, file, n)
        targets.append(target)
    return rounds(targets, ROUNDS[CONNECTIONS], lambda target: wrk(target, CONNECTIONS, hosts=hosts[target.name]))


def insert_links(service: Service, n: int) -> list[str]:
    """`n` names for the app's port, as the API would have written them."""
    names = [f"route-{number}" for number in range(n)]
    service.wharf.stop()
    with sqlite3.connect(service.wharf.data / "wharf.db") as database:
        cluster = service.request[:5]
        owner, now = database.execute(
            "SELECT owner_uuid, created_at FROM container_requests WHERE uuid = ?", [service.request]).fetchone()
        columns = ("uuid, owner_uuid, created_at, modified_at, modified_by_user_uuid, link_class, name, head_uuid,"
                   " properties")
        database.executemany(
            f"INSERT INTO links ({columns}) VALUES (?, ?, ?, ?, ?, 'hostname', ?, ?, ?)",
            ((f"{cluster}-o0j2j-{number:015d}", owner, now, now, owner, name, service.request, f'{{"port":{PORT}}}')
             for number, name in enumerate(names)))
    database.close()
    service.wharf.start()
    service.wait_until_ready()
    return names


def named(n: int, service: Service, names: list[str]) -> Target:
    plain = service.target(f"{n:,} routes")
    return Target(plain.name, plain.port, f"{names[0]}.containers.localhost:{plain.port}", plain.headers,
                  plain.proxies, plain.upstreams)


def ask_for_each(target: Target, hosts: pathlib.Path, n: int) -> None:
    """wrk goes through the names in order, so as many requests as names reach each of them."""
    asked, seconds = 0, 2
    # Every run begins at a random name: only one long enough counts.
    while asked < n:
        asked = wrk(target, CONNECTIONS, seconds, hosts).n
        seconds *= 2


def figures(result: dict) -> list[Figure]:
    few, some, many = (f"{n:,} routes" for n in ROUTES)
    return [ratio_figure(f"CPU per request with {many} to that with {few}", ratio(result, many, few), bar=1.05),
            ratio_figure(f"CPU per request with {some} to that with {few}", ratio(result, some, few))]


def details(result: dict) -> list[str]:
    return costs({"64": result}, "connections", "request")


def charts(result: dict) -> dict[str, Chart]:
    cpu = {name: cost(least(taken)) for name, taken in result.items()}
    return {"routes-cpu": Chart("CPU time per request by number of services", "µs, least of all rounds", {"": cpu})}
