//! Signing in with a provider that is not ours: into the dashboard, for Workbench, into a service, and out again.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use testkit::openid::{Browser, OpenIdProvider, Page, between};
use testkit::{BOUND, Launch, Wharf, wait_for};

const ACTIVE: &str = "Users: {NewUsersAreActive: true}\n";

/// A Wharf whose people sign in with a provider.
struct Site {
    wharf: Wharf,
    provider: OpenIdProvider,
}

impl Site {
    /// `more` are further keys of `Login.OpenIDConnect`, `rest` is further config.
    fn start(more: &str, rest: &str) -> Self {
        let mut provider = OpenIdProvider::start();
        let wharf = Wharf::start_configured(&format!("{}{rest}", provider.config(more)));
        provider.lead_back_to(&redirect_uri(&wharf), "RS256");
        Self { wharf, provider }
    }

    fn url(&self, path: &str) -> String {
        format!("http://localhost:{}{path}", self.wharf.port())
    }

    /// Signs in and goes on to `next`.
    fn sign_in(&self, browser: &Browser, name: &str, next: &str) -> Page {
        browser.sign_in(&self.url(&format!("/sign-in/openid?next={next}")), name, "nowhere")
    }

    fn user(&self, name: &str) -> Value {
        let shown = self.wharf.cli(&["user", "show", name, "--json"]).expect(0);
        let shown: Value = serde_json::from_str(&shown.stdout).expect("it is JSON");
        shown["user"].clone()
    }

    fn finish(self) {
        self.wharf.finish();
    }
}

fn redirect_uri(wharf: &Wharf) -> String {
    format!("http://localhost:{}/login", wharf.port())
}

#[test]
fn a_person_signs_in_with_the_provider_and_out_again() {
    let site = Site::start("", ACTIVE);
    let browser = Browser::new();
    let page = browser.open(&site.url("/account"));
    assert!(page.url.contains("/sign-in?next=%2Faccount"), "{}", page.url);
    page.has("Sign in with Test ID");
    assert!(!page.text.contains("name=\"password\""), "nobody has a password: {}", page.text);
    let link = between(&page.text, "href=\"/sign-in/openid", "\"").expect("a link");
    let start = site.url(&format!("/sign-in/openid{}", link.replace("&amp;", "&")));
    let signed_in = browser.sign_in(&start, "ada", "nowhere").expect(200);
    assert_eq!(signed_in.onward(), Some("/account"));
    // The provider tells addresses at its userinfo endpoint only.
    browser.open(&site.url("/account")).expect(200).has("ada@example.com");
    let ada = site.user("ada");
    assert_eq!((&ada["first_name"], &ada["last_name"]), (&json!("ada"), &json!("Example")));
    assert_eq!((&ada["is_admin"], &ada["is_active"]), (&json!(false), &json!(true)));
    let token_uuids = site.wharf.cli(&["token", "list", "--user", "ada", "--json"]).expect(0);
    let tokens: Value = serde_json::from_str(&token_uuids.stdout).expect("it is JSON");
    let uuid = tokens[0]["uuid"].as_str().expect("the session has a token");
    let on_the_way = signed_in.visited.join("\n");
    assert!(!on_the_way.contains(uuid), "{on_the_way}");
    let code = between(&signed_in.url, "code=", "&").expect("the code was in the address");
    let output = site.wharf.output();
    for secret in ["a secret of the client", "ada@example.com", code] {
        assert!(!output.contains(secret), "{secret:?} in the log:\n{output}");
    }

    let page = browser.open(&site.url("/account"));
    let form_token = between(&page.text, "name=\"form_token\" value=\"", "\"").expect("a form");
    let out = browser.submit(&site.url("/sign-out"), &format!("form_token={form_token}"));
    let end = out.onward().expect("it leads to the provider");
    assert!(end.starts_with(&format!("{}/session/end?", site.provider.issuer())), "{end}");
    browser.open(end).expect(200).has("Do you want to sign-out");
    assert!(browser.open(&site.url("/account")).url.contains("/sign-in"));
    site.finish();
}

