use http::header::{AUTHORIZATION, COOKIE};
use http::{HeaderMap, HeaderValue, Request};
use model::{GuestSessionUuid, InvitationUuid, TokenUuid, UserUuid};
use proptest::prelude::*;

use super::cookie::*;
use super::query::*;
use super::seal::*;
use super::*;
use crate::config::SessionKey;
use crate::directory::Guest;

const TOKEN: &str = "v2/wharf-gj3su-0123456789abcde/abcdefghijklmnopqrstuvwxyz";

fn names() -> CookieNames {
    CookieNames::new(false, None)
}

#[test]
fn a_query_token_is_split_off_and_the_rest_kept() {
    for (from, rest) in [
        ("/?api_token=T", "/"),
        ("/a/b?api_token=T", "/a/b"),
        ("/a?x=1&api_token=T&y=2", "/a?x=1&y=2"),
        ("/a?api_token=T&y=%20+b&&z", "/a?y=%20+b&&z"),
        ("/a?b=%C3%A4&a=2&b=1&arvados_api_token=T", "/a?b=%C3%A4&a=2&b=1"),
        ("/a?api_token=T&arvados_api_token=S", "/a"),
        ("/a?api%5Ftoken=T&q", "/a?q"),
        ("//evil.example?api_token=T", "//evil.example"),
        ("/a?x=?&api_token=T", "/a?x=?"),
    ] {
        let found = split_token(from).unwrap();
        assert_eq!((found.token.as_str(), found.rest.as_str()), ("T", rest), "{from}");
    }
    for kept in ["/", "/api_token=T", "/a?x=api_token", "/a?xapi_token=T", "/a?Api_Token=T", "/a?"]
    {
        assert_eq!(split_token(kept), None, "{kept}");
    }
    assert_eq!(split_token("/?api_token=v2%2Fa").unwrap().token, "v2/a");
}

fn cookies(sent: &[&str], joins_crumbs: bool) -> (OurCookies, Vec<String>) {
    let mut headers = HeaderMap::new();
    for value in sent {
        headers.append(COOKIE, HeaderValue::from_str(value).unwrap());
    }
    let ours = take_ours(&mut headers, &names(), joins_crumbs);
    let left = headers.get_all(COOKIE).iter().map(|v| v.to_str().unwrap().to_owned()).collect();
    (ours, left)
}

#[test]
fn our_cookie_is_taken_wherever_it_stands() {
    for (sent, left) in [
        (vec!["wharf_session=S; a=1; b=2"], vec!["a=1; b=2"]),
        (vec!["a=1; wharf_session=S; b=2"], vec!["a=1; b=2"]),
        (vec!["a=1; b=2; wharf_session=S"], vec!["a=1; b=2"]),
        (vec!["wharf_session=S"], vec![]),
        (vec!["a=1", "wharf_session=S"], vec!["a=1"]),
        (vec!["a=1; wharf_session=S", "b=2"], vec!["a=1", "b=2"]),
        (vec!["wharf_session=\"S\"; a=\"x y\""], vec!["a=\"x y\""]),
        (vec!["a=1;wharf_session=S;b=2;;c"], vec!["a=1;b=2;;c"]),
        (vec![" wharf_session = S ; a=1"], vec!["a=1"]),
        (
            vec!["wharf_sessions=1; xwharf_session=2; wharf_session=S"],
            vec!["wharf_sessions=1; xwharf_session=2"],
        ),
    ] {
        let (ours, rest) = cookies(&sent, false);
        assert_eq!(
            (ours.session.as_deref(), rest),
            (Some("S"), left.iter().map(|s| (*s).to_owned()).collect()),
            "{sent:?}"
        );
    }
}

#[test]
fn two_session_cookies_count_as_none() {
    for sent in [
        vec!["wharf_session=A; wharf_session=B; x=1"],
        vec!["wharf_session=A", "x=1; wharf_session=A"],
    ] {
        let (ours, rest) = cookies(&sent, false);
        assert_eq!((ours.session, ours.is_tossed, rest), (None, true, vec!["x=1".to_owned()]));
    }
}

#[test]
fn every_reserved_name_is_taken() {
    let sent = "__Host-wharf_session=a; wharf_session_9001=b; WHARF_SESSION=c; wharf_dashboard=d; wharf_tenant_9=e; __Secure-wharf_session=f; k=v";
    assert_eq!(cookies(&[sent], false), (OurCookies::default(), vec!["k=v".to_owned()]));
}

#[test]
fn crumbs_of_http2_become_one_header() {
    assert_eq!(cookies(&["a=1", "wharf_session=S", "b=2"], true).1, ["a=1; b=2"]);
    assert_eq!(cookies(&["a=1", "b=2"], true).1, ["a=1; b=2"]);
    assert_eq!(cookies(&["a=1", "b=2"], false).1, ["a=1", "b=2"]);
}

#[test]
fn apps_may_set_their_own_host_cookies_only() {
    for refused in [
        "a=1; Domain=localhost",
        "a=1;domain=.containers.localhost",
        "a=1; DOMAIN = x",
        "a=1; Path=/; dOmAiN=\"x\"; Secure",
        "a=1; Domain",
        "wharf_session=x",
        "WHARF_session=x; Path=/",
        " wharf_session =x",
        "__Host-wharf_session=x; Secure; Path=/",
        "wharf_session_9001=x",
        "=wharf_session=x",
        "=wharf_session",
        "wharf_dashboard=; Max-Age=0",
    ] {
        assert!(!app_may_set(refused.as_bytes()), "{refused}");
    }
    for allowed in [
        "a=1",
        "a=1; Path=/; HttpOnly",
        "domain=1",
        "a=domain; Path=/domain",
        "wharf=1",
        "__Host-a=1; Secure",
    ] {
        assert!(app_may_set(allowed.as_bytes()), "{allowed}");
    }
}

