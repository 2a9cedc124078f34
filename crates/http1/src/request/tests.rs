use super::*;
use http::HeaderValue;

#[test]
fn a_head_is_its_line_its_fields_and_an_empty_line() {
    let mut headers = HeaderMap::new();
    headers.insert("host", HeaderValue::from_static("a.test:8000"));
    headers.append("cookie", HeaderValue::from_static("a=b"));
    headers.append("cookie", HeaderValue::from_bytes(b"c=\xff").unwrap());
    let mut out = BytesMut::new();
    let further: [(&str, &[u8]); 1] = [("x-request-id", b"req-0")];
    write_head(&mut out, &Method::GET, "/a%2f..//b?c=d", &headers, &further);
    let expected =
        b"GET /a%2f..//b?c=d HTTP/1.1\r\nhost: a.test:8000\r\ncookie: a=b\r\ncookie: c=\xff\r\nx-request-id: req-0\r\n\r\n";
    assert_eq!(&out[..], expected);
    assert_eq!(out.capacity(), expected.len(), "room is made once, for all of it");
}

fn read(text: &[u8]) -> Result<Option<Head>, Problem> {
    read_head(&mut BytesMut::from(text), 4096, &mut HeaderMap::new())
}

/// Every field of a head in front of these lines is sound.
fn with(lines: &str) -> Result<Option<Head>, Problem> {
    read(format!("POST /a HTTP/1.1\r\nHost: a.test\r\n{lines}\r\n").as_bytes())
}

#[test]
fn a_head_is_taken_and_what_follows_stays() {
    let text =
        b"PATCH /a%2f/..//b?c=d&e HTTP/1.1\r\nHost: A.test:8000\r\nX-A: \tb c \t\r\nx-a:\r\nContent-Length: 4\r\n\r\nbody";
    let mut buffer = BytesMut::from(&text[..]);
    let head = read_head(&mut buffer, 4096, &mut HeaderMap::new()).unwrap().unwrap();
    assert_eq!((head.method.as_str(), head.target.as_str()), ("PATCH", "/a%2f/..//b?c=d&e"));
    assert_eq!(head.host(), b"A.test:8000");
    let values: Vec<_> = head.headers.get_all("x-a").iter().collect();
    assert_eq!(values, ["b c", ""]);
    assert_eq!((head.length, head.wishes), (BodyLength::Exact(4), Wishes::default()));
    assert_eq!(&buffer[..], b"body");
    put_back(&mut buffer, &head.raw);
    assert_eq!(&buffer[..], text);
    assert_eq!(read(b"OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n").unwrap().unwrap().target, "*");
}

#[test]
fn wishes_are_read_off_the_fields() {
    let wishes = |lines: &str| with(lines).unwrap().unwrap().wishes;
    assert_eq!(wishes("Connection: keep-alive\r\nTE: gzip\r\nExpect: x\r\n"), Wishes::default());
    let all = "Connection: x\r\nConnection: y, Close\r\nExpect: 100-Continue\r\nUpgrade: h2c\r\nTE: a, Trailers\r\n";
    let expected =
        Wishes { closes: true, awaits_continue: true, switches: true, takes_trailers: true };
    assert_eq!(wishes(all), expected);
}

#[test]
fn a_head_is_waited_for_until_it_is_too_long() {
    let whole = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n";
    for end in 0..whole.len() {
        assert!(read(&whole[..end]).unwrap().is_none(), "{end}");
    }
    let long = [&whole[..whole.len() - 2], b"a: ", &[b'x'; 5000]].concat();
    assert_eq!(read(&long).unwrap_err(), Problem::HeadTooLong);
    let complete = [&long[..], b"\r\n\r\n"].concat();
    assert_eq!(read(&complete).unwrap_err(), Problem::HeadTooLong);
    let many = |n| {
        read_head(
            &mut BytesMut::from(
                format!("GET / HTTP/1.1\r\nHost: a\r\n{}\r\n", "a: b\r\n".repeat(n)).as_str(),
            ),
            9999,
            &mut HeaderMap::new(),
        )
    };
    assert_eq!(many(FIELDS_MAX - 1).unwrap().unwrap().headers.len(), FIELDS_MAX);
    assert_eq!(many(FIELDS_MAX).unwrap_err(), Problem::TooManyFields);
}

#[test]
fn t19_what_two_readers_could_read_differently_is_not_read_and_stays() {
    let lines = [
        "X: a\rb\r\n",
        "X: a\nb: c\r\n",
        "X: a\0b\r\n",
        "X: a\u{b}\r\n",
        "X: \u{c}a\r\n",
        "X: a\u{7f}\r\n",
        "X : a\r\n",
        "X\t: a\r\n",
        " X: a\r\n",
        "X: a\r\n b\r\n",
        "X: a\r\n\tb\r\n",
        "X\r\n",
        ": a\r\n",
        "X(: a\r\n",
        "X\u{e9}: a\r\n",
        "Host: a.test\r\n",
        "host: b\r\n",
        "Content-Length: 5\r\nContent-Length: 5\r\n",
        "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n",
        "Transfer-Encoding: \u{b}chunked\r\n",
        "Transfer-Encoding: xchunked\r\n",
        "Transfer-Encoding : chunked\r\n",
        "Content-Length: +5\r\n",
    ];
    let heads = [
        "GET / HTTP/1.0\r\nHost: a\r\n\r\n",
        "GET / HTTP/1.1\r\n\r\n",
        "GET  / HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET /  HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET / HTTP/1.1 \r\nHost: a\r\n\r\n",
        "GET /\tHTTP/1.1\r\nHost: a\r\n\r\n",
        "GET / HTTP/2.0\r\nHost: a\r\n\r\n",
        "GET / http/1.1\r\nHost: a\r\n\r\n",
        "GET /\r\nHost: a\r\n\r\n",
        "GET http://a/ HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET a HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET /a#b HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET /\u{e9} HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET /a b HTTP/1.1\r\nHost: a\r\n\r\n",
        "G(T / HTTP/1.1\r\nHost: a\r\n\r\n",
        " / HTTP/1.1\r\nHost: a\r\n\r\n",
        "CONNECT a:80 HTTP/1.1\r\nHost: a\r\n\r\n",
        "\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n",
        "\nGET / HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET / HTTP/1.1\nHost: a\n\n",
        "GET / HTTP/1.1\r\nHost: a\r\n\n",
        "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    ];
    let heads = heads
        .map(str::to_owned)
        .into_iter()
        .chain(lines.map(|lines| format!("POST /a HTTP/1.1\r\nHost: a.test\r\n{lines}\r\n")));
    for text in heads {
        let whole = format!("{text}behind");
        let mut buffer = BytesMut::from(whole.as_str());
        assert!(read_head(&mut buffer, 4096, &mut HeaderMap::new()).is_err(), "{text:?}");
        assert_eq!(&buffer[..], whole.as_bytes(), "it is there for whoever reads more");
    }
}
