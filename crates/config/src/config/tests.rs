use super::*;
use crate::raw::RawConfig;
use std::time::Duration;

fn base() -> Config {
    Config::local(PathBuf::from("/data"), "127.0.0.1:8000".parse().unwrap())
}

pub(crate) fn resolve(text: &str) -> Config {
    RawConfig::parse(text).unwrap().resolve(base()).unwrap()
}

/// The problems of a config, one line each.
pub(crate) fn problems(text: &str) -> Vec<String> {
    let error = RawConfig::parse(text).unwrap().resolve(base()).unwrap_err().to_string();
    error.lines().skip(1).map(|line| line.trim().to_owned()).collect()
}

#[test]
fn an_empty_file_changes_nothing() {
    assert_eq!(resolve("").to_yaml(), base().to_yaml());
    assert_eq!(resolve("# only a comment\n").to_yaml(), base().to_yaml());
    assert_eq!(resolve("Containers:\nAPI: {}\n").to_yaml(), base().to_yaml());
}

#[test]
fn what_is_printed_reads_back_to_itself() {
    let mut config = base();
    config.containers.stop_grace = Duration::from_millis(90_500);
    config.reserved_hostnames = vec!["intra".to_owned()];
    config.cluster_id = ClusterId::parse("12345").unwrap();
    config.proxy.front_proxies = vec!["10.0.0.1".parse().unwrap(), "2001:db8::1".parse().unwrap()];
    let text = config.to_yaml();
    assert_eq!(resolve(&text).to_yaml(), text);
}

#[test]
fn values_are_taken_over() {
    let config = resolve(
        "ClusterID: zzzzz\nListen: 127.0.0.1:9000\nContainers: {StopGrace: 1m, RAM: 1GiB}\n",
    );
    assert_eq!(config.cluster_id.as_str(), "zzzzz");
    assert_eq!(config.services.controller_url, "http://localhost:9000/");
    assert_eq!(config.services.service_domain.port(), Some(9000));
    assert_eq!(config.containers.stop_grace, Duration::from_secs(60));
    assert_eq!(config.containers.ram.get(), 1 << 30);
}

#[test]
fn a_site_without_a_wildcard_has_a_port_range() {
    let config = resolve(
        "Services: {ContainerWebServices: {ExternalURL: 'https://h.example/', \
         ExternalPortMin: 2000, ExternalPortMax: 2999}}",
    );
    assert_eq!(config.services.external_ports, Some((2000, 2999)));
    assert!(!config.services.service_domain.is_wildcard());
}

#[test]
fn every_bad_key_and_value_is_named() {
    let check = |text: &str, expected: &str| assert_eq!(problems(text), [expected], "{text}");
    check("ClusterId: x", "ClusterId: unknown key; did you mean ClusterID?");
    check(
        "Frobnicate: 1",
        "Frobnicate: unknown key; known here are ClusterID, Listen, DataDir, ReservedHostnames, \
         Services, Database, Containers, Lifetimes, API, Terminals, Collections, Proxy, Tunnels, Sessions, Login, Users, Dashboard, AuditLogs, \
         Metrics, Shutdown, Log, Volumes",
    );
    check(
        "ClusterID: toolong",
        "ClusterID: `toolong` is no cluster id: expected five characters a-z or 0-9",
    );
    check("Listen: 8000", "Listen: must be an address and port such as 127.0.0.1:8000, is 8000");
    check("DataDir: data", "DataDir: must be an absolute path, is \"data\"");
    check("Containers: 3", "Containers: must be a mapping of keys and values");
    check(
        "Containers: {StopGrce: 3s}",
        "Containers.StopGrce: unknown key; did you mean StopGrace?",
    );
    check(
        "Containers: {StopGrace: 3}",
        "Containers.StopGrace: needs a unit; write 3s if seconds are meant",
    );
    check("Containers: {StopGrace: 2h}", "Containers.StopGrace: must be from 0s to 1h, is 2h");
    check(
        "Containers: {MaxContainers: -1}",
        "Containers.MaxContainers: must be a whole number from 0 to 4294967295, is -1",
    );
    check(
        "Containers: {MaxContainers: 0}",
        "Containers.MaxContainers: must be from 1 to 100000, is 0",
    );
    check(
        "Containers: {RAM: lots}",
        "Containers.RAM: \"lots\" is no size; write for example 512MiB or 2GiB",
    );
    check(
        "Containers: {BindMounts: [/a, b]}",
        "Containers.BindMounts: item 2: must be an absolute path, is \"b\"",
    );
    check(
        "Containers: {RAMOvercommit: much}",
        "Containers.RAMOvercommit: must be a number, is \"much\"",
    );
    check(
        "Proxy: {FrontProxies: [10.0.0.1, proxy]}",
        "Proxy.FrontProxies: item 2: must be an address such as 10.0.0.1, is \"proxy\"",
    );
    check("Log: {Format: xml}", "Log.Format: must be text or json, is \"xml\"");
    check(
        "Services: {Controller: {ExternalURL: 'https://*.x.example/'}}",
        "Services.Controller.ExternalURL: must be an address such as https://wharf.example.com/, \
         is \"https://*.x.example/\"",
    );
    check(
        "Services: {ContainerWebServices: {ExternalURL: 'https://h.example/'}}",
        "Services.ContainerWebServices.ExternalPortMin: must be set, with ExternalPortMax, as \
         ExternalURL has no wildcard",
    );
    check(
        "Services: {ContainerWebServices: {ExternalPortMin: 9, ExternalPortMax: 8}}",
        "Services.ContainerWebServices.ExternalPortMin: must not be above ExternalPortMax",
    );
}