#[test]
fn who_is_new_waits_for_an_administrator() {
    let site = Site::start("", "");
    let browser = Browser::new();
    let page = site.sign_in(&browser, "ada", "/account").expect(403);
    page.has("Your account is not active");
    page.has("wharf user activate ada");
    assert!(browser.open(&site.url("/account")).url.contains("/sign-in"));
    let said = site.wharf.cli(&["user", "activate", "ada"]).expect(0);
    assert!(said.stderr.contains("is now: user"), "{}", said.stderr);
    let page = site.sign_in(&browser, "ada", "/account").expect(200);
    assert_eq!(page.onward(), Some("/account"));
    browser.open(&site.url("/account")).expect(200).has("ada@example.com");
    // And may be stopped at any time: the session is worth nothing then.
    let _said = site.wharf.cli(&["user", "deactivate", "ada"]).expect(0);
    assert!(browser.open(&site.url("/account")).url.contains("/sign-in"));
    site.sign_in(&browser, "ada", "/account").expect(403).has("not active");
    site.finish();
}

#[test]
fn accounts_are_found_by_the_person_and_linked_by_a_verified_address_alone() {
    let site = Site::start("LinkByEmail: true", "Users: {AutoSetupNewUsers: false}\n");
    let wharf = &site.wharf;
    let (ada, _token) = wharf.new_user("ada");
    let (unsure, _token) = wharf.new_user("unsure");
    let identities = |uuid: &str| {
        wharf.api("GET", &format!("/wharf/v1/users/{uuid}/identities"), None).expect(200).json()
    };
    // Nobody made an account for her, and the site makes none.
    site.sign_in(&Browser::new(), "eve", "/").expect(403).has("no account for you");
    // Her address is not verified.
    site.sign_in(&Browser::new(), "unsure", "/").expect(403).has("no account for you");
    assert_eq!(identities(&unsure)["items"], json!([]));
    let page = site.sign_in(&Browser::new(), "ada", "/account");
    assert_eq!(page.expect(200).onward(), Some("/account"));
    let linked = identities(&ada);
    assert_eq!(linked["items"][0]["subject"], "ada", "{linked}");
    assert_eq!(linked["items"][0]["issuer"], site.provider.issuer());
    // From now on the address says nothing.
    let changed = json!({"user": {"email": "other@example.com"}});
    let path = format!("/arvados/v1/users/{ada}");
    let _changed = wharf.api("PUT", &path, Some(&changed)).expect(200);
    let _page = site.sign_in(&Browser::new(), "ada", "/").expect(200);
    let _said = wharf.cli(&["user", "unlink", "ada"]).expect(0);
    site.sign_in(&Browser::new(), "ada", "/").expect(403).has("no account for you");
    // Users see nothing of it, and change nothing.
    let (_uuid, token) = wharf.new_user("bob");
    let path = format!("/wharf/v1/users/{ada}/identities");
    let _refused = wharf.api_as(&token, "GET", &path, None).expect(403);
    let _refused = wharf.api_as(&token, "DELETE", &path, None).expect(403);
    site.finish();
}

#[test]
fn a_name_that_is_taken_is_not_taken_over() {
    let site = Site::start("", ACTIVE);
    let (before, _token) = site.wharf.new_user("ada");
    let _page = site.sign_in(&Browser::new(), "ada", "/").expect(200);
    let made = site.user("ada2");
    assert_ne!(made["uuid"], before.as_str());
    assert_eq!(site.user("ada")["uuid"], before.as_str());
    site.finish();
}

