//! Our credentials stay on our side of the proxy, and out of logs and addresses.

use std::path::Path;
use std::process::Command;

use serde_json::json;
use testkit::http::Request;
use testkit::{Launch, Wharf};

/// The secret part of a token.
fn secret_of(token: &str) -> &str {
    token.rsplit('/').next().unwrap_or_default()
}

#[test]
fn a_token_in_the_address_moves_to_a_cookie_at_once() {
    let wharf = Wharf::start();
    let service = wharf.app();
    let token = wharf.token().replace('/', "%2F");
    for (target, left) in [
        (format!("/lab/tree?api_token={token}"), "/lab/tree"),
        (format!("/lab?a=1&api_token={token}&b=%20x&a=2"), "/lab?a=1&b=%20x&a=2"),
        (format!("/?arvados_api_token={token}&z"), "/?z"),
        (format!("/p%2Fq?api_token={token}&api_token={token}"), "/p%2Fq"),
    ] {
        let reply = service.bare("GET", &target).navigating().send().expect(303);
        let location = reply.header("Location").expect("a redirect").to_owned();
        let base = format!("http://{}", service.host());
        assert_eq!(location.strip_prefix(&base).unwrap_or(&location), left, "{target}");
        let cookie = reply.header("Set-Cookie").expect("a session").to_owned();
        for word in ["wharf_session=", "HttpOnly", "SameSite=Lax", "Path=/"] {
            assert!(cookie.contains(word), "{word} in {cookie}");
        }
        assert!(
            !cookie.contains("Domain") && !cookie.contains(secret_of(wharf.token())),
            "{cookie}"
        );
        assert!(reply.header("Cache-Control").is_some_and(|value| value.contains("no-store")));
        let policy = reply.header("Referrer-Policy").unwrap_or_default();
        assert!(policy.contains("no-referrer") || policy.contains("same-origin"), "{policy:?}");
    }
    let _head = service.bare("HEAD", &format!("/x?api_token={token}")).send().expect(303);
    // A wrong one leaves the address bar too, and opens nothing.
    let wrong = "v2%2Fwharf-gj3su-000000000000000%2Fwrong";
    let reply = service.bare("GET", &format!("/x?y=1&api_token={wrong}")).navigating().send();
    let reply = reply.expect(303);
    assert!(reply.header("Location").is_some_and(|location| location.ends_with("/x?y=1")));
    wharf.finish();
}

#[test]
fn t09_the_redirect_never_leaves_the_service_host() {
    let wharf = Wharf::start();
    let service = wharf.app();
    let token = wharf.token().replace('/', "%2F");
    for path in [
        "//evil.example",
        "///evil.example/x",
        "/\\evil.example",
        "//evil.example%2f..",
        "/%09/evil.example",
        "/%5cevil.example",
        "//user@evil.example",
        "/.//evil.example",
    ] {
        let reply = service.bare("GET", &format!("{path}?api_token={token}")).send();
        if reply.status() == 400 {
            continue;
        }
        let location = reply.expect(303).header("Location").expect("a redirect").to_owned();
        let own = format!("http://{}/", service.host());
        let is_path = location.starts_with('/')
            && !location.starts_with("//")
            && !location.starts_with("/\\");
        assert!(location.starts_with(&own) || is_path, "{path}: {location}");
    }
    wharf.finish();
}

#[test]
fn t15_the_app_sees_its_own_cookies_and_none_of_ours() {
    let wharf = Wharf::start();
    let service = wharf.app();
    let ours = service.sign_in();
    let value = ours.split_once('=').map_or("", |(_, value)| value).to_owned();
    let many: Vec<String> = (0..100).map(|number| format!("c{number}={number}")).collect();
    let cases = [
        (ours.clone(), ""),
        (format!("{ours}; a=1"), "a=1"),
        (format!("a=1; {ours}"), "a=1"),
        (format!("a=1; {ours}; b=2"), "a=1; b=2"),
        (format!("a=\"x; y\"; {ours}"), "a=\"x; y\""),
        (format!("{}; {ours}", many.join("; ")), &*many.join("; ")),
        (format!("a=1;{ours};b=2"), "a=1"),
        (format!("  {ours} ;  a=1"), "a=1"),
    ];
    for (sent, left) in cases {
        let reply = service.bare("GET", "/x").header("Cookie", &sent).send().expect(200);
        assert!(!reply.text().contains(&value), "{sent}:\n{}", reply.text());
        assert!(
            left.is_empty() || reply.text().contains(left),
            "{left} of {sent}:\n{}",
            reply.text()
        );
    }
    let two_lines = service.bare("GET", "/x").header("Cookie", "a=1").header("Cookie", &ours);
    let reply = two_lines.header("Cookie", "b=2").send().expect(200);
    assert!(!reply.text().contains(&value), "{}", reply.text());
    assert!(reply.text().contains("a=1") && reply.text().contains("b=2"), "{}", reply.text());
    // Twice ours is a toss (T1): refused, and nothing of it reaches the app.
    let twice = service.bare("GET", "/x").header("Cookie", &format!("{ours}; a=1; {ours}")).send();
    assert!(!twice.text().contains(&value), "{}", twice.text());
    wharf.finish();
}

