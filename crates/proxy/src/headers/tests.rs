use proptest::prelude::*;

use super::*;

fn map(pairs: &[(&str, &str)]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for (name, value) in pairs {
        let name = HeaderName::from_bytes(name.as_bytes()).unwrap();
        headers.append(name, HeaderValue::from_str(value).unwrap());
    }
    headers
}

fn prepared(pairs: &[(&str, &str)]) -> HeaderMap {
    let mut headers = map(pairs);
    let authority = Authority::from_static("A.test:8000");
    let forwarded = Forwarded {
        seen: Seen::in_head(&headers),
        peer: HeaderValue::from_static("192.0.2.7"),
        peer_is_front: false,
        https: true,
        authority: Some(&authority),
        request_id: RequestId::ZERO,
    };
    let vouched = prepare_request(&mut headers, forwarded).unwrap();
    assert_eq!(vouched.host, "A.test:8000");
    // None of the client's has such a name, so that what is written behind them is the only one.
    assert!(vouched.fields().iter().all(|(name, _)| !headers.contains_key(*name)));
    vouched.insert_into(&mut headers);
    headers
}

const OURS: [(&str, &str); 5] = [
    ("host", "A.test:8000"),
    ("x-forwarded-for", "192.0.2.7"),
    ("x-forwarded-host", "A.test:8000"),
    ("x-forwarded-proto", "https"),
    ("x-request-id", "req-00000000000000000000"),
];

fn plus_ours(pairs: &[(&str, &str)]) -> HeaderMap {
    let mut headers = map(pairs);
    for (name, value) in map(&OURS) {
        headers.insert(name.unwrap(), value);
    }
    headers
}

#[test]
fn ordinary_headers_stay_as_sent() {
    let sent = [
        ("accept", "*/*"),
        ("x-custom", "1"),
        ("x-custom", "2"),
        ("range", "bytes=0-"),
        ("trailer", "x-sum"),
        ("expect", "100-continue"),
        ("content-length", "3"),
    ];
    assert_eq!(prepared(&sent), plus_ours(&sent));
}

#[test]
fn fields_of_one_connection_go_with_all_that_connection_names() {
    let sent = [
        ("connection", "close, X-Hop,  keep-alive"),
        ("connection", "x-hop2"),
        ("x-hop", "1"),
        ("x-hop2", "1"),
        ("keep-alive", "5"),
        ("proxy-connection", "x"),
        ("te", "gzip"),
        ("transfer-encoding", "chunked"),
        ("upgrade", "h2c"),
        ("http2-settings", "x"),
        ("proxy-authorization", "Basic x"),
        ("x-stays", "1"),
    ];
    assert_eq!(prepared(&sent), plus_ours(&[("x-stays", "1")]));
}

#[test]
fn connection_cannot_remove_what_we_set() {
    for (name, _) in OURS {
        assert_eq!(
            prepared(&[("host", "A.test:8000"), ("connection", &format!("close, {name}"))]),
            plus_ours(&[]),
            "{name}"
        );
    }
    assert_eq!(
        prepared(&[("content-length", "3"), ("connection", "content-length")]),
        plus_ours(&[("content-length", "3")])
    );
}

#[test]
fn only_the_wish_for_trailers_is_passed_on() {
    let headers = prepared(&[("te", "gzip;q=1, Trailers"), ("connection", "te")]);
    assert_eq!(
        (headers[TE].to_str().unwrap(), headers[CONNECTION].to_str().unwrap()),
        ("trailers", "te")
    );
}

#[test]
fn a_front_proxy_keeps_its_list_of_addresses() {
    let mut headers = map(&[("x-forwarded-for", "203.0.113.9"), ("x_forwarded_for", "evil")]);
    let authority = Authority::from_static("a.test");
    let forwarded = Forwarded {
        seen: Seen::in_head(&headers),
        peer: HeaderValue::from_static("127.0.0.1"),
        peer_is_front: true,
        https: true,
        authority: Some(&authority),
        request_id: RequestId::ZERO,
    };
    let vouched = prepare_request(&mut headers, forwarded).unwrap();
    assert_eq!(vouched.addresses, "203.0.113.9, 127.0.0.1");
    assert!(!headers.contains_key(X_FORWARDED_FOR));
    assert!(!headers.contains_key("x_forwarded_for"));
}

#[test]
fn what_apps_say_for_the_whole_site_is_dropped() {
    let mut headers = map(&[
        ("Clear-Site-Data", "\"*\""),
        ("alt-svc", "h3"),
        ("strict-transport-security", "max-age=1; includeSubDomains"),
        ("location", "http://127.0.0.1/"),
        ("set-cookie", "a=1"),
        ("set-cookie", "b=1; Domain=x"),
        ("set-cookie", "wharf_session=1"),
        ("connection", "close"),
    ]);
    prepare_response(&mut headers, Kept::AsTheAppSays);
    let removed = headers.remove(WHARF_REMOVED).unwrap();
    assert_eq!(removed, "clear-site-data, alt-svc, strict-transport-security");
    assert_eq!(headers, map(&[("location", "http://127.0.0.1/"), ("set-cookie", "a=1")]));
}

#[test]
fn what_passes_for_framing_is_dropped() {
    let aliases = [
        ("Transfer_Encoding", "chunked"),
        ("transfer.encoding", "chunked"),
        ("Content_Length", "9"),
        ("CONTENT.LENGTH", "9"),
    ];
    assert_eq!(prepared(&aliases), plus_ours(&[]));
    let others = [("content-length", "3"), ("content_type", "x"), ("transfer-codings", "x")];
    assert_eq!(prepared(&others), plus_ours(&others));
}

proptest! {
    /// Any spelling that folds to a name of ours is gone, whatever its value.
    #[test]
    fn no_alias_survives(which in 0usize..6, seps in prop::collection::vec(prop::sample::select(vec!["-", "_", "."]), 2), upper: bool) {
        let words: [&[&str]; 6] = [&["x", "forwarded", "for"], &["x", "forwarded", "proto"], &["x", "forwarded", "host"], &["x", "request", "id"], &["x", "real", "ip"], &["x", "forwarded", "port"]];
        let [a, b, c] = words[which] else { unreachable!() };
        let mut name = format!("{a}{}{b}{}{c}", seps[0], seps[1]);
        if upper { name = name.to_uppercase(); }
        prop_assert_eq!(prepared(&[(&name, "evil")]), plus_ours(&[]));
    }

    /// Preparing never panics, and other fields are never touched.
    #[test]
    fn other_fields_are_never_touched(connection in "[ -~]{0,40}", name in "[a-e][a-z-]{0,12}") {
        let listed = connection.to_lowercase().contains(&name);
        let hop = is_hop_by_hop(&name);
        let headers = prepared(&[("connection", &connection), (&name, "v")]);
        prop_assert!(listed || hop || headers.get(&name).is_some_and(|value| value == "v"));
    }
}
