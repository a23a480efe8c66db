//! The agent against the real server: `tegata agent` enrols by a code or by a bundle, renews when the operator says so, and is told when its
//! terminal's certificates are revoked.

use std::path::{Path, PathBuf};
use std::process::Output;

use tegata_core::id::CustomerId;
use tegata_core::time::Days;

use crate::bed::{Bed, Running, clinic, now, run, tegata, terminal};

/// A terminal of a running server, and a folder for its agent.
struct Clinic {
    bed: Bed,
    _server: Running,
    folder: tempfile::TempDir,
    terminal: String,
}

impl Clinic {
    async fn open() -> Self {
        let bed = Bed::new();
        let authority = bed.authority().await;
        let customer: CustomerId = clinic(&authority, "103001").await;
        let (row, _) = terminal(&authority, customer, "受付1", now().plus_days(Days(300))).await;
        authority.close().await;
        let server = bed.serve();
        let terminal = format!("{}/{}", row.customer, row.client);
        Self { bed, _server: server, folder: tempfile::tempdir().expect("a folder"), terminal }
    }

    fn place(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn agent(&self, args: &[&str]) -> (Output, String) {
        let mut command = tegata();
        command.args(["agent", "--dir"]).arg(self.place("agent")).args(args);
        let (output, stdout, stderr) = run(&mut command);
        (output, format!("{stdout}{stderr}"))
    }

    fn operator(&self, args: &[&str]) -> serde_json::Value {
        let (output, stdout, stderr) = run(self.bed.command(args).arg("--json"));
        assert!(output.status.success(), "{stderr}");
        serde_json::from_str(&stdout).expect("JSON")
    }

    /// The serials of the terminal's certificates that were used.
    fn used(&self) -> Vec<String> {
        let shown = self.operator(&["terminal", "show", &self.terminal]);
        let rows = shown["certificates"].as_array().expect("rows").iter();
        rows.filter(|row| row["state"] == "used").filter_map(|row| row["serial"].as_str().map(str::to_owned)).collect()
    }

    /// The serials that the agent holds: its identity's, then the store's.
    fn serials(&self) -> Vec<String> {
        let (_, text) = self.agent(&["status", "--json"]);
        let status: serde_json::Value = serde_json::from_str(&text).expect("JSON");
        let list = status["certificates"].as_array().expect("a list").iter();
        list.filter_map(|certificate| certificate["serial"].as_str().map(str::to_owned)).collect()
    }
}

fn serial_in(pem: &Path) -> String {
    let text = std::process::Command::new("openssl").args(["x509", "-noout", "-serial", "-in"]).arg(pem).output();
    let text = String::from_utf8(text.expect("openssl runs").stdout).expect("text");
    text.trim().trim_start_matches("serial=").to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_code_is_enough_and_the_operators_word_renews() {
    let clinic = Clinic::open().await;
    let invited = clinic.operator(&["terminal", "invite", &clinic.terminal]);
    let word = |name: &str| invited[name].as_str().expect("a text").to_owned();
    let (server, fingerprint, code) = (word("server"), word("ca_fingerprint"), word("code"));
    let enroll = ["enroll", "--server", &server, "--ca-fingerprint", &fingerprint, "--code", &code];
    let (output, text) = clinic.agent(&enroll);
    assert_eq!(output.status.code(), Some(0), "{text}");
    // Both were proven by a handshake, which the register knows.
    let first = clinic.serials();
    assert_eq!(first.len(), 2);
    assert!(first.iter().all(|serial| clinic.used().contains(serial)), "{first:?} {:?}", clinic.used());
    assert_eq!(serial_in(&clinic.place("agent/published/current/cert.pem")), first[1]);
    let (output, text) = clinic.agent(&["renew", "--now"]);
    assert_eq!(output.status.code(), Some(0), "{text}");
    assert!(text.contains("days left"), "too early: {text}");
    assert_eq!(clinic.serials(), first);

    clinic.operator(&["renewal", "advise", "--all", "--within-hours", "1"]);
    let (output, text) = clinic.agent(&["renew", "--now"]);
    assert_eq!(output.status.code(), Some(0), "{text}");
    let second = clinic.serials();
    assert!(second[0] != first[0] && second[1] != first[1], "{first:?} {second:?}: {text}");
    assert!(second.iter().all(|serial| clinic.used().contains(serial)));
    assert_eq!(serial_in(&clinic.place("agent/published/current/fullchain.pem")), second[1]);
    let (output, text) = clinic.agent(&["doctor"]);
    assert_eq!(output.status.code(), Some(0), "{text}");

    for serial in &second {
        let (output, _, stderr) = run(&mut clinic.bed.command(&["cert", "revoke", serial, "--reason", "superseded"]));
        assert!(output.status.success(), "{stderr}");
    }
    let refused = || clinic.agent(&["renew", "--now"]).0.status.code() == Some(20);
    let begun = std::time::Instant::now();
    while !refused() {
        assert!(begun.elapsed().as_secs() < 20, "a revoked agent still renews");
    }
    let (output, text) = clinic.agent(&["status"]);
    assert_eq!(output.status.code(), Some(20));
    assert!(text.contains("revoked-certificate"), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bundle_that_the_operator_issued_is_adopted() {
    let clinic = Clinic::open().await;
    let issued =
        clinic.operator(&["cert", "issue", &clinic.terminal, "--out", &clinic.place("p12").display().to_string()]);
    let file = |name: &str| issued[name].as_str().expect("a path").to_owned();
    let server = clinic.bed.url("");
    let (p12, password) = (file("p12"), file("password_file"));
    let (output, text) = clinic.agent(&["adopt", "--server", &server, "--p12", &p12, "--password-file", &password]);
    assert_eq!(output.status.code(), Some(0), "{text}");
    let serials = clinic.serials();
    assert_eq!(serials[1], issued["serial"].as_str().expect("a serial"), "{issued}");
    assert!(serials.iter().all(|serial| clinic.used().contains(serial)));
}
