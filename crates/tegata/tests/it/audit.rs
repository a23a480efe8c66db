//! The operation log from outside: signed while the service runs, exported, and verified by somebody who has three files and no register.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::bed::{Bed, run, tegata};

fn json(command: &mut Command) -> serde_json::Value {
    let (output, text, stderr) = run(command);
    assert!(output.status.success(), "{stderr}{text}");
    serde_json::from_str(&text).expect("JSON")
}

/// A deployment that writes its checkpoints to a file elsewhere, with a few rows in its log.
fn deployment() -> (Bed, PathBuf) {
    let bed = Bed::new();
    let file = bed.dir.join("elsewhere.jsonl");
    let config = std::fs::read_to_string(bed.config()).expect("readable");
    let setting = format!("checkpoint_file = {:?}", file.display().to_string());
    let config = config.replace("# checkpoint_file = \"/mnt/elsewhere/tegata-checkpoints.jsonl\"", &setting);
    assert!(config.contains(&setting));
    std::fs::write(bed.config(), config).expect("writable");
    for (code, name) in [("103001", "ひだまりクリニック"), ("103002", "=あおぞら歯科医院")] {
        json(&mut bed.command(&["--json", "customer", "add", "--code", code, "--name", name]));
    }
    json(&mut bed.command(&["--json", "terminal", "add", "--customer", "u00000001", "--name", "受付1"]));
    (bed, file)
}

/// Checks an export with nothing but files: a configuration that is not there would be noticed.
fn offline(files: [&Path; 3]) -> (bool, String) {
    let [export, checkpoints, key] = files;
    let mut command = tegata();
    command.args(["--config", "/nowhere", "audit", "verify", "--export"]).arg(export);
    command.arg("--checkpoints").arg(checkpoints).arg("--key").arg(key).env_remove("TEGATA_PASSPHRASE");
    let (output, stdout, stderr) = run(&mut command);
    (output.status.success(), stdout + &stderr)
}

#[test]
fn an_auditor_with_three_files_finds_what_was_changed() {
    let (bed, checkpoints) = deployment();
    let made = json(&mut bed.command(&["--json", "audit", "checkpoint"]));
    assert_eq!((made["checkpoint"]["number"].as_i64(), made["lines_written"].as_i64()), (Some(1), Some(1)));
    let again = json(&mut bed.command(&["--json", "audit", "checkpoint"]));
    assert!(again["checkpoint"].is_null(), "{again}");
    let (export, key) = (bed.dir.join("log.jsonl"), bed.dir.join("key.pem"));
    let written = json(bed.command(&["--json", "audit", "export", "--out"]).arg(&export));
    let (_, pem, _) = run(&mut bed.command(&["audit", "key"]));
    std::fs::write(&key, pem).expect("writable");
    let (good, text) = offline([&export, &checkpoints, &key]);
    assert!(good && text.contains("is intact") && text.contains("0 rows came later"), "{text}");
    assert_eq!(written["rows"], made["checkpoint"]["rows"]);

    let whole = std::fs::read_to_string(&export).expect("readable");
    let lines: Vec<&str> = whole.lines().collect();
    let changed = bed.dir.join("changed.jsonl");
    let refused = |lines: &[&str], word: &str| {
        std::fs::write(&changed, lines.join("\n") + "\n").expect("writable");
        let (good, text) = offline([&changed, &checkpoints, &key]);
        assert!(!good && text.contains("NOT intact") && text.contains(word), "no {word:?}: {text}");
    };
    let edited = lines[3].replace("103001", "103009");
    refused(&[&lines[..3], &[&edited], &lines[4..]].concat(), "row 3");
    refused(&[&lines[..3], &lines[4..]].concat(), "row 3");
    refused(&[&lines[..3], &[lines[4], lines[3]], &lines[5..]].concat(), "row 3");
    refused(&[&lines[..4], &[lines[3]], &lines[4..]].concat(), "row 4");
    refused(&lines[..lines.len() - 1], "cut off");
    let rows = lines.len() - 3;
    let end = format!("{{\"rows\":{rows}}}");
    refused(&[&lines[..lines.len() - 2], &[&end]].concat(), &format!("ends at row {rows}"));

    let forged = bed.dir.join("forged.jsonl");
    let line = std::fs::read_to_string(&checkpoints).expect("readable");
    std::fs::write(&forged, line.replace("\"rows\":5", "\"rows\":4")).expect("writable");
    let (good, text) = offline([&export, &forged, &key]);
    assert!(!good && text.contains("forged"), "{text}");

    let (output, text, _) = run(&mut bed.command(&["audit", "verify"]));
    assert!(output.status.success() && text.contains("1 signed checkpoints"), "{text}");
    // The register against the file: what the file knows and the register does not.
    std::fs::write(&checkpoints, line.replace("\"number\":1", "\"number\":2")).expect("writable");
    let (output, text, _) = run(&mut bed.command(&["audit", "verify"]));
    assert!(!output.status.success() && text.contains("forged"), "{text}");
}

