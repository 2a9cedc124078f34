//! What a command reads: its standard input, files in memory, a port of ours.

use crate::fixture::Site;
use crate::harness::tests;
use runtime::{Input, TextFile};
use std::io::{Read as _, Write as _};

tests![
    standard_input_is_a_text_or_a_file,
    files_in_memory_are_read_only_and_on_no_disk,
    a_port_of_ours_listens_before_the_command_runs,
];

async fn standard_input_is_a_text_or_a_file() {
    let site = Site::new().await;
    let long = "0123456789".repeat(100_000);
    let mut draft = site.shell("text", "wc -c");
    draft.spec.stdin = Input::Text(long);
    assert_eq!(draft.output().await.0, "1000000\n");
    let file = site.dir.path().join("input");
    std::fs::write(&file, "from a file\n").expect("a file");
    let mut draft = site.shell("file", "cat").user("1000");
    draft.spec.stdin = Input::File(file);
    assert_eq!(draft.output().await.0, "from a file\n");
    assert_eq!(site.output("empty", "cat; echo end").await.0, "end\n");
}

async fn files_in_memory_are_read_only_and_on_no_disk() {
    let site = Site::new().await;
    let script = "cat /etc/secret /new/dir/other; ls -a /dev | grep -c text; \
                  echo x 2>/dev/null > /etc/secret || echo kept";
    let mut draft = site.shell("c", script);
    let large = format!("{}\n", "x".repeat(200_000));
    draft.spec.files = vec![
        TextFile { target: "/etc/secret".to_owned(), text: "sesame\n".to_owned() },
        TextFile { target: "/new/dir/other".to_owned(), text: large.clone() },
    ];
    let (text, _) = draft.output().await;
    assert_eq!(text, format!("sesame\n{large}0\nkept\n"));
}

async fn a_port_of_ours_listens_before_the_command_runs() {
    let site = Site::new().await;
    let mut draft = site.shell("c", "echo ping | nc 127.0.0.1 4000; echo ping | nc 127.1.0.2 80");
    draft.spec.listen =
        ["127.0.0.1:4000", "127.1.0.2:80"].map(|it| it.parse().expect("an address")).to_vec();
    let (mut handle, output) = draft.start_with_output().await;
    let listeners = handle.take_listeners();
    assert_eq!(listeners.len(), 2);
    assert!(handle.take_listeners().is_empty());
    let answered = tokio::task::spawn_blocking(move || {
        for listener in listeners {
            listener.set_nonblocking(false).expect("a blocking socket");
            let (mut inside, _) = listener.accept().expect("a connection");
            let mut asked = [0; 5];
            inside.read_exact(&mut asked).expect("a question");
            assert_eq!(&asked, b"ping\n");
            inside.write_all(b"pong\n").expect("an answer");
        }
    });
    answered.await.expect("no panic");
    assert_eq!(output.read_to_end().await, "pong\npong\n");
    handle.cleanup().await;
}