#[test]
fn all_problems_are_reported_at_once() {
    let found = problems("Lisen: x\nContainers: {StopGrace: x, VCPUs: -1}\nLog: [1]\n");
    assert_eq!(found.len(), 4, "{found:?}");
}

#[test]
fn what_is_no_mapping_and_double_keys_are_refused() {
    for text in [
        "- a\n",
        "just text",
        "Listen: [",
        "Containers: {RAMOvercommit: .inf}",
        "Listen: 127.0.0.1:1\nListen: 127.0.0.1:2\n",
    ] {
        assert!(RawConfig::parse(text).is_err(), "{text}");
    }
}

#[test]
fn a_provider_is_read_and_its_secret_is_not_printed() {
    let config = resolve(
        "Login: {Passwords: false, OpenIDConnect: {Enable: true, Issuer: 'https://id.example/', ClientID: w, \
         ClientSecret: hush, AuthenticationRequestParameters: {prompt: login}, Timeout: 3s}}\n\
         Users: {NewUsersAreActive: true}",
    );
    let provider = &config.openid_connect;
    assert!(provider.is_enabled && !config.login.passwords && config.users.new_users_are_active);
    assert_eq!(provider.parameters["prompt"], "login");
    assert_eq!(provider.client_secret.as_ref().map(crate::Secret::expose), Some("hush"));
    let text = config.to_yaml();
    assert!(!text.contains("hush") && !format!("{config:?}").contains("hush"), "{text}");
    let place =
        "Login.OpenIDConnect.ClientSecret: (not shown) stands for a secret that was left out";
    assert_eq!(problems(&text), [place]);
    let rest = text.replace("ClientSecret: \"(not shown)\"", "ClientSecret: other");
    assert_eq!(resolve(&rest).to_yaml(), text);
}

#[test]
fn a_provider_that_cannot_be_used_is_refused_by_field() {
    let check = |text: &str, expected: &[&str]| {
        let whole = format!("Login: {{OpenIDConnect: {{{text}}}}}");
        assert_eq!(problems(&whole), expected, "{text}");
    };
    check(
        "Enable: true",
        &[
            "Login.OpenIDConnect.Issuer: must be set where Enable is true",
            "Login.OpenIDConnect.ClientID: must be set where Enable is true",
        ],
    );
    check(
        "AcceptAccessToken: true",
        &["Login.OpenIDConnect.AcceptAccessToken: must be false: only tokens of Wharf's own are \
           accepted"],
    );
    check(
        "ClientSecret: a, ClientSecretFile: /b",
        &["Login.OpenIDConnect.ClientSecretFile: must not be set together with ClientSecret"],
    );
    check(
        "AuthenticationRequestParameters: {max_age: 3}",
        &["Login.OpenIDConnect.AuthenticationRequestParameters: max_age: must be text"],
    );
}
