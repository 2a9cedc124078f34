//! Records on a PostgreSQL server. With `WHARF_TEST_POSTGRES` set, other modules run over one, too (docs/testing.md).

use serde_json::json;
use testkit::postgres::{PASSWORD, Server};
use testkit::{BOUND, Options, Wharf, wait_for};

const REQUESTS: &str = "/arvados/v1/container_requests";

fn options(url: String, apart: bool) -> Options {
    Options { apart, environment: vec![("WHARF_DATABASE".to_owned(), url)], ..Options::default() }
}

#[test]
fn a_service_goes_on_while_the_database_server_is_started_anew_and_nobody_sees_its_password() {
    let mut server = Server::start();
    let database = server.database();
    let wharf = Wharf::start_with(options(database.url(), true));
    let second = wharf.start_another_controller();
    assert!(!wharf.data().join("wharf.db").exists(), "no records in a file");
    let service = wharf.app();
    let there = service.at(second.port());
    wait_for("the other controller to serve", BOUND, || there.get("/x").status() == 200);
    let named = json!({"link": {"link_class": "hostname", "name": "lab", "head_uuid": service.request,
        "properties": {"port": 8080}}});
    let _made = wharf.api_at(second.port(), "POST", "/arvados/v1/links", Some(&named)).expect(200);
    let host = wharf.host("lab");
    let ask = || wharf.request(&host, "GET", "/x").bearer(wharf.token()).send().status();
    wait_for("the name at the first controller", BOUND, || ask() == 200);

    let status = |port| wharf.api_at(port, "GET", REQUESTS, None).status();
    server.stop();
    assert_eq!((status(wharf.port()), status(second.port())), (503, 503));
    server.start_again();
    for port in [wharf.port(), second.port()] {
        wait_for("records again", BOUND, || status(port) == 200);
    }
    wait_for("the service again", BOUND, || service.get("/x").status() == 200);
    wait_for("the name again", BOUND, || ask() == 200);
    // Changes are heard again, too.
    let path = format!("{REQUESTS}/{}", service.request);
    let body = json!({"container_request": {"priority": 0}});
    let said = service.shell("cat /proc/*/environ /proc/*/cmdline | tr '\\0' '\\n'");
    let _cancelled = wharf.api_at(second.port(), "PUT", &path, Some(&body)).expect(200);
    assert_eq!(service.wait_over(&wharf)["state"], "Cancelled");
    wait_for("the end to be known at the first one", BOUND, || service.get("/x").status() == 410);
    assert!(said.contains("testkit-app") && !said.contains(PASSWORD), "{said}");
    assert!(!wharf.output().contains(PASSWORD), "{}", wharf.output());
    wharf.finish_with(second);
}

#[test]
fn a_server_that_cannot_be_reached_is_told_with_what_to_do_and_without_the_password() {
    let wharf = Wharf::start();
    let url = format!("postgres://ada:{PASSWORD}@127.0.0.1:1/wharf");
    for words in [["--database", url.as_str()], ["--database", PASSWORD]] {
        let data = wharf.home().join("other");
        let data = data.to_string_lossy();
        let up = [&["up", "--listen", "127.0.0.1:0", "--data", &*data], &words[..]].concat();
        let refused = wharf.cli(&up).expect(1);
        let said = format!("{}{}", refused.stdout, refused.stderr);
        assert!(!said.contains(PASSWORD), "{said}");
        let names_it = said.contains("127.0.0.1:1") && said.contains("check that the server runs");
        assert!(names_it || said.contains("must be an address such as postgres://"), "{said}");
    }
    wharf.finish();
}

