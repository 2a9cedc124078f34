use super::*;

fn at(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn board(news: &[(&str, What<'_>)]) -> Board {
    let mut board = Board::default();
    for (n, (step, what)) in news.iter().enumerate() {
        board.hear(&News { step, what: what.clone() }, at(n as u64));
    }
    board
}

fn lines(board: &Board, rows_max: usize) -> Vec<String> {
    let line = |row: Row| {
        let mark = row.mark.map_or("", Mark::as_str);
        let link = row.link.map(|link| format!("  {link}")).unwrap_or_default();
        format!("{mark} {}{link}", row.text).trim().to_owned()
    };
    board.rows(at(100), rows_max).into_iter().map(line).collect()
}

#[test]
fn each_step_says_how_far_it_is_and_what_it_waits_for() {
    let board = board(&[
        ("make", What::Waits(vec![])),
        ("align", What::Waits(vec!["make"])),
        ("report", What::Waits(vec!["align", "serve"])),
        ("serve", What::Waits(vec![])),
        ("make", What::Begins(1)),
        ("make", What::Program(1, ProgramState::Queued)),
        ("make", What::Program(1, ProgramState::Running)),
        ("make", What::Program(1, ProgramState::Over)),
        ("make", What::Job(Outcome::Done)),
        ("make", What::Ends(Outcome::Done)),
        ("align", What::Begins(100)),
        ("align", What::Program(2, ProgramState::Queued)),
        ("align", What::Program(3, ProgramState::Running)),
        ("align", What::Job(Outcome::Done)),
        ("serve", What::Begins(1)),
        ("serve", What::Program(4, ProgramState::Running)),
        ("serve", What::Program(4, ProgramState::Serving)),
        ("serve", What::Address { program: 4, label: "Words", url: "http://x/" }),
    ]);
    let expected = [
        "1 of 4 steps done, 1 running, 1 waiting, 1 ready  1:40",
        "done make    0:05",
        "running align   1/100  1 running  1 queued  1:30",
        "waits report  for align, serve",
        "ready serve   1:26  http://x/",
    ];
    assert_eq!(lines(&board, 10), expected);
    // The least telling ones go first where there is no room.
    let expected = [
        "1 of 4 steps done, 1 running, 1 waiting, 1 ready  1:40",
        "running align  1/100  1 running  1 queued  1:30",
        "ready serve  1:26  http://x/",
        "and 2 more steps",
    ];
    assert_eq!(lines(&board, 4), expected);
    assert_eq!(lines(&board, 1).len(), 1);
}

#[test]
fn steps_of_a_workflow_that_runs_many_times_are_one_line() {
    let mut news = Vec::new();
    for n in 0..3 {
        news.push(("call/x", What::Waits(vec![])));
        news.push(("call/x", What::Begins(1)));
        news.push(("call/x", What::Program(n, ProgramState::Queued)));
    }
    for n in 0..2 {
        news.push(("call/x", What::Program(n, ProgramState::Over)));
        news.push(("call/x", What::Job(Outcome::Done)));
        news.push(("call/x", What::Ends(Outcome::Done)));
    }
    let told = board(&news);
    assert_eq!(lines(&told, 9)[1], "queued call/x  2/3  1 queued  1:39");
    news.push(("call/x", What::Program(2, ProgramState::Over)));
    news.push(("call/x", What::Job(Outcome::Failed)));
    assert_eq!(lines(&board(&news), 9)[1], "failed call/x  3/3  1 failed  0:13");
}

#[test]
fn a_step_that_is_skipped_is_done() {
    let board = board(&[
        ("x", What::Waits(vec![])),
        ("x", What::Begins(1)),
        ("x", What::Job(Outcome::Skipped)),
        ("x", What::Ends(Outcome::Skipped)),
    ]);
    assert_eq!(lines(&board, 9)[1], "done x  skipped  0:02");
    assert_eq!(clock(at(3723)), "1:02:03");
}
