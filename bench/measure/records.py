"""Lists and filters over many records: a million container requests and links, 100,000 collections, SQLite.

The records are written into the database while Wharf is stopped: copies of one request, container, link and collection that
the API made, owned by 1,000 projects, newest last. Then the lists are asked for that Workbench 2 makes, by an
administrator, who may see all of it, and by a user who may see one project in ten. What is timed is one HTTP exchange on one
connection, without a client library.
"""
import http.client
import json
import sqlite3
import statistics
import time
import urllib.parse

from ..accounting import cpu_ns, rss_kib
from ..figure import Figure
from ..lab import Lab
from ..tables import table
from ..wharf import Wharf

TITLE = "Many records"
REQUESTS, CONTAINERS, LINKS, COLLECTIONS, PROJECTS = 1_000_000, 200_000, 1_000_000, 100_000, 1_000
SHARED = PROJECTS // 10
N_ASKED = 15
BAR_MS = 50


def measure(lab: Lab) -> dict:
    wharf = lab.wharf()
    seeds = seed(wharf)
    wharf.stop()
    fill(wharf, seeds)
    wharf.start()
    before_kib = sum(rss_kib([wharf.pid]))
    taken = {who: {name: ask(wharf, token, path, parameters) for name, (path, parameters) in calls(seeds).items()}
             for who, token in (("administrator", wharf.token), ("user", seeds["token"]))}
    return {"calls": taken, "grown_kib": sum(rss_kib([wharf.pid])) - before_kib, "get": get_cost(wharf, seeds)}


# --- the records

def seed(wharf: Wharf) -> dict:
    """One record of each kind, and a user who shall see a tenth of them."""
    made = lambda path, body: wharf.api("POST", f"/arvados/v1/{path}", body)
    wharf.import_image("busybox")
    user = made("users", {"user": {"username": "ada", "email": "ada@example.com", "is_active": True}})
    token = made("api_client_authorizations", {"api_client_authorization": {"owner_uuid": user["uuid"], "scopes": ["all"]}})
    project = made("groups", {"group": {"name": "project", "group_class": "project"}})
    request = made("container_requests", {"container_request": {
        "name": "seed", "state": "Committed", "priority": 1, "container_image": "busybox", "command": ["true"], "cwd": "/out",
        "output_path": "/out", "mounts": {"/out": {"kind": "tmp", "capacity": 1024}}, "use_existing": False,
        "runtime_constraints": {"vcpus": 1, "ram": 1 << 26}}})
    collection = made("collections", {"collection": {"name": "seed", "manifest_text": ""}})
    link = made("links", {"link": {"link_class": "tag", "name": "seed", "head_uuid": collection["uuid"]}})
    permission = made("links", {"link": {"link_class": "permission", "name": "can_read", "tail_uuid": user["uuid"],
                                         "head_uuid": project["uuid"]}})
    container = wharf.api("GET", f"/arvados/v1/container_requests/{request['uuid']}")["container_uuid"]
    wharf.wait_until_over(container)
    return {"user": user["uuid"], "token": f"v2/{token['uuid']}/{token['api_token'].split('/')[-1]}", "project": project["uuid"],
            "request": request["uuid"], "container": container, "collection": collection["uuid"], "link": link["uuid"],
            "permission": permission["uuid"]}


def fill(wharf: Wharf, seeds: dict) -> None:
    with sqlite3.connect(wharf.data / "wharf.db") as database:
        database.execute("PRAGMA synchronous = OFF")
        cluster = seeds["user"][:5]
        project = f"'{cluster}-j7d0g-' || printf('1%014d', i % {PROJECTS})"
        at = "strftime('%Y-%m-%dT%H:%M:%S', 1700000000 + i * 10, 'unixepoch') || '.000000000Z'"
        times = {"created_at": at, "modified_at": at}

        def copies(name: str, seed: str, n: int, changed: dict[str, str]) -> None:
            columns = [row[1] for row in database.execute(f"PRAGMA table_info({name})")]
            changed = {"uuid": f"'{seed[:12]}' || printf('1%014d', i)", **times, **changed}
            values = ", ".join(changed.get(column, column) for column in columns)
            database.execute(
                f"WITH RECURSIVE numbers (i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM numbers WHERE i + 1 < {n}) "
                f"INSERT INTO {name} ({', '.join(columns)}) SELECT {values} FROM numbers, {name} WHERE {name}.uuid = ?", [seed])

        copies("groups", seeds["project"], PROJECTS, {"name": "'project ' || i"})
        copies("containers", seeds["container"], CONTAINERS, {
            "state": "CASE i % 10 WHEN 0 THEN 'Cancelled' ELSE 'Complete' END",
            "exit_code": "CASE i % 10 WHEN 0 THEN NULL ELSE i % 5 % 2 END"})
        copies("container_requests", seeds["request"], REQUESTS, {
            "name": "'run ' || i", "owner_uuid": project,
            "container_uuid": f"'{seeds['container'][:12]}' || printf('1%014d', i % {CONTAINERS})"})
        copies("collections", seeds["collection"], COLLECTIONS, {
            "name": "'data ' || i", "owner_uuid": project,
            "current_version_uuid": f"'{seeds['collection'][:12]}' || printf('1%014d', i)"})
        copies("links", seeds["link"], LINKS, {
            "name": "'tag ' || (i % 1000)", "owner_uuid": project,
            "head_uuid": f"'{seeds['collection'][:12]}' || printf('1%014d', i % {COLLECTIONS})"})
        copies("links", seeds["permission"], SHARED, {
            "uuid": f"'{seeds['link'][:12]}p' || printf('%014d', i)",
            "head_uuid": f"'{cluster}-j7d0g-' || printf('1%014d', i * 10)"})
    database.close()


