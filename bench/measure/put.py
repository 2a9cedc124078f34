"""Files into Keep: arv-put of 1 GiB beside hashing and copying the file alone.

Each round makes a file of random bytes. The reference is `md5sum`, then `cp`, then `fsync` of the copy, one after the other; then
Arvados's own arv-put brings the same file over TLS, and what it reports is on the disk. The third way is arv-put with a Keep service
that reads the blocks and keeps nothing, which is what the client takes by itself. The order changes from round to round.
"""
import os
import pathlib
import random
import resource
import subprocess
import time

from .. import places
from ..accounting import cpu_ns
from ..figure import Figure
from ..lab import Lab
from ..method import ratio_of
from ..processes import free_port, start_server
from ..tables import table
from ..wharf import GIB, Wharf

TITLE = "Files into Keep"
N_ROUNDS = 3
BAR = 1.3
MIB = 1 << 20


def measure(lab: Lab) -> dict:
    wharf = lab.wharf()
    file = lab.home / "file"
    null = null_keep(lab, wharf)
    ways = {"alone": lambda: alone(file), "arv-put": lambda: put(wharf, file), "arv-put, nothing kept": lambda: put(wharf, file, null)}
    taken: dict[str, list[dict]] = {name: [] for name in ways}
    for _round in range(N_ROUNDS):
        make(file)
        for name in random.sample(list(ways), len(ways)):
            server_ns = cpu_ns(wharf.pid)
            one = timed(ways[name])
            taken[name].append({**one, "server_cpu": (cpu_ns(wharf.pid) - server_ns) / 1e9})
    return taken


def make(file: pathlib.Path) -> None:
    with file.open("wb") as out:
        for _mib in range(GIB // MIB):
            out.write(os.urandom(MIB))
        os.fsync(out.fileno())


def alone(file: pathlib.Path) -> None:
    copy = file.with_name("copy")
    subprocess.run(["md5sum", file], check=True, stdout=subprocess.DEVNULL)
    subprocess.run(["cp", file, copy], check=True)
    with copy.open("rb") as copied:
        os.fsync(copied.fileno())
    copy.unlink()


def null_keep(lab: Lab, wharf: Wharf) -> dict[str, str]:
    """Starts a Keep service that keeps nothing; the environment that leads arv-put to it."""
    port, (certificate, key) = free_port(), lab.certificate()
    # Both are trusted: records are Wharf's.
    roots = lab.home / "roots.pem"
    roots.write_text(certificate.read_text() + wharf.ca.read_text())
    words = ["python3", "-m", "bench.null_keep", port, certificate, key]
    lab.keep(start_server(words, port, lab.home / "null_keep", {**os.environ, "PYTHONPATH": str(places.ROOT)}))
    return {"ARVADOS_KEEP_SERVICES": f"https://localhost:{port}/", "SSL_CERT_FILE": str(roots)}


def put(wharf: Wharf, file: pathlib.Path, over: dict[str, str] | None = None) -> None:
    environment = {**os.environ, "HOME": str(wharf.home), "ARVADOS_API_HOST": f"localhost:{wharf.port}",
                   "ARVADOS_API_TOKEN": wharf.token, "SSL_CERT_FILE": str(wharf.ca), **(over or {})}
    done = subprocess.run([places.CLIENTS / "bin/arv-put", "--no-progress", "--no-resume", "--silent", file],
                          env=environment, capture_output=True, text=True)
    if done.returncode != 0:
        raise ChildProcessError(f"arv-put: {done.stderr}")


def timed(work) -> dict:
    """Seconds that passed, and CPU time of the programs that were run."""
    begin, before = time.perf_counter(), resource.getrusage(resource.RUSAGE_CHILDREN)
    work()
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return {"seconds": time.perf_counter() - begin, "client_cpu": cpu}


def figures(result: dict) -> list[Figure]:
    score = ratio_of(*([one["seconds"] for one in result[name]] for name in ("arv-put", "alone")))
    text = f"{score['ratio']:.2f} ({score['median']:.2f})"
    own = ratio_of(*([one["seconds"] for one in result[name]] for name in ("arv-put", "arv-put, nothing kept")))
    return [
        Figure("time of arv-put of 1 GiB against hashing and copying it", score["ratio"], text, bar=BAR),
        Figure("time of arv-put of 1 GiB against a Keep service that keeps nothing", own["ratio"], f"{own['ratio']:.2f} ({own['median']:.2f})"),
    ]


def details(result: dict) -> list[str]:
    columns = ("seconds", "client_cpu", "server_cpu")
    rows = [[name, *(f"{min(one[column] for one in taken):.1f} s" for column in columns)] for name, taken in result.items()]
    return table(["least of the rounds", "time", "CPU time of the programs", "CPU time of the controller"], rows)


def charts(_result: dict) -> dict:
    return {}
