"""In the container: leads connections to 127.1.H.L port 9999 out, to come back to port H*256+L through the proxy.

    way_out.py SOCKET

SOCKET is way_in.py's. What begins with TLS is no HTTP that a proxy could read and goes straight to the port.
"""
import socket
import sys
import threading

RELAY_PORT = 9999
TLS_HANDSHAKE = b"\x16"
SOON_S = 0.5


def pump(source, target):
    """Copies one way and passes its end on; a break on either side breaks the other."""
    try:
        while data := source.recv(1 << 16):
            target.sendall(data)
        target.shutdown(socket.SHUT_WR)
    except OSError:
        for end in (source, target):
            try:
                end.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass


def carry(near, far):
    back = threading.Thread(target=pump, args=(far, near), daemon=True)
    back.start()
    pump(near, far)
    back.join()
    near.close()
    far.close()


def peek(near):
    """The first byte; nothing where none comes soon, since some clients are silent on purpose."""
    near.settimeout(SOON_S)
    try:
        return near.recv(1, socket.MSG_PEEK)
    except TimeoutError:
        return b""
    finally:
        near.settimeout(None)


def lead(near):
    try:
        near.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        high, low = near.getsockname()[0].split(".")[2:]
        port = int(high) * 256 + int(low)
        if peek(near) == TLS_HANDSHAKE:
            far = socket.create_connection(("127.0.0.1", port))
        else:
            far = socket.socket(socket.AF_UNIX)
            far.connect(sys.argv[1])
            far.sendall(b"%d\n" % port)
    except OSError:
        near.close()
        return
    carry(near, far)


if __name__ == "__main__":
    listener = socket.create_server(("0.0.0.0", RELAY_PORT), backlog=200)
    while True:
        accepted, _ = listener.accept()
        threading.Thread(target=lead, args=(accepted,), daemon=True).start()