# --- what Workbench asks for

def calls(seeds: dict) -> dict[str, tuple[str, dict]]:
    """Path and parameters by what the call is for."""
    cluster = seeds["user"][:5]
    project = f"{cluster}-j7d0g-1{10:014d}"
    requests = lambda **more: ("container_requests", more)
    contents = lambda where, **more: (f"groups/{where}/contents" if where else "groups/contents", more)
    top = ["container_requests.requesting_container_uuid", "=", None]
    counted = {"limit": 0, "count": "exact"}
    return {
        "newest requests": requests(limit=50),
        "newest requests, counted none": requests(limit=50, count="none"),
        "requests of a project": requests(filters=[["owner_uuid", "=", project]], limit=50),
        "requests by name": requests(filters=[["name", "=", "run 77777"]]),
        "requests of a name's beginning": requests(filters=[["name", "like", "run 7777%"]], limit=20, count="none"),
        "a page by key": requests(filters=[["created_at", ">=", "2024-01-01T00:00:00Z"], ["uuid", "!=", seeds["request"]]],
                                  order=["created_at asc", "uuid asc"], limit=100, count="none"),
        "runs, counted": requests(filters=[["requesting_container_uuid", "=", None]], **counted),
        "running, counted": requests(filters=[["container.state", "=", "Running"]], **counted),
        "queued, counted": requests(filters=[["container.state", "in", ["Queued", "Locked"]]], **counted),
        "failed of a project, counted": requests(
            filters=[["owner_uuid", "=", project], ["container.exit_code", "!=", "0"]], **counted),
        "drafts, counted": requests(filters=[["state", "=", "Uncommitted"]], **counted),
        "recent runs": contents("", filters=[["uuid", "is_a", "arvados#containerRequest"], top], limit=12, count="none",
                                order="created_at desc", include=["owner_uuid", "container_uuid"]),
        "a project's data": contents(project, filters=[["uuid", "is_a", ["arvados#collection", "arvados#group"]]], limit=50,
                                     count="none", order="collections.modified_at desc,groups.modified_at desc"),
        "a project's data, counted": contents(project, filters=[["uuid", "is_a", ["arvados#collection", "arvados#group"]]],
                                              **counted),
        "one request with its container": contents("", filters=[
            ["uuid", "is_a", "arvados#containerRequest"], ["uuid", "=", f"{cluster}-xvhdp-1{10:014d}"]], include=["container_uuid"]),
        "links to a collection": ("links", {"filters": [["head_uuid", "=", f"{cluster}-4zz18-1{10:014d}"]]}),
        "stars": ("links", {"filters": [["link_class", "=", "star"], ["tail_uuid", "=", seeds["user"]]]}),
        "newest collections": ("collections", {"limit": 50, "count": "none"}),
        "collections by content": ("collections", {"filters": [["portable_data_hash", "=", "0" * 32 + "+0"]]}),
        "projects in the tree": ("groups", {"filters": [["owner_uuid", "=", seeds["user"]], ["group_class", "in", ["project", "filter"]]],
                                            "order": "created_at desc", "limit": 50}),
        "shared with me": ("groups/shared", {"limit": 50, "order": "name asc"}),
    }


def ask(wharf: Wharf, token: str, path: str, parameters: dict) -> list[float]:
    """Milliseconds of each exchange."""
    query = urllib.parse.urlencode({name: value if isinstance(value, (str, int)) else json.dumps(value)
                                    for name, value in parameters.items()})
    connection = http.client.HTTPConnection("127.0.0.1", wharf.port, timeout=300)
    taken = []
    for _n in range(N_ASKED):
        begin = time.perf_counter()
        connection.request("GET", f"/arvados/v1/{path}?{query}", headers={"Authorization": f"Bearer {token}"})
        reply = connection.getresponse()
        text = reply.read()
        taken.append((time.perf_counter() - begin) * 1000)
        if reply.status != 200:
            raise ConnectionError(f"{path}?{query} gave {reply.status}: {text[:500]!r}")
    connection.close()
    return taken


def get_cost(wharf: Wharf, seeds: dict) -> float:
    """CPU time of the controller for one record by its identifier, in milliseconds."""
    n, before = 300, cpu_ns(wharf.pid)
    for number in range(n):
        wharf.api("GET", f"/arvados/v1/container_requests/{seeds['request'][:12]}1{number * 17:014d}")
    return (cpu_ns(wharf.pid) - before) / 1e6 / n


# --- the page

def worst(result: dict, who: str) -> tuple[float, str]:
    return max((statistics.median(taken), name) for name, taken in result["calls"][who].items())


def figures(result: dict) -> list[Figure]:
    found = []
    for who in result["calls"]:
        ms, name = worst(result, who)
        found.append(Figure(f"slowest of {len(result['calls'][who])} lists over a million requests, {who} (median)", ms,
                            f"{ms:.0f} ms ({name})", bar=BAR_MS, unit="ms"))
    found.append(Figure("memory that these lists leave behind", result["grown_kib"] / 1024, f"{result['grown_kib'] / 1024:.0f} MiB"))
    found.append(Figure("CPU time of a record by its identifier", result["get"], f"{result['get']:.2f} ms", bar=1, unit="ms"))
    return found


def details(result: dict) -> list[str]:
    both = result["calls"]
    rows = [[name, *(f"{statistics.median(taken[name]):.1f} / {max(taken[name]):.1f} ms" for taken in both.values())]
            for name in next(iter(both.values()))]
    return table(["list", *(f"{who}, median / most" for who in both)], rows)


def charts(_result: dict) -> dict:
    return {}
