"""Where load can be sent, and whose work that is."""
import dataclasses
import http.client
import pathlib
import socket
import ssl

from .accounting import cpu_ns

ONE_KIBIBYTE = b"x" * 1024


@dataclasses.dataclass(frozen=True)
class Target:
    """One way to an upstream: none, through one proxy, or through two."""

    name: str
    port: int
    host: str = "localhost"
    # Further fields of each request, as `Name: value`.
    headers: tuple[str, ...] = ()
    # Whose CPU time and memory count, from the client inwards; empty for the direct way.
    proxies: tuple[int, ...] = ()
    upstreams: tuple[int, ...] = ()
    # The authority of its certificate, where clients speak TLS to it.
    ca: pathlib.Path | None = None

    @property
    def scheme(self) -> str:
        return "https" if self.ca else "http"

    def cpu_ns(self) -> list[int]:
        return [cpu_ns(pid) for pid in self.proxies]

    def upstream_cpu_ns(self) -> int:
        return sum(map(cpu_ns, self.upstreams))

    def get(self, path: str, host: str | None = None) -> bytes:
        """The body of one answer, which must be 200."""
        if self.ca:
            context = ssl.create_default_context(cafile=str(self.ca))
            context.check_hostname = False  # we connect by address
            connection = http.client.HTTPSConnection("127.0.0.1", self.port, timeout=30, context=context)
        else:
            connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        try:
            headers = dict(line.split(": ", 1) for line in self.headers)
            connection.request("GET", path, headers={"Host": host or self.host, **headers})
            reply = connection.getresponse()
            body = reply.read()
        finally:
            connection.close()
        if reply.status != 200:
            raise ConnectionError(f"{self.name}: GET {path} gave {reply.status}: {body[:200]!r}")
        return body

    def check(self) -> None:
        """What comes through is what the upstream sent."""
        if self.get("/1k") != ONE_KIBIBYTE:
            raise ConnectionError(f"{self.name}: the reply is not what the upstream sends")

    def cipher(self) -> tuple[str, str]:
        """The TLS version and cipher suite that a client like wrk gets."""
        context = ssl.create_default_context(cafile=str(self.ca))
        context.check_hostname = False
        with socket.create_connection(("127.0.0.1", self.port), 10) as plain:
            with context.wrap_socket(plain, server_hostname="localhost") as secured:
                name, version, _bits = secured.cipher()
                return version, name
