"""An HTTP/1.1 client that sends the bytes it is given and hides nothing of what comes back."""
import socket


class Answer:
    """Status line, headers in order, body without its framing, trailers."""

    def __init__(self, status, reason, headers, body, trailers, interim):
        self.status, self.reason, self.headers = status, reason, headers
        self.body, self.trailers, self.interim = body, trailers, interim

    def headers_lower(self):
        return [(name.lower(), value) for name, value in self.headers]


class Connection:
    """Keeps its socket from request to request as long as the server does."""

    def __init__(self, connect, bound=30):
        self.connect, self.bound = connect, bound
        self.socket = self.file = None
        self.ends_with_answer = False

    def close(self):
        if self.socket:
            self.file.close()
            self.socket.close()
            self.socket = None

    def ask(self, request, later=None):
        """Sends `request`; `later` follows once the server says 100 Continue, and never where it does not."""
        for last in (False, True):
            fresh = self.socket is None
            if fresh:
                self.socket = self.connect()
                self.socket.settimeout(self.bound)
                self.file = self.socket.makefile("rb")
            try:
                self.socket.sendall(request)
                answer = self._read(request.startswith(b"HEAD "), later)
            except (ConnectionError, EOFError):
                # A kept connection may have been closed meanwhile.
                self.close()
                if fresh or last:
                    raise
                continue
            if self.ends_with_answer or asks_to_close(request):
                self.close()
            return answer
        raise AssertionError("not reached")

    def _read(self, is_head, later):
        interim, is_owed = [], later is not None
        while True:
            version, status, reason = self._line().split(" ", 2)
            status = int(status)
            headers = self._headers()
            if not 100 <= status < 200 or status == 101:
                break
            interim.append(status)
            if status == 100 and is_owed:
                self.socket.sendall(later)
                is_owed = False
        get = dict((name.lower(), value) for name, value in headers).get
        has_body = not is_head and status not in (101, 204, 304)
        is_chunked = get("transfer-encoding", "").lower() == "chunked"
        has_end = not has_body or is_chunked or get("content-length") is not None
        # Who was not asked for the body has not sent it: nothing can follow.
        self.ends_with_answer = is_owed or not has_end or version == "HTTP/1.0" or get("connection", "").lower() == "close"
        body, trailers = b"", []
        if has_body and is_chunked:
            while size := int(self._line().split(";")[0], 16):
                body += self._exactly(size)
                self._line()
            trailers = self._headers()
        elif has_body:
            body = self._exactly(int(get("content-length"))) if has_end else self.file.read()
        return Answer(status, reason, headers, body, trailers, interim)

    def _line(self):
        line = self.file.readline(1 << 20)
        if not line.endswith(b"\r\n"):
            raise EOFError(f"cut off in {line!r}")
        return line[:-2].decode("latin-1")

    def _headers(self):
        lines = []
        while line := self._line():
            name, value = line.split(":", 1)
            lines.append((name, value.strip()))
        return lines

    def _exactly(self, size):
        body = self.file.read(size)
        if len(body) != size:
            raise EOFError(f"{len(body)} of {size} bytes")
        return body


def asks_to_close(request):
    head = request.split(b"\r\n\r\n")[0].lower() + b"\r\n"
    return b" http/1.0\r\n" in head or b"\r\nconnection: close\r\n" in head


def tcp(port):
    """Connects to a port of this machine."""
    def connect():
        made = socket.create_connection(("127.0.0.1", port))
        made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return made
    return connect


def unix(path):
    """Connects to a Unix socket."""
    def connect():
        made = socket.socket(socket.AF_UNIX)
        made.connect(path)
        return made
    return connect
