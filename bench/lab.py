"""What is up during one measurement: upstream, references, Wharfs. All of it goes at the end."""
import contextlib
import pathlib
import tempfile

from . import places, references
from .processes import end, free_port, start_server
from .target import Target
from .wharf import GIB, Service, Wharf

# As between machines: TLS over TCP.
TUNNEL = {"Proxy": {"DirectSockets": False}, "Tunnels": {"Listen": "127.0.0.1:0"}}


class Lab:
    """Servers by demand, each at most once; a context that leaves nothing running."""

    def __init__(self) -> None:
        self.cleanup = contextlib.ExitStack()
        self.n_folders = 0
        self._upstream: Target | None = None
        self._certificate: tuple[pathlib.Path, pathlib.Path] | None = None

    def __enter__(self) -> "Lab":
        folder = tempfile.TemporaryDirectory(prefix="wharf-bench-", ignore_cleanup_errors=True)
        self.home = pathlib.Path(self.cleanup.enter_context(folder))
        return self

    def __exit__(self, *_error) -> None:
        self.cleanup.close()

    def folder(self, name: str) -> pathlib.Path:
        self.n_folders += 1
        return self.home / f"{self.n_folders}-{name}"

    def keep(self, process):
        """Ends a process with the lab."""
        self.cleanup.callback(end, process)
        return process

    # --- no proxy of ours

    def direct(self) -> Target:
        """The upstream of all references, without a proxy."""
        if not self._upstream:
            port = free_port()
            process = self.keep(start_server([places.UPSTREAM, f"127.0.0.1:{port}"], port, self.folder("upstream")))
            self._upstream = Target("direct", port, upstreams=(process.pid,))
        return self._upstream

    def certificate(self) -> tuple[pathlib.Path, pathlib.Path]:
        if not self._certificate:
            folder = self.folder("certificate")
            folder.mkdir()
            self._certificate = references.certificate(folder)
        return self._certificate

    def _nginx(self, upstream: int, *, tls: bool = False, upstream_tls: bool = False) -> tuple[int, int]:
        """Port and process of one nginx."""
        port = free_port()
        process = references.nginx(self.folder("nginx"), port, upstream, tls=self.certificate() if tls else None,
                                   upstream_tls=upstream_tls)
        return port, self.keep(process).pid

    def nginx(self) -> Target:
        port, pid = self._nginx(self.direct().port)
        return Target("nginx", port, proxies=(pid,), upstreams=self.direct().upstreams)

    def nginx_tls(self) -> Target:
        """TLS from the client to nginx, plain from there."""
        port, pid = self._nginx(self.direct().port, tls=True)
        return Target("nginx", port, proxies=(pid,), upstreams=self.direct().upstreams, ca=self.certificate()[0])

    def two_nginx(self, *, tls_between: bool = False) -> Target:
        """One nginx behind another: what a gateway and a node of other systems amount to."""
        inner_port, inner = self._nginx(self.direct().port, tls=tls_between)
        port, outer = self._nginx(inner_port, upstream_tls=tls_between)
        name = "two nginx, TLS between" if tls_between else "two nginx"
        return Target(name, port, proxies=(outer, inner), upstreams=self.direct().upstreams)

    def haproxy(self) -> Target:
        port = free_port()
        process = self.keep(references.haproxy(self.folder("haproxy"), port, self.direct().port))
        return Target("haproxy", port, proxies=(process.pid,), upstreams=self.direct().upstreams)

    def http_proxy(self) -> Target:
        port = free_port()
        process = self.keep(references.http_proxy(self.folder("http-proxy"), port, free_port(), self.direct().port))
        return Target("configurable-http-proxy", port, proxies=(process.pid,), upstreams=self.direct().upstreams)

    # --- ours

    def wharf(self, config: dict | None = None) -> Wharf:
        """A Wharf without any service."""
        folder = self.folder("wharf")
        wharf = Wharf(folder, config)
        self.cleanup.callback(wharf.close)
        return wharf

    def service(self, config: dict | None = None) -> Service:
        """A Wharf with one service, the upstream in a container; the short way where nothing is said."""
        return self.services(config, 1)[0]

    def services(self, config: dict | None, n: int, ram: int = GIB) -> list[Service]:
        """A Wharf with so many services, all of them ready."""
        wharf = self.wharf(config)
        wharf.import_image("bench-upstream")
        services = [wharf.submit("bench-upstream", ram) for _service in range(n)]
        self.cleanup.callback(wharf.cancel, services)
        return [service.wait_until_ready() for service in services]

    def short_way(self, *, tls: bool = False) -> Target:
        """One hop: the supervisor hands over sockets that are connected inside the container."""
        return self.service().target("wharf, short way", tls=tls)

    def tunnel(self, *, tls: bool = False) -> Target:
        """Two hops: all traffic takes the supervisor's tunnel, as between machines."""
        return self.service(TUNNEL).target("wharf, tunnel", tls=tls)