#[test]
fn over_tls_only_a_server_with_the_right_certificate_is_taken_where_the_address_insists() {
    let server = Server::start_with_tls();
    let database = server.database();
    let (root, wrong_root) = (server.root(), server.wrong_root());
    let (root, wrong_root) = (root.display(), wrong_root.display());
    let url = |host: &str, parameters: &str| server.tcp_url(&database, host, parameters);
    let right = url("localhost", &format!("sslmode=verify-full&sslrootcert={root}"));
    let wharf = Wharf::start_with(options(right, false));
    let _listed = wharf.api("GET", REQUESTS, None).expect(200);
    let connections = |is_encrypted: &str| {
        server.ask(&format!(
            "SELECT count(*) FROM pg_stat_ssl JOIN pg_stat_activity USING (pid) \
             WHERE application_name = 'wharf' AND {is_encrypted}"
        ))
    };
    assert_ne!(connections("ssl"), "0");
    assert_eq!(connections("NOT ssl"), "0");
    let other = wharf.home().join("other");
    let up = |url: String| {
        let mut command = wharf.command();
        command.args(["up", "--listen", "127.0.0.1:0", "--data"]).arg(&other);
        let output = command.env("WHARF_DATABASE", url).output().expect("wharf runs");
        (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
    };
    for (host, parameters) in [
        ("localhost", format!("sslmode=verify-full&sslrootcert={wrong_root}")),
        ("localhost", format!("sslmode=verify-ca&sslrootcert={wrong_root}")),
        // The certificate is for another name.
        ("127.0.0.1", format!("sslmode=verify-full&sslrootcert={root}")),
    ] {
        let (code, said) = up(url(host, &parameters));
        assert_eq!(code, Some(1), "{parameters}: {said}");
        assert!(said.contains("check the server's certificate"), "{parameters}: {said}");
        assert!(said.contains("invalid peer certificate"), "{parameters}: {said}");
        assert!(!said.contains(PASSWORD), "{said}");
    }
    // What is refused here is the directory: the server was taken.
    for (host, parameters) in [
        ("localhost", "sslmode=require".to_owned()),
        ("127.0.0.1", format!("sslmode=verify-ca&sslrootcert={root}")),
    ] {
        let (code, said) = up(url(host, &parameters));
        assert_eq!(code, Some(1), "{parameters}: {said}");
        assert!(said.contains(&*wharf.data().to_string_lossy()), "{parameters}: {said}");
    }
    wharf.finish();
}

#[test]
fn a_site_that_outgrows_its_file_goes_on_with_its_records_on_a_server() {
    let server = Server::start();
    let database = server.database();
    // Whatever the other tests of this run do, this site begins with a file.
    let mut wharf = Wharf::start_with(options(String::new(), false));
    let service = wharf.app();
    let copy = |wharf: &Wharf| {
        let mut command = wharf.command();
        command.args(["database", "copy"]).env("WHARF_DATABASE", database.url());
        command.output().expect("wharf runs")
    };
    let refused = copy(&wharf);
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(!refused.status.success() && said.contains("is in use: stop every Wharf"), "{said}");

    wharf.stop_controller();
    let copied = copy(&wharf);
    let said = String::from_utf8_lossy(&copied.stdout).into_owned();
    assert!(copied.status.success() && said.starts_with("Copied "), "{said}");
    assert!(!said.contains(PASSWORD), "{said}");
    wharf.set_environment("WHARF_DATABASE", &database.url());
    std::fs::remove_file(wharf.data().join("wharf.db")).expect("nobody needs it");
    let _taken = wharf.restart_controller();
    // Its address, its token and its container are as before.
    wait_for("the service again", BOUND, || service.get("/x").status() == 200);
    assert_eq!(service.record(&wharf)["state"], "Running");
    assert!(!wharf.data().join("wharf.db").exists(), "no records in a file");
    wharf.finish();
}

#[test]
fn the_records_of_one_data_directory_are_not_taken_for_those_of_another() {
    let server = Server::start();
    let database = server.database();
    let wharf = Wharf::start_with(options(database.url(), false));
    let other = wharf.home().join("other");
    let mut command = wharf.command();
    command.args(["up", "--listen", "127.0.0.1:0", "--data"]).arg(&other);
    let output = command.env("WHARF_DATABASE", database.url()).output().expect("wharf runs");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains(&*wharf.data().to_string_lossy()), "{said}");
    wharf.finish();
}
