"""Sending load: wrk, h2load, and our own load generator for what those cannot do."""
import contextlib
import dataclasses
import json
import os
import pathlib
import re
import subprocess
import time
from typing import Iterator

from . import places
from .target import ONE_KIBIBYTE, Target


@dataclasses.dataclass(frozen=True)
class Load:
    """What was done in one go."""

    # Requests, messages or bytes.
    n: int
    seconds: float
    # CPU time of the load generator.
    client_ns: int
    p50_us: float | None = None
    p99_us: float | None = None


def run(words: list[object], environment: dict[str, str] | None = None) -> tuple[str, float, int]:
    """Runs a load generator to its end: output, seconds, CPU time in nanoseconds."""
    words = [str(word) for word in words]
    begin = time.monotonic()
    process = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                               env={**os.environ, **(environment or {})})
    with process.stdout:
        output = process.stdout.read()
    _pid, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode != 0:
        raise ChildProcessError(f"{words[0]} failed: {output[-2000:]}")
    return output, time.monotonic() - begin, int((usage.ru_utime + usage.ru_stime) * 1e9)


def wrk(target: Target, connections: int, seconds: int = 1, hosts: pathlib.Path | None = None) -> Load:
    """Requests for 1 KiB over HTTP/1.1 with keep-alive, one at a time on each connection."""
    words = ["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "-s", places.WRK_SCRIPT, "-H", f"Host: {target.host}"]
    for line in target.headers:
        words += ["-H", line]
    words.append(f"{target.scheme}://127.0.0.1:{target.port}/1k")
    output, took, client_ns = run(words, {"HOSTS": str(hosts)} if hosts else None)
    result = json.loads(output.strip().rsplit("\n", 1)[1])
    n = result["requests"]
    if result["not_200"] or result["broken"] or not n or result["bytes"] < n * len(ONE_KIBIBYTE):
        raise ConnectionError(f"{target.name}: requests failed: {result}")
    return Load(n, took, client_ns, result["p50_us"], result["p99_us"])


def posts(url: str, token: str, body: dict, connections: int, seconds: int) -> Load:
    """The same JSON sent again and again, one at a time on each connection."""
    words = ["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "-s", places.WRK_SCRIPT, "-H", f"Authorization: Bearer {token}", url]
    output, took, client_ns = run(words, {"BODY": json.dumps(body)})
    result = json.loads(output.strip().rsplit("\n", 1)[1])
    if result["not_200"] or result["broken"] or not result["requests"]:
        raise ConnectionError(f"{url}: requests failed: {result}")
    return Load(result["requests"], took, client_ns, result["p50_us"], result["p99_us"])


def h2load(target: Target, connections: int, streams: int, seconds: int = 1) -> Load:
    """Requests for 1 KiB over HTTP/2, `streams` at a time on each connection."""
    words = ["h2load", f"-c{connections}", f"-m{streams}", f"-D{seconds}",
             f"--connect-to=127.0.0.1:{target.port}"]
    for line in target.headers:
        words += ["-H", line]
    host = target.host.split(":")[0]
    words.append(f"https://{host}:{target.port}/1k")
    output, took, client_ns = run(words)
    counts = re.search(r"requests: .* (\d+) succeeded, (\d+) failed, (\d+) errored", output)
    data = re.search(r"traffic: .*\((\d+)\) data", output)
    if not counts or not data:
        raise ConnectionError(f"{target.name}: h2load said {output[-2000:]}")
    n, failed, errored = map(int, counts.groups())
    if failed or errored or not n or int(data.group(1)) < n * len(ONE_KIBIBYTE):
        raise ConnectionError(f"{target.name}: requests failed: {output[-2000:]}")
    return Load(n, took, client_ns)


def loadgen(target: Target, verb: str, *words: object) -> tuple[dict, Load]:
    """One verb of our own load generator to its end: its figures, and what they were taken over."""
    output, took, client_ns = run([places.LOADGEN, verb, *where(target), *words])
    result = json.loads(output)
    n = result.get("messages") or result.get("events") or result.get("bytes")
    if not n:
        raise ConnectionError(f"{target.name}: nothing came through: {result}")
    return result, Load(n, took, client_ns, result.get("p50_us"), result.get("p99_us"))


def where(target: Target) -> list[object]:
    words: list[object] = ["--address", f"127.0.0.1:{target.port}", "--host", target.host]
    for line in target.headers:
        words += ["--header", line]
    return words + (["--ca", target.ca] if target.ca else [])


class Held:
    """Sockets that a load generator has open."""

    def __init__(self, process: subprocess.Popen):
        self.process = process
        self.n_open = self.read()["open"]

    def read(self) -> dict:
        line = self.process.stdout.readline()
        if not line:
            raise ChildProcessError("loadgen ended; its output says why")
        return json.loads(line)

    def tell(self, order: str) -> None:
        self.process.stdin.write(order + "\n")
        self.process.stdin.flush()

    def check(self) -> None:
        """Sends a message over every WebSocket and waits for its echo."""
        self.tell("check")
        alive = self.read()["alive"]
        if alive != self.n_open:
            raise ConnectionError(f"{alive} of {self.n_open} WebSockets are alive")


@contextlib.contextmanager
def held(target: Target, sort: str, sockets: int, *words: object) -> Iterator[Held]:
    """`sockets` sockets of a sort, open until the end of the block."""
    command = [places.LOADGEN, "hold", *where(target), sort, "--sockets", sockets, *words]
    process = subprocess.Popen([str(word) for word in command], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        yield Held(process)
    finally:
        process.stdin.close()
        try:
            process.wait(60)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        process.stdout.close()