fn bearer(sent: &[&str]) -> (bool, Vec<String>) {
    let mut headers = HeaderMap::new();
    for value in sent {
        headers.append(AUTHORIZATION, HeaderValue::from_str(value).unwrap());
    }
    let cluster = ClusterId::default();
    let taken = bearer::take_candidate(&mut headers, &cluster)
        .and_then(|candidate| bearer::settle(&mut headers, candidate, &cluster))
        .is_some();
    let left =
        headers.get_all(AUTHORIZATION).iter().map(|v| v.to_str().unwrap().to_owned()).collect();
    (taken, left)
}

#[test]
fn only_our_bearer_is_taken() {
    for ours in [format!("Bearer {TOKEN}"), format!("bearer  {TOKEN} "), format!("OAuth2 {TOKEN}")]
    {
        assert_eq!(bearer(&[&ours]), (true, vec![]), "{ours}");
    }
    let foreign = format!("Bearer {}", TOKEN.replace("wharf-", "other-"));
    for theirs in [
        "Bearer abc",
        "token abc",
        "Basic dTpw",
        &format!("Basic {TOKEN}"),
        TOKEN,
        foreign.as_str(),
    ] {
        assert_eq!(bearer(&[theirs]), (false, vec![theirs.to_owned()]), "{theirs}");
    }
    assert_eq!(
        bearer(&["Basic dTpw", &format!("Bearer {TOKEN}")]),
        (true, vec!["Basic dTpw".to_owned()])
    );
}

fn session() -> Session {
    let holder = Holder::User {
        token: TokenUuid::parse("wharf-gj3su-0123456789abcde").unwrap(),
        user: UserUuid::parse("wharf-tpzed-0123456789abcde").unwrap(),
    };
    Session { holder, expires_at_s: 1000 }
}

#[test]
fn a_guest_s_session_is_no_user_s() {
    let seal = Seal::new(&SessionKey::new([7; 32]));
    let holder = Holder::Guest(Guest {
        session: GuestSessionUuid::parse("wharf-guest-0123456789abcde").unwrap(),
        invitation: InvitationUuid::parse("wharf-invit-0123456789abcde").unwrap(),
    });
    let session = Session { holder, expires_at_s: 1000 };
    let text = seal.seal(&session, "http://a.test").unwrap();
    assert_eq!(seal.open(&text, "http://a.test", 999), Some(session));
    assert_eq!(seal.open(&text, "http://b.test", 999), None);
}

#[test]
fn a_sealed_session_opens_on_its_own_origin_until_it_ends() {
    let seal = Seal::new(&SessionKey::new([7; 32]));
    let text = seal.seal(&session(), "http://a.test").unwrap();
    assert_eq!(seal.open(&text, "http://a.test", 999), Some(session()));
    assert_eq!(seal.open(&text, "http://a.test", 1000), None);
    assert_eq!(seal.open(&text, "http://b.test", 999), None);
    assert_eq!(seal.open(&text, "https://a.test", 999), None);
    assert_eq!(Seal::new(&SessionKey::new([8; 32])).open(&text, "http://a.test", 999), None);
    assert!(!text.contains("gj3su"));
}

#[test]
fn a_request_is_left_without_anything_of_ours() {
    let request = Request::get(format!("/p?a=1&api_token={TOKEN}"))
        .header("cookie", "wharf_session=S; c=1")
        .header("authorization", format!("Bearer {TOKEN}"));
    let (mut parts, ()) = request.body(()).unwrap().into_parts();
    let seen = Seen::in_head(&parts.headers);
    let found = Credentials::take_from(&mut parts, &ClusterId::default(), &names(), seen);
    assert_eq!(found.query, Some(QueryCredential::Token(ApiToken::parse(TOKEN).unwrap())));
    assert_eq!((found.cookies.session.as_deref(), found.bearer.is_some()), (Some("S"), true));
    assert_eq!(parts.uri, "/p?a=1");
    assert!(!format!("{parts:?}").contains("abcdefghijklmnopqrstuvwxyz"));
    assert!(!format!("{found:?}").contains("abcdefghijklmnopqrstuvwxyz"));
}

proptest! {
    /// However cookies are mixed, ours are gone and the app's are as they were, in their order.
    #[test]
    fn the_apps_cookies_survive_byte_for_byte(theirs in prop::collection::vec("[a-z]{1,5}=[!-+--:<-~]{0,8}", 0..8), at in 0usize..9, times in 1usize..3) {
        let mut sent = theirs.clone();
        for _ in 0..times {
            sent.insert(at.min(sent.len()), "wharf_session=S".to_owned());
        }
        let (ours, left) = cookies(&[&sent.join("; ")], false);
        prop_assert_eq!(left.join(""), theirs.join("; "));
        prop_assert_eq!(ours.is_tossed, times > 1);
    }

    /// Splitting a token off never changes the other parameters.
    #[test]
    fn other_parameters_survive_byte_for_byte(others in prop::collection::vec("[b-z%+=?/]{1,6}", 0..6), at in 0usize..7) {
        let mut sent = others.clone();
        sent.insert(at.min(sent.len()), "api_token=T".to_owned());
        let found = split_token(&format!("/p?{}", sent.join("&"))).unwrap();
        let expected = if others.is_empty() { "/p".to_owned() } else { format!("/p?{}", others.join("&")) };
        prop_assert_eq!(found.rest, expected);
    }

    /// No text opens as a session, and none makes the opener panic.
    #[test]
    fn no_other_text_opens(text in "[A-Za-z0-9_-]{0,140}") {
        prop_assert_eq!(Seal::new(&SessionKey::new([7; 32])).open(&text, "http://a.test", 0), None);
    }
}