#[test]
fn t15_our_bearer_and_parameter_are_removed_and_the_apps_stay() {
    let wharf = Wharf::start();
    let service = wharf.launch(&Launch::default().public());
    let token = wharf.token().to_owned();
    let secret = secret_of(&token);
    let escaped = token.replace('/', "%2F");
    let forms = [
        service.bare("GET", "/x").header("Authorization", &format!("Bearer {token}")),
        service.bare("GET", "/x").header("Authorization", &format!("OAuth2 {token}")),
        service.bare("GET", "/x").header("authorization", &format!("bearer   {token}")),
        service.bare("POST", &format!("/x?a=1&api_token={escaped}&b=2")).body("y"),
        service.bare("POST", &format!("/x?arvados_api_token={token}")).body("y"),
        service.bare("POST", &format!("/x?a=1&api%5Ftoken={escaped}")).body("y"),
    ];
    for request in forms {
        let reply = request.send();
        assert!(!reply.text().contains(secret), "{request:?}: {}", reply.text());
    }
    for own in ["Basic dXNlcjpwYXNz", "Bearer eyJhbGciOi.some.jwt", "token abc", "Digest x=\"y\""] {
        let reply = service.bare("GET", "/x").header("Authorization", own).send().expect(200);
        assert!(reply.text().contains(own), "{own}: {}", reply.text());
    }
    wharf.finish();
}

#[test]
fn t16_aliases_of_our_headers_do_not_reach_the_app() {
    let wharf = Wharf::start();
    let service = wharf.app();
    let ours = ["X-Forwarded-For", "X-Forwarded-Proto", "X-Forwarded-Host", "X-Request-Id"];
    let mut checked = 0;
    for name in ours {
        for alias in [
            name.to_owned(),
            name.to_lowercase(),
            name.to_uppercase(),
            name.replace('-', "_"),
            name.replace('-', "."),
            name.replacen('-', "_", 1),
            name.replace('-', "_").to_lowercase(),
            name.replacen('-', ".", 1).to_uppercase(),
        ] {
            let reply =
                service.ask("GET", "/x").header(&alias, "spoofed-by-client").send().expect(200);
            let is_id = name == "X-Request-Id" && alias.eq_ignore_ascii_case(name);
            assert!(is_id || !reply.text().contains("spoofed"), "{alias}: {}", reply.text());
            checked += 1;
        }
    }
    assert!(checked >= 30);
    wharf.finish();
}

#[test]
fn t17_connection_cannot_remove_the_headers_that_we_add() {
    let wharf = Wharf::start();
    let service = wharf.app();
    for ours in ["X-Forwarded-For", "X-Forwarded-Proto", "X-Forwarded-Host", "X-Request-Id", "Host"]
    {
        let value = format!("keep-alive, {ours}");
        let request = service.ask("GET", "/x").header("Connection", &value);
        let mut connection = testkit::http::Connection::open(wharf.port());
        connection.send(&request.head_bytes());
        let reply = connection.read_reply().expect(200);
        let line = format!("\r\n{}: ", ours.to_ascii_lowercase());
        assert!(reply.text().to_ascii_lowercase().contains(&line), "{ours}: {}", reply.text());
    }
    // Nor can it make our credentials look like something to pass on.
    let request = service.ask("GET", "/x").header("Connection", "Authorization, Cookie");
    let mut connection = testkit::http::Connection::open(wharf.port());
    connection.send(&request.head_bytes());
    let text = connection.read_reply().text();
    assert!(!text.contains(secret_of(wharf.token())), "{text}");
    wharf.finish();
}

