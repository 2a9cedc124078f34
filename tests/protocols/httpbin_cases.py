"""Requests of all shapes for httpbin, the same in every run: (name, bytes of the request, bytes that follow 100 Continue)."""
import itertools
import json

METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")
BINARY = bytes(range(256)) * 40
TEXT = "Zażółć gęślą jaźń ✓".encode()


def chunked(pieces, trailers=()):
    body = b"".join(b"%x\r\n%s\r\n" % (len(piece), piece) for piece in pieces)
    return body + b"0\r\n" + b"".join(b"%s: %s\r\n" % line for line in trailers) + b"\r\n"


def request(host, method, target, headers=(), body=None, version="1.1"):
    lines = [f"{method} {target} HTTP/{version}".encode("latin-1"), b"Host: " + host.encode()]
    lines += [line if isinstance(line, bytes) else line.encode("latin-1") for line in headers]
    if body is not None:
        lines.append(b"Content-Length: %d" % len(body))
    return b"\r\n".join(lines) + b"\r\n\r\n" + (body or b"")


def cases(host):
    def case(name, method, target, headers=(), body=None, version="1.1"):
        return name, request(host, method, target, headers, body, version), None

    # Methods, with and without bodies of several kinds.
    bodies = {
        "no body": (None, ()),
        "empty": (b"", ()),
        "text": (TEXT, ("Content-Type: text/plain; charset=utf-8",)),
        "form": (b"a=1&b=%20x&a=2&c", ("Content-Type: application/x-www-form-urlencoded",)),
        "json": (json.dumps({"k": [1, None, "ü"]}).encode(), ("Content-Type: application/json",)),
        "binary": (BINARY, ("Content-Type: application/octet-stream",)),
        "multipart": (b"--x\r\nContent-Disposition: form-data; name=\"f\"; filename=\"a b\"\r\n\r\nhello\r\n--x--\r\n",
                      ("Content-Type: multipart/form-data; boundary=x",)),
    }
    for method, (kind, (body, headers)) in itertools.product((*METHODS, "TRACE"), bodies.items()):
        yield case(f"{method} with {kind}", method, "/anything/x", headers, body)
    for method in METHODS:
        for other in METHODS:
            yield case(f"{method} for {other}", method, f"/{other.lower()}")
    for method in ("HEAD", "OPTIONS", "PROPFIND", "FOO", "get"):
        for target in ("/get", "/anything", "/image/png", "/bytes/77?seed=1", "/nothing-here", "/stream/3"):
            yield case(f"{method} {target}", method, target)
    yield case("OPTIONS for a page elsewhere", "OPTIONS", "/put", (
        "Origin: http://elsewhere.example", "Access-Control-Request-Method: PUT", "Access-Control-Request-Headers: x-a, x-b"))
    yield case("GET for a page elsewhere", "GET", "/get", ("Origin: http://elsewhere.example",))

    # Bodies in chunks of many sizes, with extensions and trailers.
    for sizes in ((1,), (1, 1, 1), (7, 1000, 3), (65536,), (65537, 1), (300_000,), (8192,) * 20, ()):
        pieces = [(BINARY * 40)[:size] for size in sizes]
        for method in ("POST", "PUT", "DELETE"):
            yield (f"{method} in chunks of {sizes}",
                   request(host, method, "/anything", ("Transfer-Encoding: chunked", "Content-Type: application/octet-stream")) + chunked(pieces), None)
    yield ("trailers", request(host, "POST", "/post", ("Transfer-Encoding: chunked", "Trailer: X-Sum")) + chunked([b"abc"], [(b"X-Sum", b"1")]), None)
    for size in (0, 1, 4095, 4096, 65535, 65536, 1_000_000):
        yield case(f"POST of {size} bytes", "POST", "/post", ("Content-Type: application/octet-stream",), (BINARY * 100)[:size])
    # Waiting for 100 Continue.
    for target in ("/post", "/anything/waits", "/status/403"):
        waits = request(host, "POST", target, ("Expect: 100-continue", "Content-Length: 5"))
        yield f"a body that waits for {target}", waits, b"hello"

    # Statuses.
    for code in (200, 201, 202, 203, 204, 205, 206, 207, 208, 226, 300, 301, 302, 303, 304, 305, 307, 308, *range(400, 432), 444, 451,
                 499, 500, 501, 502, 503, 504, 505, 506, 507, 508, 511, 599, 600, 799):
        yield case(f"status {code}", "GET", f"/status/{code}")
    for code, method in itertools.product((200, 204, 304, 401, 404, 418, 500), ("POST", "PUT", "DELETE", "HEAD")):
        yield case(f"{method} for status {code}", method, f"/status/{code}", (), b"xyz" if method != "HEAD" else None)

    # Redirects and cookies.
    for target in ("/redirect/3", "/relative-redirect/2", "/absolute-redirect/2", "/redirect-to?url=%2Fget%3Fa%3D1",
                   "/redirect-to?url=http%3A%2F%2F169.254.169.254%2F", "/redirect-to?url=%2F%2Felsewhere.example%2F&status_code=307"):
        yield case(f"redirect {target}", "GET", target)
    yield case("redirect of a POST", "POST", "/redirect-to?url=/post&status_code=308", (), b"kept")
    for target in ("/cookies/set?a=1&b=two%20words", "/cookies/set/c/d", "/cookies/delete?a&b", "/response-headers?Set-Cookie=x%3D1&Set-Cookie=y%3D2%3B%20Path%3D%2Fz"):
        yield case(f"cookies {target}", "GET", target)
    for line in ("a=1", "a=1; b=2", "b=\"quoted; not\"", "a=1;b=2;  c=3", "=x; y", "a=1; a=2", "session=s; theme=dark; wharf=no", "x=" + "y" * 4000):
        yield case(f"Cookie: {line[:30]}", "GET", "/cookies", (f"Cookie: {line}",))
    yield case("two Cookie lines", "GET", "/headers", ("Cookie: a=1", "Cookie: b=2"))

    # Codings, as asked for and as given.
    for coding in ("gzip", "deflate", "brotli", "encoding/utf8", "html", "xml", "json", "robots.txt", "deny"):
        for accept in ("identity", "gzip, deflate, br", "*;q=0"):
            yield case(f"/{coding} for {accept}", "GET", f"/{coding}", (f"Accept-Encoding: {accept}",))
    for kind in ("image/png", "image/jpeg", "image/webp", "image/svg+xml", "image/*", "text/html"):
        yield case(f"an image as {kind}", "GET", "/image", (f"Accept: {kind}",))

    # Streams, lengths, ranges, waits.
    for size in (0, 1, 100, 65536, 102400):
        yield case(f"bytes {size}", "GET", f"/bytes/{size}?seed=7")
        yield case(f"stream of {size} bytes", "GET", f"/stream-bytes/{size}?seed=7&chunk_size=1000")
    for lines in (1, 10, 100):
        yield case(f"stream of {lines} lines", "GET", f"/stream/{lines}")
    for wanted in ("bytes=0-9", "bytes=10-", "bytes=-5", "bytes=1020-2000", "bytes=5000-6000", "bytes=x", "bytes=0-0", "lines=1-2"):
        yield case(f"Range: {wanted}", "GET", "/range/1024", (f"Range: {wanted}",))
        yield case(f"HEAD with Range: {wanted}", "HEAD", "/range/1024", (f"Range: {wanted}",))
    yield case("a range that lasts", "GET", "/range/2000?duration=1&chunk_size=500")
    yield case("a drip", "GET", "/drip?duration=0.5&numbytes=5&delay=0&code=203")
    for method in METHODS:
        yield case(f"{method} with a delay", method, "/delay/0.1")
    for headers in ((), ("If-None-Match: \"x\"",), ("If-None-Match: *",), ("If-Match: \"y\"",), ("If-None-Match: W/\"x\", \"z\"",)):
        yield case(f"etag with {headers}", "GET", "/etag/x", headers)
    for headers in ((), ("If-Modified-Since: Sat, 01 Jan 2022 00:00:00 GMT",), ("If-None-Match: x",)):
        yield case(f"cache with {headers}", "GET", "/cache", headers)
    yield case("cache for a minute", "GET", "/cache/60")

    # Credentials that are the app's own.
    yield case("basic auth without", "GET", "/basic-auth/u/p")
    yield case("basic auth", "GET", "/basic-auth/u/p", ("Authorization: Basic dTpw",))
    yield case("hidden basic auth", "GET", "/hidden-basic-auth/u/p", ("Authorization: Basic dTpx",))
    yield case("bearer without", "GET", "/bearer")
    for token in ("abc", "v2/other-gj3su-0123456789abcde/secret", "v1something", "a.b.c"):
        yield case(f"bearer {token}", "GET", "/bearer", (f"Authorization: Bearer {token}",))
    yield case("an authorization nobody knows", "GET", "/headers", ("Authorization: Digest username=\"a\", uri=\"/\"",))

    # Headers of every kind.
    odd = ("!", "#", "$", "%", "&", "'", "*", "+", "^", "`", "|", "~", "x!y", "UPPER", "mIxEd", "x" * 200)
    for name in odd:
        yield case(f"header {name[:20]}", "GET", "/headers", (f"{name}: value",))
    for value in ("", " ", "  padded\t", "a, b,, c", "\"quo\\\"ted\"", "tab\tinside", "colon: inside", "v" * 8000, "caf\xe9", "\x80\xff"):
        yield case(f"value {value[:12]!r}", "GET", "/headers", (f"X-Value: {value}",))
    yield case("what a proxy tells", "GET", "/get?show_env=1")
    yield case("a header three times", "GET", "/headers", ("X-N: 1", "x-n: 2", "X-N: 3"))
    yield case("eighty headers", "GET", "/headers", tuple(f"X-H{number}: {number}" for number in range(80)))
    for line in ("Connection: keep-alive, X-Gone", "Connection: close", "Keep-Alive: timeout=5", "TE: trailers, deflate;q=0.5", "Upgrade: h2c", "Max-Forwards: 0",
                 "Via: 1.0 old", "Warning: 199 a \"b\"", "From: a@b", "DNT: 1", "Priority: u=1", "Forwarded-To: x", "X-Forwarded: x", "Accept: */*"):
        yield case(line, "GET", "/headers", (line, "X-Gone: named by Connection"))
    for query in ("X-A=1", "X-A=1&X-A=2", "Content-Language=de&Link=%3C%2Fa%3E%3B%20rel%3Dpreload", "Server=Mine", "X-Frame-Options=DENY&Content-Security-Policy=default-src%20%27none%27",
                  "Cache-Control=no-store", "Vary=Cookie", "Location=%2Fx", "Refresh=0%3B%20url%3Dhttp%3A%2F%2F10.0.0.1%2F", "Content-Disposition=attachment%3B%20filename%3D%22%C3%A9%22",
                  "Access-Control-Allow-Origin=%2A&Access-Control-Allow-Credentials=true", "X-Empty="):
        yield case(f"answer with {query}", "GET", f"/response-headers?{query}")

    # Addresses.
    for target in ("/anything//double", "/anything/a%2Fb", "/anything/%E2%9C%93", "/anything/.", "/anything/..", "/anything/a/../b", "/anything/%2e%2e/x", "/anything/;a=b",
                   "/anything/a;b/c", "/anything/a+b", "/anything/~user", "/anything/:@!$&'()*,=", "/anything/%00", "/anything?", "/anything??", "/anything?a", "/anything?a=", "/anything?=b",
                   "/anything?a=1&a=2&&b", "/anything?q=%20%2B+&r=%zz", "/anything?x=/../y", "/anything?api_tokens=1&token=2", "/anything?q=" + "z" * 3500, "/base64/aGVsbG8=", "/links/5/2", "/ip",
                   "/user-agent", "/uuid", f"http://{host}/anything/absolute?x=1"):
        yield case(f"target {target[:40]}", "GET", target, ("User-Agent: a/1 (b; c)",))
    for target in ("/get", "/stream/3", "/stream-bytes/5000?seed=1", "/status/404", "/gzip"):
        yield case(f"HTTP/1.0 {target}", "GET", target, (), None, "1.0")
