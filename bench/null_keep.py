"""`python3 -m bench.null_keep PORT CERTIFICATE KEY`: a Keep service that reads blocks and keeps nothing.

What a client takes against it, it takes by itself: no server can be faster. HTTP/1.1 over TLS, one thread for each connection.
"""
import http.server
import socketserver
import ssl
import sys

READ_BYTES = 1 << 20


class Null(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_PUT(self) -> None:
        rest = n_bytes = int(self.headers["Content-Length"])
        buffer = memoryview(bytearray(READ_BYTES))
        while rest:
            n = self.rfile.readinto(buffer[:min(rest, READ_BYTES)])
            if not n:
                return
            rest -= n
        answer = f"{self.path.strip('/')[:32]}+{n_bytes}\n".encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(answer)))
        self.send_header("X-Keep-Replicas-Stored", "2")
        self.send_header("X-Keep-Storage-Classes-Confirmed", "default=2")
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, *_words) -> None:
        """Nobody reads it."""


class Server(socketserver.ThreadingMixIn, http.server.HTTPServer):
    daemon_threads = True

    def __init__(self, port: int, certificate: str, key: str):
        super().__init__(("127.0.0.1", port), Null)
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.load_cert_chain(certificate, key)

    def finish_request(self, request, address) -> None:
        # In the connection's own thread: one handshake does not wait for another.
        try:
            super().finish_request(self.context.wrap_socket(request, server_side=True), address)
        except OSError:
            pass


if __name__ == "__main__":
    Server(int(sys.argv[1]), *sys.argv[2:4]).serve_forever()
