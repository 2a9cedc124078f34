"""A whole Wharf with data of its own, and services in it."""
import http.client
import json
import os
import pathlib
import signal
import subprocess
import time

from . import places
from .accounting import descendants
from .processes import end, wait_for
from .target import Target

GIB = 1 << 30
PORT = 8080
# No limit of ours is to be what is measured.
MANY = 1_000_000
LIMITS = {
    "API": {"RequestsPerSecond": 0},
    "Proxy": {
        "MaxConnections": 100_000, "MaxConnectionsPerAddress": MANY, "MaxHandshakes": MANY, "ConnectionsPerSecond": 0,
        # Never reached, and counted all the same.
        "RequestsPerSecondPerService": MANY, "RequestsPerSecondPerUser": MANY, "RequestsPerSecondPerAddress": MANY,
        "MaxOpenPerService": MANY, "MaxOpenPerUser": MANY, "MaxOpenPerAddress": MANY,
        "ResetsPerSecond": 0, "ControlFramesPerSecond": 0, "StallTimeout": "1h",
    },
}


class Wharf:
    """One `wharf up` on a free port, with a config file written here."""

    def __init__(self, home: pathlib.Path, config: dict | None = None):
        home.mkdir(exist_ok=True)
        self.home, self.data = home, home / "data"
        self.config = home / "config.yaml"
        # JSON is YAML.
        self.config.write_text(json.dumps(
            {section: {**LIMITS.get(section, {}), **(config or {}).get(section, {})} for section in {*LIMITS, *(config or {})}}))
        # nginx writes no access log here either.
        self.environment = {"PATH": os.environ["PATH"], "HOME": str(home), "WHARF_DATA": str(self.data),
                            "WHARF_LOG": "info,wharf::access=off"}
        self.start()

    def start(self) -> None:
        """Starts it, and waits until it answers."""
        ready = self.home / "ready.json"
        ready.unlink(missing_ok=True)
        begin = time.monotonic()
        with (self.home / "log").open("ab") as log:
            self.process = subprocess.Popen(
                [places.WHARF, "up", "--config", self.config, "--data", self.data, "--listen", "127.0.0.1:0",
                 "--ready-file", ready], env=self.environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log)

        def said() -> dict | None:
            if self.process.poll() is not None:
                raise ChildProcessError("wharf up ended: " + (self.home / "log").read_text()[-2000:])
            try:
                return json.loads(ready.read_text())
            except (OSError, ValueError):
                return None

        try:
            self.port = wait_for("wharf up to say its port", said)["port"]
            wait_for("wharf up to serve", self.answers)
        except BaseException:
            end(self.process)
            raise
        self.seconds_to_serving = time.monotonic() - begin
        self.token = json.loads((self.data / "credentials.json").read_text())["token"]

    @property
    def pid(self) -> int:
        return self.process.pid

    @property
    def ca(self) -> pathlib.Path:
        return self.data / "ca.pem"

    def answers(self) -> bool:
        try:
            connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=5)
            connection.request("GET", "/wharf/v1/healthz")
            return connection.getresponse().status == 200
        except OSError:
            return False

    def api(self, method: str, path: str, body: dict | None = None) -> dict:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        connection.request(method, path, body and json.dumps(body), {
            "Host": f"localhost:{self.port}", "Content-Type": "application/json",
            "Authorization": "Bearer " + self.token})
        reply = connection.getresponse()
        text = reply.read()
        if reply.status != 200:
            raise ConnectionError(f"{method} {path} gave {reply.status}: {text[:500]!r}")
        return json.loads(text)

    def import_image(self, name: str) -> None:
        done = subprocess.run([places.WHARF, "image", "import", places.IMAGES / f"{name}.docker.tar"],
                              env=self.environment, capture_output=True, text=True)
        if done.returncode != 0:
            raise ChildProcessError(f"wharf image import {name}: {done.stderr}")

    def submit(self, image: str, ram: int = GIB) -> "Service":
        """A service that listens on port 8080; not ready yet."""
        record = self.api("POST", "/arvados/v1/container_requests", {"container_request": {
            "name": "bench", "state": "Committed", "priority": 500, "service": True, "cwd": "/",
            "container_image": image, "command": [], "output_path": "/out",
            "mounts": {"/out": {"kind": "tmp", "capacity": 1024}},
            # All cores, so that the app is never held back by its quota.
            "runtime_constraints": {"vcpus": os.cpu_count(), "ram": ram},
            "published_ports": {str(PORT): {"access": "private", "label": "bench"}}}})
        return Service(self, record["uuid"], record["container_uuid"])

    def cancel(self, services: list["Service"]) -> None:
        """Ends containers and waits until nothing of them is left."""
        for service in services:
            self.api("PUT", f"/arvados/v1/container_requests/{service.request}", {"container_request": {"priority": 0}})
        for service in services:
            wait_for("a container to end", lambda: service.record()["state"] in ("Complete", "Cancelled"),
                     seconds=120, pause=0.02)
            wait_for("its leftovers to go", lambda: not (service.folder / "secret").exists(), seconds=120, pause=0.02)

    def wait_until_over(self, container: str) -> None:
        """Waits until a container that ends by itself has ended."""
        wait_for("a container to end", lambda: self.api("GET", f"/arvados/v1/containers/{container}")["state"] == "Complete",
                 seconds=120, pause=0.02)

    def stop(self) -> None:
        """Stops the controller; supervisors and containers go on."""
        end(self.process)

    def close(self) -> None:
        """Leaves nothing running, whatever state things are in."""
        self.stop()
        for file in self.data.glob("containers/*/pid"):
            pid = file.read_text().split()[0]
            line = pathlib.Path(f"/proc/{pid}/cmdline")
            if line.exists() and str(self.data) in line.read_text():
                os.kill(int(pid), signal.SIGKILL)


class Service:
    """A container request with its container."""

    def __init__(self, wharf: Wharf, request: str, container: str):
        self.wharf, self.request, self.container = wharf, request, container

    @property
    def host(self) -> str:
        return f"{self.request}-{PORT}.containers.localhost:{self.wharf.port}"

    def wait_until_ready(self) -> "Service":
        wait_for("the app in the container", lambda: self.record()["published_ports"][str(PORT)].get("ready"),
                 seconds=120, pause=0.02)
        return self

    def record(self) -> dict:
        return self.wharf.api("GET", f"/arvados/v1/containers/{self.container}")

    @property
    def folder(self) -> pathlib.Path:
        return self.wharf.data / "containers" / self.container

    @property
    def supervisor(self) -> int:
        return int((self.folder / "pid").read_text().split()[0])

    def target(self, name: str, *, tls: bool = False, token: str | None = None, family: dict | None = None) -> Target:
        """The way to the app. Controller and supervisor are ours; the container's own processes are not."""
        return Target(
            name, self.wharf.port, self.host, (f"Authorization: Bearer {token or self.wharf.token}",),
            proxies=(self.wharf.pid, self.supervisor), upstreams=tuple(descendants(self.supervisor, family)),
            ca=self.wharf.ca if tls else None)

    def first_byte(self) -> None:
        """Asks until the app answers, at once again after each refusal."""
        connection = http.client.HTTPConnection("127.0.0.1", self.wharf.port, timeout=30)
        headers = {"Host": self.host, "Authorization": "Bearer " + self.wharf.token}

        def ask() -> bool:
            connection.request("GET", "/", headers=headers)
            reply = connection.getresponse()
            reply.read()
            return reply.status == 200

        wait_for("the first byte", ask, pause=0.001)
