"""A cell over the kernel's WebSocket and a line in a terminal, through a service host.

Arguments: the port to connect to on 127.0.0.1, the service host, header lines "Name: value".
"""
import http.client
import json
import socket as sockets
import sys
import uuid

import websockets.sync.client as client

port, host = int(sys.argv[1]), sys.argv[2]
headers = dict(line.split(": ", 1) for line in sys.argv[3:])


def call(method, path, body=None):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    connection.request(method, path, json.dumps(body), {"Host": host, **headers})
    reply = connection.getresponse()
    text = reply.read()
    assert reply.status < 300, (method, path, reply.status, text[:300])
    return json.loads(text) if text else None


def socket(path):
    more = {name: value for name, value in headers.items() if name != "Origin"}
    return client.connect(f"ws://{host}{path}", proxy=None, max_size=None,
                          sock=sockets.create_connection(("127.0.0.1", port)),
                          origin=headers.get("Origin"), additional_headers=more)


kernel = call("POST", "/api/kernels", {"name": "python3"})["id"]
with socket(f"/api/kernels/{kernel}/channels?session_id={uuid.uuid4().hex}") as channels:
    message = uuid.uuid4().hex
    channels.send(json.dumps({
        "channel": "shell", "parent_header": {}, "metadata": {},
        "header": {"msg_id": message, "username": "u", "session": "s", "date": "",
                   "msg_type": "execute_request", "version": "5.3"},
        "content": {"code": "print('cell', 6 * 7)", "silent": False, "store_history": False,
                    "user_expressions": {}, "allow_stdin": False, "stop_on_error": True}}))
    text = ""
    while "cell 42" not in text:
        answer = json.loads(channels.recv(timeout=60))
        if answer["parent_header"].get("msg_id") == message and answer["msg_type"] == "stream":
            text += answer["content"]["text"]
print("kernel over websocket:", text.strip())
call("DELETE", f"/api/kernels/{kernel}")

terminal = call("POST", "/api/terminals", {})["name"]
with socket(f"/terminals/websocket/{terminal}") as line:
    line.send(json.dumps(["stdin", "echo te''rm-$((40+2))\r"]))
    text = ""
    while "term-42" not in text:
        kind, *rest = json.loads(line.recv(timeout=60))
        text += rest[0] if kind == "stdout" else ""
print("terminal over websocket ok")
call("DELETE", f"/api/terminals/{terminal}")
