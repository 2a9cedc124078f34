"""Sends the same requests to httpbin directly and through the proxy and tells every difference.

    httpbin_compare.py PORT HOST SOCKET [TOKEN]

SOCKET is a Unix socket of the same server. With TOKEN it goes along as a bearer, where a case has no
credential of its own. Exit code 1 where anything differs that may not.
"""
import gzip
import json
import re
import sys
import zlib

import brotlicffi

from httpbin_cases import cases
from raw_http import Connection, tcp, unix

port, host, socket_path = sys.argv[1:4]
token = sys.argv[4] if len(sys.argv) > 4 else None

# Fields of one connection, and those that name a moment.
HOP_BY_HOP = {"connection", "keep-alive", "transfer-encoding", "date"}
# What we tell the app. httpbin shows all of it only where a case asks for that.
OURS = {"X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto", "X-Request-Id"}
# What belongs to the client's connection alone: the app must not see it through us.
CLIENTS_OWN = {"Connection", "Keep-Alive", "Upgrade", "Te", "X-Gone"}
# Made up anew for each answer: UUIDs, hashes, the time.
RANDOM_TEXT = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}|[0-9a-f]{32}")
RANDOM = re.compile(RANDOM_TEXT.pattern.encode())
MOMENT = re.compile(r"\w{3}, \d\d \w{3} \d{4} \d\d:\d\d:\d\d GMT")
CODINGS = {None: bytes, "gzip": gzip.decompress, "deflate": zlib.decompress, "br": brotlicffi.decompress}


def headers_of(answer):
    lines = [(name, value) for name, value in answer.headers_lower() if name not in HOP_BY_HOP]
    return sorted((name, MOMENT.sub("…", RANDOM_TEXT.sub("x", value))) for name, value in lines)


def with_words_for_caches(lines):
    """What a private port's answer says besides (T39): no shared cache may keep it, nor anybody else see it."""
    kept = [value for name, value in lines if name == "cache-control"]
    directives = [word for value in kept for word in re.split(", *", value) if word != "public"]
    if not {"private", "no-store"} & set(directives):
        lines = [line for line in lines if line[0] != "cache-control"]
        lines.append(("cache-control", ", ".join(["private", *directives])))
    return sorted([*lines, ("vary", "Cookie, Authorization")])


def echo_of(value, is_proxied):
    """What httpbin saw, without what may differ."""
    if not isinstance(value, dict):
        return value
    value = {key: entry for key, entry in value.items() if key != "origin"}
    seen = value.get("headers")
    if isinstance(seen, dict):
        wanted = OURS if "show_env" in value.get("args", {}) else {"X-Forwarded-Host"}
        if is_proxied and not wanted <= set(seen):
            return f"{wanted} not among {seen}"
        # A body in chunks may reach the app in chunks or with its length; httpbin shows which.
        value["headers"] = {key: entry for key, entry in seen.items() if key not in OURS | CLIENTS_OWN}
    return value


def is_json(answer):
    return dict(answer.headers_lower()).get("content-type") == "application/json"


def decoded(answer):
    """The body without its content coding, which must be the one that the answer names."""
    coding = dict(answer.headers_lower()).get("content-encoding")
    return CODINGS[coding](answer.body) if answer.body else b""


def body_of(answer, is_proxied):
    """What JSON says, where the answer is that; else bytes."""
    body = RANDOM.sub(b"x", decoded(answer))
    if not is_json(answer) or not body:
        return body
    try:
        return echo_of(json.loads(body), is_proxied)
    except ValueError:
        # A stream has one object a line.
        return [echo_of(json.loads(line), is_proxied) for line in body.splitlines()]


def differences(direct, proxied):
    if (direct.status, direct.reason) != (proxied.status, proxied.reason):
        yield f"status: {direct.status} {direct.reason} direct, {proxied.status} {proxied.reason} through the proxy"
    if direct.interim != proxied.interim:
        yield f"interim answers: {direct.interim} direct, {proxied.interim} through the proxy"
    here, there = headers_of(direct), headers_of(proxied)
    if token:
        here = with_words_for_caches(here)
    if is_json(direct):
        # The length of an echo follows from what it tells.
        here, there = ([line for line in lines if line[0] != "content-length"] for lines in (here, there))
    yield from (f"header only direct: {line}" for line in here if line not in there)
    yield from (f"header only through the proxy: {line}" for line in there if line not in here)
    here, there = body_of(direct, False), body_of(proxied, True)
    if here != there:
        yield f"body: {str(here)[:1500]} direct, {str(there)[:1500]} through the proxy"
    if direct.trailers != proxied.trailers:
        yield f"trailers: {direct.trailers} direct, {proxied.trailers} through the proxy"


def with_token(request):
    head, rest = request.split(b"\r\n\r\n", 1)
    if token is None or b"\r\nauthorization:" in head.lower():
        return request
    return head + b"\r\nAuthorization: Bearer " + token.encode() + b"\r\n\r\n" + rest


direct, proxied = Connection(unix(socket_path)), Connection(tcp(int(port)))
n_cases = n_skipped = n_different = 0
for name, request, later in cases(host):
    if token and b"\r\nauthorization:" in request.lower():
        n_skipped += 1
        continue
    n_cases += 1
    try:
        found = list(differences(direct.ask(request, later), proxied.ask(with_token(request), later)))
    except (OSError, EOFError, ValueError) as error:
        direct.close()
        proxied.close()
        found = [f"{type(error).__name__}: {error}"]
    if found:
        n_different += 1
        print(f"DIFFERENT {name}\n  {request[:300]!r}")
        for difference in found:
            print(f"  {difference}")
print(f"{n_cases} requests, {n_different} different")
sys.exit(n_different > 0 or n_cases < 300)