#[test]
fn workbench_gets_a_token_of_whoever_signs_in_with_the_provider() {
    let trusted = "http://workbench.localhost:1";
    let clients = format!("  TrustedClients: ['{trusted}']\n{ACTIVE}");
    let site = Site::start("", &clients);
    let exported = site.wharf.api("GET", "/arvados/v1/config", None).expect(200).json();
    assert_eq!(exported["Login"]["OpenIDConnect"]["Enable"], true);
    assert_eq!(exported["Login"]["Test"]["Enable"], false, "it would show a form of its own");
    let browser = Browser::new();
    let login = site.url(&format!("/login?return_to={trusted}/token"));
    let page = browser.open(&login).expect(200);
    let link = between(&page.text, "href=\"/sign-in/openid", "\"").expect("a link");
    let start = site.url(&format!("/sign-in/openid{}", link.replace("&amp;", "&")));
    let page = browser.sign_in(&start, "ada", "nowhere").expect(200);
    let onward = site.url(page.onward().expect("it goes on"));
    let page = browser.open_until(&onward, trusted);
    let token = page.redirect.strip_prefix(&format!("{trusted}/token?api_token="));
    let me = site.wharf.api_as(token.expect("a token"), "GET", "/arvados/v1/users/current", None);
    assert_eq!(me.expect(200).json()["username"], "ada");
    site.finish();
}

#[test]
fn a_private_port_signs_in_with_the_provider_and_is_come_back_to() {
    let site = Site::start("", ACTIVE);
    let wharf = &site.wharf;
    // Ada came before, and has a service.
    let _page = site.sign_in(&Browser::new(), "ada", "/").expect(200);
    let uuid = site.user("ada")["uuid"].as_str().expect("a uuid").to_owned();
    let token = Some(wharf.new_token(&uuid, &json!({})));
    let service = wharf.launch(&Launch { token, ..Launch::default() });
    let address = format!("http://{}/lab?x=1", service.host());
    let browser = Browser::new();
    let page = browser.open(&address).expect(403);
    let link = between(&page.text, "href=\"http://localhost", "\"").expect("a way to sign in");
    let sign_in = format!("http://localhost{}", link.replace("&amp;", "&"));
    let page = browser.open(&sign_in).expect(200);
    let link = between(&page.text, "href=\"/sign-in/openid", "\"").expect("a link");
    let start = site.url(&format!("/sign-in/openid{}", link.replace("&amp;", "&")));
    let page = browser.sign_in(&start, "ada", "nowhere").expect(200);
    let onward = page.onward().expect("it goes on");
    assert!(onward.starts_with("/open?host="), "{onward}");
    let page = browser.open(&site.url(onward)).expect(200);
    assert_eq!(page.url, address, "{:?}", page.visited);
    page.has("GET /lab?x=1 HTTP/1.1");
    // Somebody else signs in the same way, and still may not.
    let stranger = Browser::new();
    let page = stranger.sign_in(&start, "eve", "nowhere").expect(200);
    let page = stranger.open(&site.url(page.onward().expect("it goes on")));
    assert!(matches!(page.status, 403 | 404), "{}: {}", page.status, page.text);
    site.finish();
}

#[test]
fn t08_a_code_of_somebody_else_or_of_another_time_signs_nobody_in() {
    let site = Site::start("", ACTIVE);
    let back = site.url("/login?");
    let start = site.url("/sign-in/openid?next=/account");
    // The attacker keeps the address that leads back, with a code of theirs in it.
    let attacker = Browser::new();
    let stopped = attacker.sign_in(&start, "eve", &back);
    let theirs = stopped.redirect;
    assert!(theirs.contains("code=") && theirs.contains("state="), "{theirs}");
    let is_signed_in = |browser: &Browser| {
        let page = browser.open(&site.url("/account"));
        (page.status == 200 && !page.url.contains("/sign-in")).then_some(page.text)
    };
    // In a browser that began nothing, and in one that began a sign-in of its own.
    let clean = Browser::new();
    clean.open(&theirs).expect(403).has("not begun in this browser");
    assert_eq!(is_signed_in(&clean), None);
    let victim = Browser::new();
    let _at_the_provider = victim.open(&start);
    victim.open(&theirs).expect(403).has("not begun in this browser");
    assert_eq!(is_signed_in(&victim), None);
    // With a changed state in the attacker's own.
    let (front, state) = theirs.split_once("state=").expect("a state");
    let _refused = attacker.open(&format!("{front}state=x{}", &state[1..])).expect(403);
    // It is good there, once.
    let _page = attacker.open(&theirs).expect(200);
    assert!(is_signed_in(&attacker).is_some_and(|text| text.contains("eve@example.com")));
    attacker.open(&theirs).expect(403).has("not begun in this browser");
    // The victim's own sign-in was not disturbed.
    let page = victim.sign_in(&start, "ada", "nowhere").expect(200);
    assert_eq!(page.onward(), Some("/account"));
    assert!(is_signed_in(&victim).is_some_and(|text| text.contains("ada@example.com")));
    site.finish();
}

