"""What a flood of one service costs its neighbour and the API.

One address sends all that wrk can over 256 connections to one service; the limits are the defaults. Meanwhile another
asks a second service, and then the API, at a steady 200 times a second over one connection. Its p99 beside the flood
is compared with that alone, in turns. So is a service behind an nginx that has no part in the flood: what happens to it is the
machine's, whose cores the flood's sender needs as well. Both are on this machine, so Wharf is told that it stands behind a proxy, which
says the clients' addresses; and both are the same user, so a user's limits are off.
"""
import contextlib
import http.client
import statistics
import subprocess
import threading
import time
from typing import Iterator

from ..figure import Figure
from ..lab import Lab
from ..plot import Chart
from ..tables import table
from ..wharf import Service, Wharf

TITLE = "Fairness under a flood"
# As they are where nothing is said.
CONFIG = {"Proxy": {
    "FrontProxies": ["127.0.0.1"], "RequestsPerSecondPerUser": 0,
    "RequestsPerSecondPerService": 2000, "RequestsPerSecondPerAddress": 2000,
    "MaxOpenPerService": 32_768, "MaxOpenPerAddress": 32_768}}
CONNECTIONS, TURNS, SECONDS, PER_SECOND = 256, 5, 3, 200
# In the first moments nobody knows yet that the flood has rivals: what is under way then is served.
ONSET = 1
APART = "a service behind an nginx apart"
FLOODER, OTHER = "192.0.2.1", "192.0.2.2"


def measure(lab: Lab) -> dict:
    flooded, neighbour = lab.services(CONFIG, 2)
    wharf = flooded.wharf
    nginx = lab.nginx()
    sent = {"X-Forwarded-For": OTHER, "Authorization": f"Bearer {wharf.token}"}
    asked = {"another service": (wharf.port, "/1k", {"Host": neighbour.target("neighbour").host, **sent}),
             "the API": (wharf.port, "/arvados/v1/users/current", {"Host": f"localhost:{wharf.port}", **sent}),
             APART: (nginx.port, "/1k", {"Host": nginx.host})}
    result: dict = {name: {"alone": [], "beside": []} for name in asked}
    for _turn in range(TURNS):
        for name, where in asked.items():
            result[name]["alone"].append(p99_us(*where))
        with flood(wharf, flooded):
            for name, where in asked.items():
                # A flood is held to its rate only while somebody else asks of Wharf.
                with rival(*asked["another service"]) if name == APART else contextlib.nullcontext():
                    result[name]["beside"].append(p99_us(*where))
    return result


@contextlib.contextmanager
def rival(port: int, path: str, sent: dict[str, str]) -> Iterator[None]:
    """Somebody who asks now and then."""
    over = threading.Event()

    def ask() -> None:
        while not over.wait(0.2):
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
            connection.request("GET", path, headers=sent)
            connection.getresponse().read()
            connection.close()

    asking = threading.Thread(target=ask)
    asking.start()
    try:
        yield
    finally:
        over.set()
        asking.join()


@contextlib.contextmanager
def flood(wharf: Wharf, service: Service) -> Iterator[None]:
    """All that wrk can send, whatever is answered."""
    target = service.target("flooded")
    words = ["wrk", "-t1", f"-c{CONNECTIONS}", "-d600s"]
    for line in (f"Host: {target.host}", f"X-Forwarded-For: {FLOODER}", *target.headers):
        words += ["-H", line]
    process = subprocess.Popen([*words, f"http://127.0.0.1:{wharf.port}/1k"], stdout=subprocess.DEVNULL)
    try:
        time.sleep(1)
        yield
    finally:
        process.terminate()
        process.wait()


def p99_us(port: int, path: str, sent: dict[str, str]) -> float:
    """Of requests at a steady pace, from when each was due, after the onset."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    taken, begin = [], time.monotonic()
    for n in range((ONSET + SECONDS) * PER_SECOND):
        due = begin + n / PER_SECOND
        time.sleep(max(0.0, due - time.monotonic()))
        connection.request("GET", path, headers=sent)
        reply = connection.getresponse()
        reply.read()
        if reply.status != 200:
            raise ConnectionError(f"{sent['Host']}{path} gave {reply.status}")
        taken.append((time.monotonic() - due) * 1e6)
    connection.close()
    return statistics.quantiles(taken[ONSET * PER_SECOND:], n=100)[98]


def figures(result: dict) -> list[Figure]:
    found = []
    for name, one in result.items():
        least = min(one["beside"]) / min(one["alone"])
        of_medians = statistics.median(one["beside"]) / statistics.median(one["alone"])
        found.append(Figure(f"p99 of {name} beside a flood of one service to alone", least,
                            f"{least:.2f} ({of_medians:.2f})", bar=None if name == APART else 1.1))
    return found


def details(result: dict) -> list[str]:
    rows = [[name, f"{statistics.median(one['alone']):,.0f} µs", f"{statistics.median(one['beside']):,.0f} µs"]
            for name, one in result.items()]
    return table(["who asks", "p99 alone, median of turns", "beside the flood"], rows)


def charts(_result: dict) -> dict[str, Chart]:
    return {}
