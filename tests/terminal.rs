//! `rolewatch` at a terminal: `script` gives it one.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::string_slice,
    reason = "a test may fail loudly"
)]

mod support;

use std::process::{Command, Stdio};

use support::{finish, fixture};

/// What a terminal of 72 columns received from `command`, in which `$ROLEWATCH` is the tool and
/// `$STORY` a file that raises alerts.
fn at_a_terminal(command: &str) -> String {
    let output = Command::new("script")
        .args(["-qec", &format!("stty rows 40 cols 72; {command}"), "/dev/null"])
        .env("ROLEWATCH", env!("CARGO_BIN_EXE_rolewatch"))
        .env("STORY", fixture("root/events.jsonl"))
        .env("SHELL", "/bin/sh")
        .env("TERM", "xterm-256color")
        .env_remove("NO_COLOR")
        .env_remove("COLUMNS")
        .stdin(Stdio::null())
        .output()
        .expect("`script`, of util-linux, gives the test a terminal");
    let run = finish(output);
    assert_eq!(run.status, 0, "{}", run.err);
    run.out
}

/// The lines that stay on the screen: what is drawn and taken away again ends in a return and
/// the order to clear the line.
fn lines_that_stay(received: &str) -> Vec<String> {
    let line = |line: &str| {
        let stays = line.trim_end_matches('\r').rsplit("\r\u{1b}[2K").next().unwrap().to_owned();
        anstream::adapter::strip_str(&stays).to_string()
    };
    received.split_terminator('\n').map(line).collect()
}

fn widest(lines: &[String]) -> usize {
    let table = lines.iter().take_while(|line| !line.contains(" records = "));
    table.map(|line| line.chars().count()).max().unwrap()
}

#[test]
fn progress_is_drawn_and_leaves_nothing_behind() {
    let received = at_a_terminal("\"$ROLEWATCH\" replay \"$STORY\"");
    assert!(received.contains("judging: "), "{received:?}");
    let lines = lines_that_stay(&received);
    assert!(lines.iter().all(|line| !line.contains("judging: ")), "{lines:#?}");
    assert!(lines[0].ends_with("ConsoleLogin by root of 111122223333"), "{lines:#?}");
    let width = widest(&lines);
    assert!((61..=72).contains(&width), "{width}: {lines:#?}");
}

#[test]
fn columns_overrules_the_terminal() {
    let received = at_a_terminal("COLUMNS=120 \"$ROLEWATCH\" replay \"$STORY\"");
    assert!(widest(&lines_that_stay(&received)) > 80, "{received}");
}

#[test]
fn no_color_switches_colour_off() {
    let command = "\"$ROLEWATCH\" replay \"$STORY\" 2>/dev/null";
    assert!(at_a_terminal(command).contains("\u{1b}[31m"));
    let plain = at_a_terminal(&format!("NO_COLOR=1 {command}"));
    assert!(!plain.contains('\u{1b}') && plain.contains("root_session"), "{plain:?}");
}

#[test]
fn a_pipe_gets_neither_progress_nor_colour() {
    let received = at_a_terminal("\"$ROLEWATCH\" replay \"$STORY\" 2>&1 | cat");
    assert!(!received.contains('\u{1b}') && !received.contains("judging"), "{received:?}");
    assert!(widest(&lines_that_stay(&received)) > 80, "{received}");
}
