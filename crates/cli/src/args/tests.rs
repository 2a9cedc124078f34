use clap::CommandFactory;
use model::Access;

use super::values::{Forward, Mount, Publish, parse_env, parse_listen, parse_port, parse_size};
use super::*;

fn parse_words(line: &str) -> Result<Cli, String> {
    let words = std::iter::once("wharf").chain(line.split(' ').filter(|word| !word.is_empty()));
    let first = line.split(' ').next().unwrap_or_default();
    Cli::try_parse_from(words).map_err(|error| usage_line(&error, first))
}

fn run_args(line: &str) -> RunArgs {
    match parse_words(line).unwrap().command {
        Command::Client(ClientCommand::Run(args)) => *args,
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_definitions_are_sound() {
    Cli::command().debug_assert();
}

#[test]
fn every_listed_command_has_help_with_an_example() {
    fn check(command: &clap::Command, path: &str) {
        let listed: Vec<_> = command.get_subcommands().filter(|sub| !sub.is_hide_set()).collect();
        if listed.is_empty() {
            let help = command.clone().render_long_help().to_string();
            let words = path.trim_start_matches("wharf ");
            let example = format!("wharf {words}");
            let has_example = help.split_once("Example").is_some_and(|(_, rest)| {
                rest.contains(&example) || rest.contains(&format!("$(wharf {words}"))
            });
            assert!(has_example, "{path} has no example:\n{help}");
            assert!(command.get_about().is_some(), "{path} says nothing about itself");
        }
        for sub in listed {
            check(sub, &format!("{path} {}", sub.get_name()));
        }
    }
    check(&Cli::command(), "wharf");
}

#[test]
fn ports_to_forward() {
    let check = |text: &str, local: u16, port: u16| {
        let parsed: Forward = text.parse().unwrap();
        assert_eq!((parsed.local, parsed.port.get()), (local, port), "{text}");
    };
    check("5432", 5432, 5432);
    check("15432:5432", 15432, 5432);
    check("0:80", 0, 80);
    for wrong in ["", "0", ":80", "80:", "80:0", "70000", "1:2:3", "a", "+1", "00:80"] {
        assert!(wrong.parse::<Forward>().is_err(), "{wrong}");
    }
    assert!(parse_words("forward db").unwrap_err().contains("LOCAL:"));
}

#[test]
fn ports_to_publish() {
    let check = |text: &str, port: u16, access: Access, label: &str| {
        let parsed: Publish = text.parse().unwrap();
        assert_eq!(parsed.port.get(), port, "{text}");
        assert_eq!((parsed.entry.access, parsed.entry.label.as_str()), (access, label), "{text}");
    };
    check("8888", 8888, Access::Private, "port 8888");
    check("80:public", 80, Access::Public, "port 80");
    check("80:private", 80, Access::Private, "port 80");
    check("80:public:My app", 80, Access::Public, "My app");
    check("80:public:a:b", 80, Access::Public, "a:b");
    check("80:Jupyter", 80, Access::Private, "Jupyter");
    check("80:a:b", 80, Access::Private, "a:b");
    check("80:", 80, Access::Private, "port 80");
    check("65535", 65535, Access::Private, "port 65535");
    for text in ["", "0", "080", "+80", "65536", "http", "80/tcp", ":80", "-1"] {
        let error = text.parse::<Publish>().unwrap_err();
        assert!(error.contains("from 1 to 65535"), "{text}: {error}");
    }
}

#[test]
fn mounts() {
    let check = |text: &str, source: &str, target: &str, is_writable: bool| {
        let expected = Mount { source: source.into(), target: target.to_owned(), is_writable };
        assert_eq!(text.parse(), Ok(expected), "{text}");
    };
    check("/a:/b", "/a", "/b", true);
    check("./a:/b:ro", "./a", "/b", false);
    check("a b:/b:rw", "a b", "/b", true);
    check("/with:colon:/b", "/with:colon", "/b", true);
    for text in ["", "/a", ":/b", "/a:", "/a:b", "/a:/", "/a:ro", "/a:/b:rx", "/a://"] {
        assert!(text.parse::<Mount>().is_err(), "{text}");
    }
}

#[test]
fn variables_sizes_ports_and_addresses() {
    assert_eq!(parse_env("A=b=c"), Ok(("A".into(), "b=c".into())));
    assert_eq!(parse_env("A="), Ok(("A".into(), String::new())));
    assert!(parse_env("A").is_err() && parse_env("=b").is_err() && parse_env("A B=c").is_err());
    assert_eq!(parse_size("1GiB").map(config::ByteSize::get), Ok(1 << 30));
    assert!(parse_size("0").is_err() && parse_size("big").is_err());
    assert!(parse_port("8080").is_ok() && parse_port("x").is_err());
    assert_eq!(parse_listen("localhost:0"), parse_listen("127.0.0.1:0"));
    assert!(parse_listen("[::1]:80").is_ok() && parse_listen("8000").is_err());
}

#[test]
fn run_takes_all_its_flags_and_the_command_after_two_hyphens() {
    let args = run_args(
        "run --name N --publish 8888:private:Lab --publish 80:public --hostname h --image i:1 \
         --mount /a:/b:ro --env K=V --ram 1GiB --cpus 2 --wait --open -- prog --flag -x",
    );
    assert_eq!(args.publish.len(), 2);
    assert_eq!(args.hostname.as_deref(), Some("h"));
    assert_eq!(args.ram.map(config::ByteSize::get), Some(1 << 30));
    assert_eq!((args.cpus, args.wait, args.open, args.batch), (Some(2), true, true, false));
    assert_eq!(args.command, ["prog", "--flag", "-x"]);
    assert!(run_args("run --batch -- sh").batch);
    assert!(run_args("run").command.is_empty());
}

#[test]
fn global_flags_go_anywhere() {
    let cli = parse_words("ps --data /d -a").unwrap();
    assert_eq!(cli.shared.data.as_deref(), Some(std::path::Path::new("/d")));
    let cli = parse_words("--data /d up --listen 127.0.0.1:0 --ready-file /r").unwrap();
    assert_eq!(cli.shared.data.as_deref(), Some(std::path::Path::new("/d")));
    assert!(matches!(cli.command, Command::Role(RoleCommand::Up(_))));
}

#[test]
fn commands_of_later_versions_take_whatever_follows() {
    for line in ["put x -- -l", "image pull x"] {
        assert!(parse_words(line).is_ok(), "{line}");
    }
}

#[test]
fn a_command_in_a_container_goes_behind_two_hyphens() {
    for line in
        ["shell x", "shell x -- ls -l", "shell -T x -- sh -c 'exit 3'", "shell x --session s"]
    {
        assert!(parse_words(line).is_ok(), "{line}");
    }
    for line in ["shell", "shell x ls", "shell x --session s -- ls", "shell -t -T x"] {
        assert!(parse_words(line).is_err(), "{line}");
    }
}

#[test]
fn inputs_of_a_document_go_behind_it() {
    let inputs = |line: &str| match parse_words(line).unwrap().command {
        Command::Role(RoleCommand::Cwl(crate::CwlCommand::Run(args))) => args.inputs,
        other => panic!("{other:?}"),
    };
    assert_eq!(inputs("cwl run a.cwl job.yml"), ["job.yml"]);
    assert_eq!(
        inputs("cwl run --local a.cwl --text in.txt --n 3"),
        ["--text", "in.txt", "--n", "3"]
    );
    assert_eq!(inputs("cwl run a.cwl -- --data in.txt"), ["--data", "in.txt"]);
}

#[test]
fn mistakes_are_one_line_that_says_what_to_do() {
    let check = |line: &str, expected: &str| {
        assert_eq!(parse_words(line).unwrap_err(), expected, "{line}");
    };
    check(
        "run --publish 0",
        "invalid value '0' for '--publish <PORT[:public|private][:LABEL]>': \"0\" is no port; \
         write a number from 1 to 65535; see `wharf run --help`",
    );
    check(
        "run --open",
        "the following required arguments were not provided: \
         --publish <PORT[:public|private][:LABEL]>; see `wharf run --help`",
    );
    check(
        "url",
        "the following required arguments were not provided: <ID>; see `wharf url --help`",
    );
    check(
        "pss",
        "unrecognized subcommand 'pss'; a similar subcommand exists: 'ps'; \
         see `wharf --help`",
    );
    check(
        "stop x --timeout 5",
        "invalid value '5' for '--timeout <TIME>': \"5\" is no duration; write for example 500ms, \
         10s, 5m or 12h; see `wharf stop --help`",
    );
    check(
        "run --batch --wait",
        "the argument '--batch' cannot be used with '--wait'; see `wharf run --help`",
    );
}