#[test]
fn keys_that_change_are_found_and_a_provider_that_is_gone_is_said() {
    let mut site = Site::start("Timeout: 2s", ACTIVE);
    let _page = site.sign_in(&Browser::new(), "ada", "/").expect(200);
    // It comes back with other keys, of another kind.
    let port = site.provider.port();
    drop(std::mem::replace(&mut site.provider, OpenIdProvider::start()));
    let mut again = OpenIdProvider::at(port);
    again.lead_back_to(&redirect_uri(&site.wharf), "EdDSA");
    // Keys are looked for at most every 5 s.
    wait_for("the new keys to be known", BOUND, || {
        site.sign_in(&Browser::new(), "ada", "/").status == 200
    });
    // It goes while somebody is on the way back.
    let browser = Browser::new();
    let start = site.url("/sign-in/openid?next=/");
    let stopped = browser.sign_in(&start, "ada", &site.url("/login?"));
    drop(again);
    let begin = Instant::now();
    browser.open(&stopped.redirect).expect(503).has("does not answer right now");
    assert!(begin.elapsed() < Duration::from_secs(15), "{:?}", begin.elapsed());
    site.finish();
}

#[test]
fn a_provider_that_was_never_there_is_said_and_passwords_go_on() {
    // Nobody listens there any more.
    let provider = OpenIdProvider::start();
    let config = provider.config("Timeout: 2s");
    drop(provider);
    let wharf = Wharf::start_configured(&config);
    let (uuid, _token) = wharf.new_user("ada");
    let password = json!({"password": "correct horse"});
    let path = format!("/wharf/v1/users/{uuid}/password");
    let _set = wharf.api("POST", &path, Some(&password)).expect(200);
    let url = |path: &str| format!("http://localhost:{}{path}", wharf.port());
    let browser = Browser::new();
    let page = browser.open(&url("/sign-in/openid")).expect(503);
    page.has("does not answer right now");
    let page = browser.open(&url("/sign-in")).expect(200);
    page.has("Sign in with Test ID");
    page.has("name=\"password\"");
    let form = "username=ada&password=correct%20horse&next=/account";
    let page = browser.submit(&url("/sign-in"), form).expect(200);
    page.has("ada@example.com");
    wharf.finish();
}

#[test]
fn a_site_without_passwords_takes_none() {
    let wharf = Wharf::start_configured("Login: {Passwords: false}\n");
    let (uuid, _token) = wharf.new_user("ada");
    let path = format!("/wharf/v1/users/{uuid}/password");
    let password = json!({"password": "correct horse"});
    let _set = wharf.api("POST", &path, Some(&password)).expect(200);
    let tried = json!({"username": "ada", "password": "correct horse"});
    let refused = wharf.api("POST", "/arvados/v1/users/authenticate", Some(&tried)).expect(403);
    assert!(refused.text().contains("Login.Passwords"), "{}", refused.text());
    let page = Browser::new().open(&format!("http://localhost:{}/sign-in", wharf.port()));
    assert!(!page.text.contains("name=\"password\""), "{}", page.text);
    wharf.finish();
}
