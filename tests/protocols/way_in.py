"""On the host: takes what way_out.py leads out and sends it through the proxy, back to a port of the container.

    way_in.py SOCKET PORT REQUEST TOKEN     PORT is Wharf's, REQUEST the container request

Only the head of the first request is touched: `Host` becomes the service host, and our bearer is added.
"""
import os
import re
import socket
import sys
import threading

from way_out import SOON_S, carry

path, wharf_port, request, token = sys.argv[1:5]
HEAD_BYTES_MAX = 1 << 17


def head_of(near):
    """What comes up to the empty line; less where it ends or pauses before."""
    head = b""
    near.settimeout(SOON_S)
    try:
        while b"\r\n\r\n" not in head and len(head) < HEAD_BYTES_MAX and (data := near.recv(1 << 16)):
            head += data
    except TimeoutError:
        pass
    near.settimeout(None)
    return head


def lead(near):
    with near.makefile("rb", buffering=0) as file:
        port = int(file.readline())
    head = head_of(near)
    host = f"{request}-{port}.containers.localhost:{wharf_port}".encode()
    lines = b"Host: %s\r\nAuthorization: Bearer %s\r\n" % (host, token.encode())
    head = re.sub(rb"(?im)^host:[^\r\n]*\r\n", lines, head, count=1)
    far = socket.create_connection(("127.0.0.1", int(wharf_port)))
    far.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    try:
        far.sendall(head)
    except OSError:
        pass
    carry(near, far)


listener = socket.socket(socket.AF_UNIX)
listener.bind(path)
os.chmod(path, 0o777)
listener.listen(200)
while True:
    accepted, _ = listener.accept()
    threading.Thread(target=lead, args=(accepted,), daemon=True).start()
