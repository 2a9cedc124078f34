#!/usr/bin/env python3
"""Measures Wharf on this machine and writes docs/benchmarks.md. Run by `cargo xtask bench`.

    bench/run.py [start] [first-byte] [proxy] [memory]      all of them where none is named

Every proxy figure is a ratio within this run: wharf, nginx and no proxy at all are up at once, each
round asks all of them for a second in shuffled order, and the score is the ratio of the smallest
CPU times per request, because noise only ever adds. CPU time is that of the proxy's processes alone,
from the kernel's scheduler; the load generator and the upstream are not counted.
"""
import http.client
import json
import os
import pathlib
import random
import re
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
WHARF = os.environ.get("WHARF_TEST_BIN") or str(ROOT / "target/release/wharf")
IMAGES = pathlib.Path(os.environ.get("WHARF_TEST_IMAGES") or ROOT / "target/test-images")
NGINX = shutil.which("nginx") or "/usr/sbin/nginx"
ROUNDS = {1: 12, 64: 8}


def wait_for(what, look, seconds=30, pause=0.002):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        found = look()
        if found:
            return found
        time.sleep(pause)
    raise SystemExit(f"bench: waited {seconds} s in vain for {what}")


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Wharf:
    """A Wharf with data of its own on a free port."""

    started = []

    def __init__(self, home):
        Wharf.started.append(self)
        self.data = home / "data"
        self.ready = home / "ready.json"
        self.ready.unlink(missing_ok=True)
        self.log = open(home / "log", "ab")
        self.environment = {"PATH": os.environ["PATH"], "HOME": str(home), "WHARF_DATA": str(self.data),
                            # nginx writes no access log here either.
                            "WHARF_LOG": "info,wharf::access=off"}
        begin = time.monotonic()
        self.process = subprocess.Popen(
            [WHARF, "up", "--data", self.data, "--listen", "127.0.0.1:0",
             "--ready-file", self.ready], env=self.environment, stdout=self.log, stderr=self.log)
        self.port = wait_for("wharf up to say its port", self.said)["port"]
        wait_for("wharf up to serve", self.answers)
        self.seconds_to_serving = time.monotonic() - begin
        self.token = json.loads((self.data / "credentials.json").read_text())["token"]

    def said(self):
        if self.process.poll() is not None:
            raise SystemExit("bench: wharf up ended; its log is " + self.log.name)
        try:
            return json.loads(self.ready.read_text())
        except (OSError, ValueError):
            return None

    def answers(self):
        try:
            connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=5)
            connection.request("GET", "/wharf/v1/healthz")
            return connection.getresponse().status == 200
        except OSError:
            return False

    def api(self, method, path, body=None):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        connection.request(method, path, body and json.dumps(body), {
            "Host": f"localhost:{self.port}", "Content-Type": "application/json",
            "Authorization": "Bearer " + self.token})
        reply = connection.getresponse()
        text = reply.read()
        assert reply.status == 200, (method, path, reply.status, text)
        return json.loads(text)

    def image(self, name):
        subprocess.run([WHARF, "image", "import", IMAGES / name], env=self.environment, check=True,
                       stdout=self.log, stderr=self.log)

    def submit(self, image, command, port):
        record = self.api("POST", "/arvados/v1/container_requests", {"container_request": {
            "name": "bench", "state": "Committed", "priority": 500, "service": True, "cwd": "/",
            "container_image": image, "command": command, "output_path": "/out",
            "mounts": {"/out": {"kind": "tmp", "capacity": 1024}},
            "runtime_constraints": {"vcpus": 1, "ram": 134217728},
            "published_ports": {str(port): {"access": "private", "label": "bench"}}}})
        return record["uuid"], record["container_uuid"]

    def host(self, uuid, port):
        return f"{uuid}-{port}.containers.localhost:{self.port}"

    def first_byte(self, uuid, port):
        """Asks until the app answers, at once again after each 503."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        headers = {"Host": self.host(uuid, port), "Authorization": "Bearer " + self.token}

        def ask():
            connection.request("GET", "/", headers=headers)
            reply = connection.getresponse()
            reply.read()
            return reply.status == 200

        wait_for("the first byte", ask, pause=0.001)

    def supervisor(self, container):
        return int((self.data / "containers" / container / "pid").read_text().split()[0])

    def cancel(self, uuid, container):
        self.api("PUT", f"/arvados/v1/container_requests/{uuid}", {"container_request": {"priority": 0}})
        wait_for("the container to end", lambda: self.api(
            "GET", f"/arvados/v1/containers/{container}")["state"] in ("Complete", "Cancelled"), pause=0.05)
        folder = self.data / "containers" / container
        wait_for("its leftovers to go", lambda: not (folder / "secret").exists(), pause=0.05)

    def kill(self):
        """Leaves nothing running after a measurement that broke off."""
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        for file in self.data.glob("containers/*/pid"):
            pid = file.read_text().split()[0]
            line = pathlib.Path(f"/proc/{pid}/cmdline")
            if line.exists() and str(self.data) in line.read_text():
                os.kill(int(pid), signal.SIGKILL)

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(30)
        self.log.close()


def cpu_seconds(pid):
    """User and system time of a process with all threads that it ever had."""
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def memory_kib(pid):
    text = pathlib.Path(f"/proc/{pid}/smaps_rollup").read_text()
    kib = {key: int(value) for key, value in re.findall(r"^(\w+):\s+(\d+) kB", text, re.M)}
    return {"RSS": kib["Rss"], "PSS": kib["Pss"], "own": kib["Private_Clean"] + kib["Private_Dirty"]}


def measure_start(home):
    """`wharf up` to its first 200: on an empty folder (keys and database are made) and again."""
    first, again = [], []
    for number in range(5):
        folder = home / f"start-{number}"
        folder.mkdir()
        for times in (first, again):
            wharf = Wharf(folder)
            times.append(wharf.seconds_to_serving * 1000)
            wharf.stop()
    return {"first start": first, "later start": again}


def measure_first_byte(home):
    wharf = Wharf(home)
    wharf.image("busybox.docker.tar")
    times = []
    try:
        for _ in range(12):
            begin = time.monotonic()
            uuid, container = wharf.submit("busybox", [], 8080)
            wharf.first_byte(uuid, 8080)
            times.append((time.monotonic() - begin) * 1000)
            wharf.cancel(uuid, container)
    finally:
        wharf.stop()
    return times


def start_nginx(home, port, upstream):
    """A static server, or a proxy in front of one with upstream keep-alive."""
    folder = home / f"nginx-{port}"
    (folder / "www").mkdir(parents=True)
    (folder / "www/1k").write_bytes(b"x" * 1024)
    serve = f"location / {{ root {folder}/www; }}"
    extra = ""
    if upstream:
        extra = f"upstream u {{ server 127.0.0.1:{upstream}; keepalive 256; keepalive_requests 1000000000; }}"
        serve = ("location / { proxy_pass http://u; proxy_http_version 1.1; proxy_set_header Connection '';"
                 " proxy_set_header Host $host; proxy_set_header X-Forwarded-For $remote_addr;"
                 " proxy_set_header X-Forwarded-Proto $scheme; }")
    temporary = " ".join(f"{kind}_temp_path {folder}/{kind};" for kind in
                         ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
    (folder / "nginx.conf").write_text(
        f"daemon off; master_process off; pid {folder}/pid; error_log {folder}/error warn;"
        "events { worker_connections 4096; }"
        f"http {{ access_log off; keepalive_requests 1000000000; {temporary} {extra}"
        f" server {{ listen 127.0.0.1:{port} backlog=4096; {serve} }} }}")
    process = subprocess.Popen([NGINX, "-c", folder / "nginx.conf"], stderr=subprocess.DEVNULL)

    def answers():
        try:
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
            connection.request("GET", "/1k")
            return len(connection.getresponse().read()) == 1024
        except OSError:
            return False

    wait_for("nginx to serve", answers)
    return process


def load(port, connections, headers):
    """One second of wrk: requests, requests that failed, p50 in ms."""
    words = ["wrk", "-t1", f"-c{connections}", "-d1s", "--latency", f"http://127.0.0.1:{port}/1k"]
    for line in headers:
        words += ["-H", line]
    text = subprocess.run(words, capture_output=True, text=True, check=True).stdout
    failed = re.search(r"Non-2xx or 3xx responses: (\d+)", text)
    p50 = re.search(r"50%\s+([\d.]+)(us|ms|s)", text)
    scale = {"us": 0.001, "ms": 1, "s": 1000}[p50.group(2)]
    return (int(re.search(r"(\d+) requests in", text).group(1)),
            int(failed.group(1)) if failed else 0, float(p50.group(1)) * scale)


def measure_proxy(home):
    subprocess.run([ROOT / "bench/upstream-image.sh", IMAGES], check=True, stdout=subprocess.DEVNULL)
    wharf = Wharf(home)
    wharf.image("bench-upstream.docker.tar")
    uuid, container = wharf.submit("bench-upstream", [], 8080)
    started = []
    try:
        wait_for("the upstream in the container", lambda: wharf.api(
            "GET", f"/arvados/v1/containers/{container}")["published_ports"]["8080"].get("ready"), pause=0.05)
        direct, hop = free_port(), free_port()
        started.append(start_nginx(home, direct, None))
        started.append(start_nginx(home, hop, direct))
        supervisor = wharf.supervisor(container)
        # The container's own processes are children of the shim; only ours count.
        ours = [wharf.process.pid, supervisor]
        targets = {
            "direct": (direct, [], []),
            "nginx": (hop, [], [started[1].pid]),
            "wharf": (wharf.port, [f"Host: {wharf.host(uuid, 8080)}", "Authorization: Bearer " + wharf.token], ours),
        }
        results = {}
        for connections, rounds in ROUNDS.items():
            samples = {name: [] for name in targets}
            for port, headers, _ in targets.values():
                load(port, connections, headers)
            for _ in range(rounds):
                for name in random.sample(list(targets), len(targets)):
                    port, headers, pids = targets[name]
                    before = [cpu_seconds(pid) for pid in pids]
                    n_requests, failed, p50 = load(port, connections, headers)
                    assert failed == 0, f"{name}: {failed} of {n_requests} requests failed"
                    used = [(cpu_seconds(pid) - was) / n_requests * 1e6 for pid, was in zip(pids, before)]
                    samples[name].append((n_requests, used, p50))
            results[connections] = samples
        return results
    finally:
        for process in started:
            process.terminate()
            process.wait()
        wharf.cancel(uuid, container)
        wharf.stop()


def measure_memory(home):
    wharf = Wharf(home)
    wharf.image("busybox.docker.tar")
    uuid, container = wharf.submit("busybox", [], 8080)
    try:
        wharf.first_byte(uuid, 8080)
        time.sleep(5)  # idle: that is what is measured
        return {"controller": memory_kib(wharf.process.pid),
                "supervisor": memory_kib(wharf.supervisor(container))}
    finally:
        wharf.cancel(uuid, container)
        wharf.stop()


def spread(values):
    return f"{min(values):.0f} / {statistics.median(values):.0f} / {max(values):.0f}"


def version(*command):
    output = subprocess.run(command, capture_output=True, text=True)
    lines = (output.stdout + output.stderr).strip().splitlines()
    return lines[0] if lines else "?"


def report(results):
    cpu = re.search(r"model name\s*: (.*)", pathlib.Path("/proc/cpuinfo").read_text())
    commit = version("git", "-C", str(ROOT), "rev-parse", "--short", "HEAD")
    lines = [
        "# Benchmarks", "",
        "Made by `cargo xtask bench` (bench/run.py says how it measures); not edited by hand. Absolute figures",
        "drift with the machine and its neighbours: read the ratios, which are taken within one run.", "",
        f"{time.strftime('%Y-%m-%d %H:%M UTC', time.gmtime())}, commit {commit}, release build; {os.cpu_count()} cores "
        f"({cpu.group(1) if cpu else 'unknown'}), Linux {os.uname().release}; {version(NGINX, '-v')}; "
        f"load average {os.getloadavg()[0]:.1f}.", ""]
    lines += ["| what | figure | goal |", "| --- | --- | --- |"]
    if "start" in results:
        start = results["start"]
        lines.append(f"| `wharf up` to its first answer, new data folder (min / median / max) | {spread(start['first start'])} ms | 300 ms |")
        lines.append(f"| the same, existing data folder | {spread(start['later start'])} ms | 300 ms |")
    if "first-byte" in results:
        lines.append(f"| container: accepted request to first served byte (busybox httpd, image present) | {spread(results['first-byte'])} ms | 60 ms |")
    for connections, samples in results.get("proxy", {}).items():
        nginx = [sum(used) for _, used, _ in samples["nginx"]]
        ours = [sum(used) for _, used, _ in samples["wharf"]]
        median = statistics.median(a / b for a, b in zip(ours, nginx))
        goal = "1.6" if connections == 64 else ""
        lines.append(f"| CPU per request against one nginx `proxy_pass`, {connections} connection{'s' * (connections > 1)}, 1 KiB | "
                     f"**{min(ours) / min(nginx):.2f}** (median of rounds {median:.2f}) | {goal} |")
    for who, goal in (("controller", "40 MiB"), ("supervisor", "10 MiB")):
        if "memory" in results:
            memory = results["memory"][who]
            shown = ", ".join(f"{name} {kib / 1024:.1f} MiB" for name, kib in memory.items())
            lines.append(f"| memory of an idle {who} (RSS counts the pages of the executable, which all our processes share; own: private pages) | {shown} | {goal} |")
    if "proxy" in results:
        lines += ["", "Proxy in detail: the smallest CPU time per request of the proxy's processes (for Wharf: controller and",
                  "supervisor), the median rate and the median of the p50 latencies over all rounds.", "",
                  "| connections | target | CPU per request | requests/s | p50 |", "| --- | --- | --- | --- | --- |"]
        for connections, samples in results["proxy"].items():
            for name, rows in samples.items():
                least = min((used for _, used, _ in rows), key=sum)
                cpu = " + ".join(f"{part:.1f}" for part in least) + " µs" if least else ""
                rate = statistics.median(n for n, _, _ in rows)
                lines.append(f"| {connections} | {name} | {cpu} | {rate:.0f} | {statistics.median(p for _, _, p in rows):.2f} ms |")
    return "\n".join(lines) + "\n"


def main():
    parts = {"start": measure_start, "first-byte": measure_first_byte, "proxy": measure_proxy,
             "memory": measure_memory}
    names = sys.argv[1:] or list(parts)
    if unknown := set(names) - set(parts):
        raise SystemExit(f"bench: unknown part {', '.join(unknown)}; there are {', '.join(parts)}")
    results = {}
    for name in names:
        print(f"bench: {name}", flush=True)
        with tempfile.TemporaryDirectory(prefix="wharf-bench-", ignore_cleanup_errors=True) as home:
            try:
                results[name] = parts[name](pathlib.Path(home))
            finally:
                for wharf in Wharf.started:
                    wharf.kill()
    text = report(results)
    print(text)
    if not sys.argv[1:]:
        (ROOT / "docs").mkdir(exist_ok=True)
        (ROOT / "docs/benchmarks.md").write_text(text)


main()
