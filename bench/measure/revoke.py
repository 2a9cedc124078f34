"""Access that ends: 1,000 WebSockets and 1,000 event streams of one token, and the token is deleted.

The time runs from just before the call that deletes it to the end of the last stream.
"""
import contextlib
import time

from ..figure import Figure
from ..lab import TUNNEL, Lab
from ..load import held
from ..plot import Chart
from ..tables import table
from ..wharf import Service

TITLE = "Revocation"
N_EACH = 1000
REPEATS = 3
PATIENCE_SECONDS = 10


def measure(lab: Lab) -> dict:
    services = {"short way": lab.service(), "tunnel": lab.service(TUNNEL)}
    return {way: [revoke(service) for _repeat in range(REPEATS)] for way, service in services.items()}


def revoke(service: Service) -> dict:
    """How long the last stream of each sort stayed open, and how they ended."""
    made = service.wharf.api("POST", "/arvados/v1/api_client_authorizations", {"api_client_authorization": {}})
    target = service.target("", token=f"v2/{made['uuid']}/{made['api_token']}")
    with contextlib.ExitStack() as stack:
        sorts = {sort: stack.enter_context(held(target, sort, N_EACH)) for sort in ("websockets", "events")}
        sorts["websockets"].check()
        for sockets in sorts.values():
            sockets.tell(f"closed {PATIENCE_SECONDS}")
        begin_ns = time.monotonic_ns()
        service.wharf.api("DELETE", f"/arvados/v1/api_client_authorizations/{made['uuid']}")
        ended = {sort: sockets.read() for sort, sockets in sorts.items()}
    return {sort: {"ms": (told["last_ns"] - begin_ns) / 1e6 if told["closed"] else None,
                   "left": told["left"], "how": told["how"]} for sort, told in ended.items()}


def figures(result: dict) -> list[Figure]:
    found = []
    for way, repeats in result.items():
        streams = [sort for one in repeats for sort in one.values()]
        left = sum(sort["left"] for sort in streams)
        slowest = max((sort["ms"] for sort in streams if sort["ms"] is not None), default=0)
        text = f"{slowest:.0f} ms" if not left else f"{left} of {len(streams) * N_EACH} still open after {PATIENCE_SECONDS} s"
        found.append(Figure(f"token deleted to the last of {2 * N_EACH} open streams ended, {way}, slowest of {REPEATS}",
                            slowest if not left else float("inf"), text, bar=1000, unit="ms"))
    return found


def details(result: dict) -> list[str]:
    rows = []
    for way, repeats in result.items():
        for one in repeats:
            for sort, told in one.items():
                how = ", ".join(f"{n} × {words}" for words, n in told["how"].items())
                rows.append([way, sort, "" if told["ms"] is None else f"{told['ms']:.0f} ms", str(told["left"]), how])
    lines = table(["way", "streams", "last one ended after", "still open", "how they ended"], rows)
    return [*lines, "A number is a WebSocket close code; `end` is an orderly end, `reset` a broken one.", ""]


def charts(_result: dict) -> dict[str, Chart]:
    return {}
