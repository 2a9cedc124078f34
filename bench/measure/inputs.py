"""Inputs of containers: how long one waits for the files that it reads, the first time on a machine and again.

One collection is a file of 1 GiB in 16 blocks; the other has 10,000 files of 8 KiB, which lie in two blocks one behind the other.
A container that runs `true` reads each. What is told is what its `crunch-run.txt` says of its inputs. The first one has the files
put together of their blocks; those after it get links. The reference is `cp` of the same files, without a sync, as here.
"""
import hashlib
import http.client
import os
import pathlib
import re
import shutil
import statistics
import subprocess
import time

from ..figure import Figure
from ..lab import Lab
from ..tables import table
from ..wharf import Wharf

TITLE = "Inputs of containers"
BLOCK = 64 << 20
N_SMALL, SMALL = 10_000, 8 << 10
N_ROUNDS = 3


def measure(lab: Lab) -> dict:
    wharf = lab.wharf()
    wharf.import_image("busybox")
    taken: dict[str, dict[str, list[float]]] = {
        name: {"cp": [], "first": [], "again": []} for name in ("one file of 1 GiB", "10,000 files of 8 KiB")}
    for _round in range(N_ROUNDS):
        for (name, ways), make in zip(taken.items(), (one_large, many_small)):
            # Other bytes each time: what the machine has seen it has.
            files, manifest = make(lambda block: put(wharf, block))
            ways["cp"].append(copied_ms(lab.home, files))
            made = wharf.api("POST", "/arvados/v1/collections", {"collection": {"manifest_text": manifest}})
            for way in ("first", "again"):
                ways[way].append(ready_ms(wharf, made["portable_data_hash"]))
    return taken


def one_large(put) -> tuple[dict[str, bytes], str]:
    blocks = [os.urandom(BLOCK) for _block in range(16)]
    locators = " ".join(put(block) for block in blocks)
    return {"large": b"".join(blocks)}, f". {locators} 0:{16 * BLOCK}:large\n"


def many_small(put) -> tuple[dict[str, bytes], str]:
    whole = os.urandom(N_SMALL * SMALL)
    locators = " ".join(put(whole[start:start + BLOCK]) for start in range(0, len(whole), BLOCK))
    tokens = " ".join(f"{n * SMALL}:{SMALL}:{n:05}" for n in range(N_SMALL))
    return {f"{n:05}": whole[n * SMALL:(n + 1) * SMALL] for n in range(N_SMALL)}, f". {locators} {tokens}\n"


def put(wharf: Wharf, block: bytes) -> str:
    connection = http.client.HTTPConnection("127.0.0.1", wharf.port, timeout=60)
    headers = {"Host": f"localhost:{wharf.port}", "Authorization": "Bearer " + wharf.token}
    connection.request("PUT", "/" + hashlib.md5(block).hexdigest(), block, headers)
    reply = connection.getresponse()
    text = reply.read().decode().strip()
    if reply.status != 200:
        raise ConnectionError(f"a block gave {reply.status}: {text}")
    return text


def copied_ms(home: pathlib.Path, files: dict[str, bytes]) -> float:
    source, copy = home / "source", home / "copy"
    source.mkdir()
    for name, content in files.items():
        (source / name).write_bytes(content)
    begin = time.perf_counter()
    subprocess.run(["cp", "-r", source, copy], check=True)
    taken = (time.perf_counter() - begin) * 1000
    shutil.rmtree(source)
    shutil.rmtree(copy)
    return taken


def ready_ms(wharf: Wharf, content: str) -> float:
    """What the container's own log says of its inputs."""
    made = wharf.api("POST", "/arvados/v1/container_requests", {"container_request": {
        "name": "bench", "state": "Committed", "priority": 1, "container_image": "busybox", "command": ["true"], "cwd": "/",
        "output_path": "/out", "use_existing": False, "runtime_constraints": {"vcpus": 1, "ram": 1 << 26},
        "mounts": {"/out": {"kind": "tmp", "capacity": 1024}, "/in": {"kind": "collection", "portable_data_hash": content}}}})
    wharf.wait_until_over(made["container_uuid"])
    log = (wharf.data / "containers" / made["container_uuid"] / "log/crunch-run.txt").read_text()
    found = re.search(r"inputs are ready after (\d+) ms", log)
    if not found:
        raise ChildProcessError(f"its log says nothing of inputs: {log}")
    return float(found[1])


def figures(result: dict) -> list[Figure]:
    found = []
    for name, ways in result.items():
        ratio = min(ways["first"]) / min(ways["cp"])
        found.append(Figure(f"inputs of a container, {name}, the first time, against cp", ratio, f"{ratio:.2f}"))
        again = statistics.median(ways["again"])
        found.append(Figure(f"inputs of a container, {name}, again (median)", again, f"{again:.0f} ms"))
    return found


def details(result: dict) -> list[str]:
    rows = [[name, *(f"{min(taken):,.0f} ms" for taken in ways.values())] for name, ways in result.items()]
    return table(["least of the rounds", "cp", "ready the first time", "again"], rows)


def charts(_result: dict) -> dict:
    return {}
