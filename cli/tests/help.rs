//! What the command says of itself.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::process::Command;

use detfree::flows::toy::Toy;

fn stdout(args: &[&str]) -> String {
    let mut command = Command::new(env!("CARGO_BIN_EXE_detfree"));
    let output = command.args(args).output().unwrap();
    assert!(output.status.success(), "{args:?}");
    String::from_utf8(output.stdout).unwrap()
}

/// Help says what a command does and ends with an example.
#[test]
fn help() {
    for action in ["fit", "score", "sample", "info", "backends"] {
        let help = stdout(&[action, "--help"]);
        assert!(
            help.contains("Example") && help.contains("detfree "),
            "{help}"
        );
    }
    let fit = stdout(&["fit", "--help"]);
    for piece in ["string \"-inf\" or \"inf\"", "Ctrl-C, or SIGTERM, ends"] {
        assert!(fit.contains(piece), "{fit}");
    }
    assert!(Toy::ALL.iter().all(|toy| fit.contains(toy.name())), "{fit}");
    // Scores are drawn once.
    let score = stdout(&["score", "--help"]);
    assert!(!score.contains("many draws"), "{score}");
    assert!(stdout(&["backends"]).contains("faer"));
}