/// The signed bytes as docs/OPERATION-LOG.md describes them, checked by OpenSSL.
#[test]
fn a_checkpoint_is_checked_by_openssl_from_its_description() {
    let (bed, _) = deployment();
    let line = json(&mut bed.command(&["--json", "audit", "checkpoint"]))["checkpoint"].clone();
    let (_, pem, _) = run(&mut bed.command(&["audit", "key"]));
    let text = |name: &str| line[name].as_str().map_or_else(|| line[name].to_string(), str::to_owned);
    let mut said = "tegata operation log checkpoint v1\n".to_owned();
    for name in ["log", "number", "kind", "rows", "head", "at"] {
        said += &format!("{name} {}\n", text(name));
    }
    use base64::Engine;
    let signature = base64::engine::general_purpose::STANDARD.decode(text("signature")).expect("base64");
    let file = |name: &str, content: &[u8]| {
        let path = bed.dir.join(name);
        std::fs::write(&path, content).expect("writable");
        path
    };
    let (key, signature) = (file("key.pem", pem.as_bytes()), file("signature", &signature));
    let verify = |said: &str| {
        let mut openssl = Command::new("openssl");
        openssl.args(["dgst", "-sha256", "-verify"]).arg(&key).arg("-signature").arg(&signature);
        run(openssl.arg(file("said", said.as_bytes()))).0.status.success()
    };
    assert!(verify(&said));
    assert!(!verify(&said.replace("kind head", "kind heap")));
}

#[test]
fn the_service_signs_when_it_begins_and_when_it_ends() {
    let (bed, file) = deployment();
    let lines = || std::fs::read_to_string(&file).unwrap_or_default().lines().count();
    let mut server = bed.serve();
    let begun = std::time::Instant::now();
    while lines() == 0 {
        assert!(begun.elapsed().as_secs() < 20, "{}", bed.log());
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
    json(&mut bed.command(&["--json", "terminal", "add", "--customer", "u00000001", "--name", "診察室"]));
    let (stopped, _, _) = run(Command::new("kill").arg("-TERM").arg(server.0.id().to_string()));
    assert!(stopped.status.success() && server.0.wait().expect("waited").success(), "{}", bed.log());
    assert_eq!(lines(), 2, "{}", bed.log());
    let report = json(&mut bed.command(&["--json", "audit", "verify"]));
    assert_eq!(report["covered_rows"], report["rows"]);
}

#[test]
fn a_new_key_is_followed_from_the_old_one() {
    let (bed, file) = deployment();
    json(&mut bed.command(&["--json", "audit", "checkpoint"]));
    let (_, old, _) = run(&mut bed.command(&["audit", "key"]));
    json(&mut bed.command(&["--json", "audit", "new-key"]));
    json(&mut bed.command(&["--json", "customer", "add", "--code", "103003", "--name", "みどり医院"]));
    json(&mut bed.command(&["--json", "audit", "checkpoint"]));
    let (export, key) = (bed.dir.join("log.jsonl"), bed.dir.join("key.pem"));
    std::fs::write(&key, &old).expect("writable");
    json(bed.command(&["--json", "audit", "export", "--out"]).arg(&export));
    let (good, text) = offline([&export, &file, &key]);
    assert!(good && text.contains("3 signed checkpoints"), "{text}");
    let keys = json(&mut bed.command(&["--json", "audit", "key"]));
    assert_eq!(keys.as_array().map(Vec::len), Some(2));
    assert_eq!(keys[0]["pem"].as_str(), Some(&*old));
}

#[test]
fn a_table_has_the_columns_of_the_ministry_and_no_formula() {
    let (bed, _) = deployment();
    let file = bed.dir.join("log.csv");
    let part = ["--json", "audit", "export", "--format", "csv", "--customer", "u00000001", "--from", "2026-01-01"];
    json(bed.command(&part).arg("--out").arg(&file));
    let text = std::fs::read_to_string(&file).expect("readable");
    let lines: Vec<&str> = text.lines().collect();
    assert!(lines[0].starts_with("\u{feff}\"user_id\",\"user\",\"time_jst\",\"category\",\"operation\","), "{text}");
    assert_eq!(lines.len(), 3, "{text}");
    assert!(lines[2].contains("\"register\",\"terminal.added\",\"done\",\"u00000001/client0001\",\"受付1\""), "{text}");
    let (_, all, _) = run(&mut bed.command(&["audit", "export", "--format", "csv"]));
    assert!(all.contains("あおぞら") && !all.contains(",\"="), "{all}");
    let (_, none, _) = run(&mut bed.command(&["audit", "export", "--to", "2020-12-31"]));
    assert_eq!(none.lines().count(), 2, "a first and a last line: {none}");
}

#[test]
fn who_held_which_certificate_on_a_day_is_told_with_who_had_it_made() {
    let (bed, _) = deployment();
    let out = bed.dir.join("handover");
    let out = out.to_str().expect("ASCII");
    let made = json(&mut bed.command(&["--json", "cert", "issue", "u00000001/client0001", "--out", out]));
    let today = crate::bed::now().jst_date().to_string();
    let held =
        |day: &str, more: &[&str]| json(&mut bed.command(&[&["--json", "cert", "held", "--on", day], more].concat()));
    let on = held(&today, &["--customer", "u00000001"]);
    assert_eq!(on[0]["serial"], made["serial"], "{on}");
    assert_eq!((on[0]["terminal"].as_str(), on[0]["name"].as_str()), (Some("u00000001/client0001"), Some("受付1")));
    assert!(on[0]["made_by"].as_str().is_some_and(|who| who.starts_with("operator ")), "{on}");
    assert_eq!(held("2026-01-01", &[]).as_array().map(Vec::len), Some(0), "nobody held one before it was made");
    assert_eq!(held(&today, &["--customer", "u00000002"]).as_array().map(Vec::len), Some(0));
    let serial = made["serial"].as_str().expect("a serial");
    json(&mut bed.command(&["--json", "cert", "revoke", serial, "--reason", "superseded"]));
    assert_ne!(held(&today, &[])[0]["revoked"], "", "on the day of its revocation it still counted for a while");
    assert_eq!(held("2027-01-04", &[]).as_array().map(Vec::len), Some(0));
    let (output, _, said) = run(&mut bed.command(&["cert", "held", "--on", "yesterday"]));
    assert!(!output.status.success() && said.contains("2026-11-24"), "{said}");
}