/// Every file below a folder that holds the needle; symbolic links are not followed.
fn files_with(folder: &Path, needle: &str) -> Vec<String> {
    let mut grep = Command::new("grep");
    grep.args(["--recursive", "--files-with-matches", "--fixed-strings", "--text", "-e", needle]);
    let output = grep.arg(folder).output().expect("grep runs");
    String::from_utf8_lossy(&output.stdout).lines().map(str::to_owned).collect()
}

#[test]
fn t06_no_log_and_no_record_holds_a_token() {
    let wharf = Wharf::start();
    let (_, ada) = wharf.new_user("ada");
    wharf.import("testapp.docker.tar");
    let service = wharf.submit(&Launch { token: Some(ada.clone()), ..Launch::default() });
    service.wait_ready(&wharf);
    let escaped = ada.replace('/', "%2F");
    // Every way that a token can be sent, right and wrong, with an app that logs what it sees.
    let cookie = {
        let reply = service.bare("GET", &format!("/?api_token={escaped}")).send().expect(303);
        let cookie = reply.header("Set-Cookie").expect("a session").to_owned();
        cookie.split(';').next().unwrap_or_default().to_owned()
    };
    for request in [
        service.bare("GET", "/").bearer(&ada),
        service.bare("POST", &format!("/x?api_token={escaped}")).body("x"),
        service.bare("GET", &format!("/x?api_token={escaped}%20")),
        service.bare("GET", &format!("//x?api_token={escaped}&api_token=v2/x/y")),
        service.bare("GET", "/").header("Cookie", &cookie),
        wharf.request(&wharf.host("nobody"), "GET", &format!("/?api_token={escaped}")),
        wharf.request(
            &wharf.api_host(),
            "GET",
            &format!("/arvados/v1/users/current?api_token={escaped}"),
        ),
        wharf.request(&wharf.api_host(), "GET", &format!("/nowhere?api_token={escaped}")),
    ] {
        let _reply = request.try_send();
    }
    let seen = service.get("/").text();
    let _logged = service.ask("POST", "/log").body(seen).send().expect(200);
    let shown = wharf.cli(&["show", &service.request]);
    assert!(!shown.stdout.contains(secret_of(&ada)) && !shown.stderr.contains(secret_of(&ada)));
    service.cancel(&wharf);
    let _record = service.wait_over(&wharf);
    let found = files_with(wharf.home(), secret_of(&ada));
    assert!(found.is_empty(), "the token stands in {found:?}");
    let value = cookie.split_once('=').map_or("", |(_, value)| value);
    let found = files_with(wharf.home(), value);
    assert!(found.is_empty(), "the session stands in {found:?}");
    // The administrator's stands in the credentials file and nowhere else.
    let found = files_with(wharf.home(), secret_of(wharf.token()));
    assert!(found.len() == 1 && found[0].ends_with("credentials.json"), "{found:?}");
    wharf.finish();
}

#[test]
fn t26_no_page_of_a_service_host_asks_for_a_name_or_a_password() {
    let wharf = Wharf::start();
    let (uuid, token) = wharf.new_user("ada");
    let password = json!({"password": "correct horse"});
    let path = format!("/wharf/v1/users/{uuid}/password");
    let _set = wharf.api("POST", &path, Some(&password)).expect(200);
    let service = wharf.app();
    let over = wharf.app();
    over.cancel(&wharf);
    let _ended = over.wait_over(&wharf);
    let check = |request: Request, status: u16| {
        let page = request.navigating().send().expect(status);
        let text = page.text().to_ascii_lowercase();
        assert!(text.contains("<h1"), "{status} is no page: {text}");
        for part in ["<form", "<input", "password"] {
            assert!(!text.contains(part), "{status} has {part}: {text}");
        }
    };
    let at = |host: &str| wharf.request(host, "GET", "/");
    check(at(&service.host()), 403);
    check(at(&service.host()).bearer(&token), 403);
    check(at(&service.host_of(9999)).bearer(wharf.token()), 502);
    check(at(&wharf.host("nobody")), 404);
    check(at(&over.host()).bearer(wharf.token()), 410);
    // The dashboard's own addresses are the app's here, and it is told what its user sent, without what is ours.
    for path in ["/sign-in", "/login?return_to=x", "/sign-in/openid", "/account"] {
        let _refused = wharf.request(&service.host(), "GET", path).send().expect(403);
        let served = service.get(path).expect(200);
        assert!(served.text().contains(&format!("GET {path} HTTP/1.1")), "{}", served.text());
        assert_eq!(served.header("Set-Cookie"), None);
    }
    wharf.finish();
}
