//! Commands as an operator types them: good input does one thing, bad input says what, why and what next, and leaves nothing half-made.

use crate::bed::{Bed, Running, run, tegata};

/// Runs a command that must fail, and looks for words in what it says.
fn refused(command: &mut std::process::Command, words: &[&str]) {
    let (output, stdout, stderr) = run(command);
    assert!(!output.status.success(), "it succeeded: {stdout}");
    assert!(!stderr.contains("panicked"), "{stderr}");
    for word in words {
        assert!(stderr.contains(word), "no {word:?} in: {stderr}");
    }
}

#[test]
fn customers_people_and_terminals_are_registered_and_found_again() {
    let bed = Bed::new();
    let file = bed.dir.join("pw.txt");
    std::fs::write(&file, "a-long-password\n").expect("writable");
    let file = file.to_str().expect("ASCII").to_owned();
    let steps: [&[&str]; 3] = [
        &["customer", "add", "--code", "103001", "--name", "ひだまりクリニック"],
        &["user", "add", "--customer", "u00000001", "--name", "uketsuke", "--password-file", &file],
        &["terminal", "add", "--customer", "u00000001", "--name", "受付1"],
    ];
    for step in steps {
        let (output, _, stderr) = run(&mut bed.command(step));
        assert!(output.status.success(), "{step:?}: {stderr}");
    }
    let (_, shown, _) = run(&mut bed.command(&["--json", "customer", "show", "u00000001"]));
    let shown: serde_json::Value = serde_json::from_str(&shown).expect("JSON");
    assert_eq!(shown["users"][0]["name"], "uketsuke");
    assert_eq!(shown["terminals"][0]["client"], "client0001");

    let out = bed.dir.join("handover");
    let out = out.to_str().expect("ASCII");
    let (output, issued, stderr) =
        run(&mut bed.command(&["--json", "cert", "issue", "u00000001/client0001", "--out", out]));
    assert!(output.status.success(), "{stderr}");
    let issued: serde_json::Value = serde_json::from_str(&issued).expect("JSON");
    assert!(std::path::Path::new(issued["p12"].as_str().expect("a path")).exists());
    assert!(std::path::Path::new(issued["password_file"].as_str().expect("a path")).exists());

    refused(&mut bed.command(&["customer", "add", "--code", "103001", "--name", "もう一つ"]), &["103001"]);
    refused(&mut bed.command(&["terminal", "add", "--customer", "u00000077", "--name", "受付"]), &["u00000077"]);
    refused(&mut bed.command(&["terminal", "show", "u00000001/client0099"]), &["tegata terminal list"]);
    refused(
        &mut bed.command(&["cert", "issue", "u00000001/client0001", "--out", out, "--not-after", "2020-01-01"]),
        &["not possible"],
    );
    let (output, text, _) = run(&mut bed.command(&["audit", "verify"]));
    assert!(output.status.success() && text.contains("intact"), "{text}");
}

#[test]
fn api_keys_are_made_shown_once_rotated_and_revoked() {
    let bed = Bed::new();
    let json = |words: &[&str]| {
        let (output, text, stderr) = run(&mut bed.command(&[&["--json"], words].concat()));
        assert!(output.status.success(), "{words:?}: {stderr}");
        serde_json::from_str::<serde_json::Value>(&text).expect("JSON")
    };
    json(&["customer", "add", "--code", "103001", "--name", "ひだまりクリニック"]);
    let create = ["api-key", "create", "--customer", "u00000001", "--name", "会計連携", "--scope"];
    let made = json(&[&create[..], &["terminals:read", "--scope", "log:read"]].concat());
    let (key, secret) = (made["key"].as_str().expect("a key"), made["secret"].as_str().expect("a secret"));
    assert!(secret.starts_with("tegata_") && made["scopes"][1] == "log:read", "{made}");
    let rotated = json(&["api-key", "rotate", key, "--overlap-days", "3"]);
    assert!(rotated["secret"] != made["secret"] && rotated["previous_until"].is_string(), "{rotated}");
    assert_eq!(json(&["api-key", "revoke", key])["state"], "revoked");
    let list = json(&["api-key", "list", "--customer", "u00000001"]);
    assert_eq!((list[0]["key"].as_str(), list[0]["state"].as_str()), (Some(key), Some("revoked")), "{list}");
    assert!(!list.to_string().contains("tegata_"));
    refused(&mut bed.command(&["api-key", "rotate", key]), &["revoked already"]);
    refused(&mut bed.command(&["api-key", "rotate", "key-00000000"]), &["tegata api-key list"]);
    refused(&mut bed.command(&[&create[..], &["terminals:fly"]].concat()), &["terminals:read"]);
    refused(&mut bed.command(&[&create[..], &["certificates:revoke"]].concat()), &["none of the operator's"]);
    let (_, log, _) = run(&mut bed.command(&["--json", "audit", "list"]));
    assert!(log.contains("api-key.rotated") && !log.contains(&secret[7..]), "{log}");
}

#[test]
fn a_terminals_life_is_told_by_commands_and_what_cannot_be_is_refused() {
    let bed = Bed::new();
    let json = |words: &[&str]| {
        let (output, text, stderr) = run(&mut bed.command(&[&["--json"], words].concat()));
        assert!(output.status.success(), "{words:?}: {stderr}");
        serde_json::from_str::<serde_json::Value>(&text).expect("JSON")
    };
    json(&["customer", "add", "--code", "103001", "--name", "ひだまりクリニック"]);
    for name in ["受付1", "診察室"] {
        json(&["terminal", "add", "--customer", "u00000001", "--name", name]);
    }
    let (one, two) = ("u00000001/client0001", "u00000001/client0002");
    refused(&mut bed.command(&["terminal", "recover", one, "--reason", "x"]), &["受付1", "never had a certificate"]);
    for (terminal, folder) in [(one, "one"), (two, "two")] {
        json(&["cert", "issue", terminal, "--out", bed.dir.join(folder).to_str().expect("ASCII"), "--key", "p256"]);
    }
    let made = json(&["terminal", "recover", one, "--reason", "期限切れ。折り返し確認済み"]);
    assert_eq!((made["number"].as_str(), made["code"].as_str().map(str::len)), (Some("1-1"), Some(9)), "{made}");
    refused(&mut bed.command(&["terminal", "recover", one, "--reason", " "]), &["reason of 1 to 200"]);
    assert_eq!(json(&["terminal", "rename", one, "--name", "会計"])["name"], "会計");
    assert_eq!(json(&["terminal", "describe", one, "--place", "1階"])["place"], "1階");
    json(&["terminal", "describe", one, "--system", "Windows 11"]);
    let shown = json(&["terminal", "show", one]);
    assert_eq!(
        (&shown["place"], &shown["system"], &shown["seen_at"]),
        (&"1階".into(), &"Windows 11".into(), &serde_json::Value::Null)
    );
    let lost = json(&["terminal", "lost", one, "--reason", "stolen"]);
    assert_eq!(lost["revoked"].as_array().map(Vec::len), Some(1), "{lost}");
    refused(&mut bed.command(&["terminal", "recover", one, "--reason", "found"]), &["会計", "revoked"]);
    json(&["terminal", "retire", two, "--reason", "given back"]);
    refused(&mut bed.command(&["terminal", "retire", two, "--reason", "again"]), &["out of service already"]);
    let out = bed.dir.join("three");
    refused(&mut bed.command(&["cert", "issue", two, "--out", out.to_str().expect("ASCII")]), &["out of service"]);
    let weeks = json(&["forecast", "--weeks", "3"]);
    assert_eq!(weeks["weeks"].as_array().map(Vec::len), Some(3));
    assert_eq!(weeks["weeks"][0]["terminals"], 0);
    let (_, log, _) = run(&mut bed.command(&["audit", "list"]));
    for word in ["recovery.begun", "terminal.renamed", "terminal.lost", "terminal.retired", "certificate.revoked"] {
        assert!(log.contains(word), "{word} is not in {log}");
    }
    assert!(!log.contains(made["code"].as_str().expect("a code")), "codes are never logged");
}

#[test]
fn browsers_policies_are_written_for_each_system_and_printed_for_the_rest() {
    let bed = Bed::new();
    let (output, rules, stderr) = run(&mut bed.command(&["terminal", "policy"]));
    assert!(output.status.success(), "{stderr}");
    assert!(rules.contains("{\"filter\":{\"ISSUER\":{\"CN\":\""), "{rules}");
    for (format, part) in
        [("linux", "AutoSelectCertificateForUrls"), ("macos", "com.google.Chrome"), ("intune", "omaUri")]
    {
        let file = bed.dir.join(format);
        let words = ["terminal", "policy", "--format", format, "--out", file.to_str().expect("ASCII")];
        let (output, _, stderr) = run(&mut bed.command(&words));
        assert!(output.status.success(), "{stderr}");
        assert!(std::fs::read_to_string(&file).expect("written").contains(part), "{format}");
    }
    refused(&mut bed.command(&["terminal", "policy", "--format", "reg"]), &["--out"]);
    refused(&mut bed.command(&["terminal", "policy", "--format", "exe", "--out", "x"]), &["reg-remove"]);
}

#[test]
fn wrong_passphrases_and_broken_files_are_told_in_one_sentence() {
    let bed = Bed::new();
    refused(
        bed.command(&["serve"]).env("TEGATA_PASSPHRASE", "another passphrase"),
        &["does not open", "issuing.sealed"],
    );
    refused(bed.command(&["serve"]).env("TEGATA_PASSPHRASE", "short"), &["fewer than 12"]);
    refused(bed.command(&["serve"]).env_remove("TEGATA_PASSPHRASE"), &["TEGATA_PASSPHRASE_FILE"]);
    refused(
        bed.command(&["serve"]).env_remove("TEGATA_PASSPHRASE").env("TEGATA_PASSPHRASE_FILE", "/nowhere"),
        &["/nowhere"],
    );

    let config = std::fs::read_to_string(bed.config()).expect("readable");
    std::fs::write(bed.config(), config.replace("[store]", "[store]\ncolour = 1")).expect("writable");
    refused(&mut bed.command(&["config", "check"]), &["colour", "tegata.toml"]);
    std::fs::write(bed.config(), &config).expect("writable");

    std::fs::write(bed.dir.join("ca/issuing.pem"), "-----BEGIN CERTIFICATE-----\nrubbish\n").expect("writable");
    refused(&mut bed.command(&["serve"]), &["issuing.pem"]);
    if !bed.register.is_on_server() {
        std::fs::remove_file(bed.dir.join("tegata.db")).expect("there");
        refused(&mut bed.command(&["customer", "list"]), &["tegata.db"]);
    }
}

#[test]
fn a_taken_port_and_a_second_server_are_told_apart() {
    let bed = Bed::new();
    let taken = std::net::TcpListener::bind(bed.address).expect("free until now");
    refused(&mut bed.command(&["serve"]), &["already in use", &bed.address.port().to_string()]);
    drop(taken);
    let _server = bed.serve();
    // A file is served by one process. Of two nodes at one database the second one only finds its port taken here.
    let word = if bed.register.is_on_server() { "already in use" } else { "tegata.db" };
    refused(&mut bed.command(&["serve"]), &[word]);
}

#[test]
fn init_never_touches_a_folder_with_something_in_it_and_leaves_nothing_half_made() {
    let folder = tempfile::tempdir().expect("a folder");
    let dir = folder.path().join("x");
    std::fs::create_dir(&dir).expect("made");
    std::fs::write(dir.join("precious"), "1").expect("written");
    let init = |dir: &std::path::Path| {
        let mut command = tegata();
        command.args(["init", "--organization", "A", "--host", "a.example", "--dir"]).arg(dir);
        command
    };
    refused(&mut init(&dir), &["nothing was changed"]);
    assert_eq!(std::fs::read_dir(&dir).expect("readable").count(), 1);
    let missing = folder.path().join("no/such/parent");
    refused(init(&missing).env("TEGATA_PASSPHRASE", "short"), &["fewer than 12"]);
    assert!(!missing.exists());
    let fresh = folder.path().join("fresh");
    let (output, stdout, _) = run(init(&fresh).arg("--dry-run"));
    assert!(output.status.success() && stdout.contains("would make") && !fresh.exists());
}

#[test]
fn the_doctor_names_weaknesses_with_their_remedy() {
    let bed = Bed::new();
    let config = std::fs::read_to_string(bed.config()).expect("readable");
    let weak = config.replacen("# allow_tls12 = ", "allow_tls12 = ", 1).replacen(
        "key_kinds = [\"p256\"]",
        "key_kinds = [\"rsa2048\"]",
        1,
    );
    std::fs::write(bed.config(), weak).expect("writable");
    let (output, text, _) = run(&mut bed.command(&["doctor"]));
    assert!(output.status.success(), "{text}");
    for word in ["TLS 1.2 is on", "RSA-2048", "offline medium"] {
        assert!(text.contains(word), "no {word:?} in: {text}");
    }
    std::fs::remove_file(bed.dir.join("keys/vault.sealed")).expect("there");
    let (output, text, _) = run(&mut bed.command(&["doctor"]));
    assert!(!output.status.success() && text.contains("PROBLEM") && text.contains("vault.sealed"), "{text}");
}

#[test]
fn completions_and_help_are_there_for_every_shell_and_command() {
    for shell in ["bash", "zsh", "fish"] {
        let (output, text, _) = run(tegata().args(["completions", shell]));
        assert!(output.status.success() && text.contains("tegata"), "{shell}");
    }
    for command in [
        "demo", "init", "serve", "customer", "user", "terminal", "cert", "audit", "backup", "restore", "config",
        "doctor",
    ] {
        let (output, text, _) = run(tegata().args([command, "--help"]));
        assert!(output.status.success() && text.len() > 100, "{command}");
    }
}

#[test]
fn a_clock_before_the_ca_began_is_told_and_nothing_is_served() {
    let bed = Bed::new();
    let mut command = std::process::Command::new("faketime"); // Debian: faketime
    command
        .env("TEGATA_PASSPHRASE", crate::bed::PASSPHRASE)
        .arg("2020-01-01 09:00:00")
        .arg(env!("CARGO_BIN_EXE_tegata"));
    refused(command.arg("--config").arg(bed.config()).arg("serve"), &["set the clock", "2020-01-01"]);
}

#[test]
fn a_server_that_cannot_hold_a_register_is_named_and_nothing_is_made() {
    let folder = tempfile::tempdir().expect("a folder");
    let dir = folder.path().join("x");
    let init = |address: &str| {
        let mut command = tegata();
        command.args(["init", "--organization", "A", "--host", "a.example", "--database", address, "--dir"]).arg(&dir);
        command
    };
    refused(&mut init("postgres://t@127.0.0.1:1/tegata"), &["cannot be reached", "127.0.0.1:1", "nothing was made"]);
    refused(&mut init("postgres://t:s3cret@127.0.0.1:1/tegata"), &["TEGATA_DATABASE_PASSWORD"]);
    refused(&mut init("postgres://t@127.0.0.1:1/tegata?sslmod=x"), &["sslmod"]);
    refused(&mut init("postgres://127.0.0.1:1"), &["does not name"]);
    refused(&mut init("tegata.db"), &["postgres://"]);
    assert_eq!(std::fs::read_dir(folder.path()).expect("readable").count(), 0);

    let Some(register) = tegata_testkit::Register::on_server() else { return };
    let (output, stdout, _) = run(init(register.setting()).arg("--dry-run"));
    assert!(output.status.success() && stdout.contains(register.setting()) && !dir.exists(), "{stdout}");
    refused(&mut init(&format!("{}_missing", register.setting())), &["no database", "createdb"]);
    let used = Bed::new();
    refused(&mut init(used.register.setting()), &["another deployment", "nothing was made"]);
    register.execute("CREATE TABLE notes (text text)").expect("made");
    refused(&mut init(register.setting()), &["another program"]);
    assert_eq!(std::fs::read_dir(folder.path()).expect("readable").count(), 0);
}

/// The password of a database: from the environment or from a file beside the configuration, and in nothing that is printed.
#[test]
fn the_password_of_a_database_is_taken_from_outside_and_never_said() {
    let bed = Bed::new();
    let config = std::fs::read_to_string(bed.config()).expect("readable");
    let line = config.lines().find(|line| line.starts_with("database = ")).expect("a register").to_owned();
    let with = |setting: &str| std::fs::write(bed.config(), config.replace(&line, setting)).expect("writable");
    with("database = \"postgres://t:s3cret@127.0.0.1:1/tegata\"");
    let (output, stdout, stderr) = run(&mut bed.command(&["customer", "list"]));
    assert!(!output.status.success() && stderr.contains("postgres://t@127.0.0.1:1/tegata"), "{stderr}");
    assert!(!format!("{stdout}{stderr}").contains("s3cret"), "{stdout}{stderr}");
    let (_, text, _) = run(&mut bed.command(&["doctor"]));
    assert!(text.contains("store.password_file") && !text.contains("s3cret"), "{text}");
    with("database = \"postgres://t@127.0.0.1:1/tegata\"\npassword_file = \"nowhere.txt\"");
    refused(&mut bed.command(&["customer", "list"]), &["store.password_file", "nowhere.txt"]);
}

/// An operator's copy of an earlier head finds what the chain alone cannot: rows cut off at the end.
#[test]
fn a_log_that_was_cut_off_is_found_by_an_earlier_head() {
    let bed = Bed::new();
    let (_, earlier, _) = run(&mut bed.command(&["--json", "audit", "verify"]));
    let earlier: serde_json::Value = serde_json::from_str(&earlier).expect("JSON");
    let head = earlier["head"].as_str().expect("ROWS:HASH").to_owned();
    let (output, _, _) = run(&mut bed.command(&["audit", "verify", "--head", &head]));
    assert!(output.status.success());
    let longer = head.replacen("2:", "3:", 1);
    let (output, text, _) = run(&mut bed.command(&["audit", "verify", "--head", &longer]));
    assert!(!output.status.success() && text.contains("NOT intact"), "{text}");
    refused(&mut bed.command(&["audit", "verify", "--head", "rubbish"]), &["ROWS:HASH"]);
}

/// The first five minutes: no browser to open, a second start, an address that others could reach.
#[test]
fn the_demo_goes_on_without_a_browser_and_its_file_survives_a_second_start() {
    let folder = tempfile::tempdir().expect("a folder");
    let dir = folder.path().join("demo");
    let demo = |listen: &str| {
        let mut command = tegata();
        command.args(["demo", "--listen", listen, "--dir"]).arg(&dir);
        command
    };
    refused(&mut demo("0.0.0.0:0"), &["not a loopback address"]);
    assert!(!dir.exists());
    let log = std::fs::File::create(folder.path().join("log")).expect("writable");
    let child = demo("127.0.0.1:0")
        .arg("--open")
        .env("PATH", "/nowhere")
        .stdout(std::process::Stdio::null())
        .stderr(log)
        .spawn();
    let mut running = Running(child.expect("the program starts"));
    let ready = dir.join("demo.json");
    let begun = std::time::Instant::now();
    while !ready.exists() {
        assert!(begun.elapsed().as_secs() < 120, "not ready");
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
    let document: serde_json::Value = serde_json::from_slice(&std::fs::read(&ready).expect("there")).expect("JSON");
    let states: Vec<&str> =
        document["terminals"].as_array().expect("rows").iter().filter_map(|t| t["state"].as_str()).collect();
    assert_eq!(states, ["due", "fresh", "expired", "revoked", "fresh", "due", "fresh"]);
    for terminal in document["terminals"].as_array().expect("rows") {
        for file in ["p12", "cert_pem", "key_pem"] {
            assert!(dir.join(terminal[file].as_str().expect("a path")).exists(), "{file}");
        }
    }
    refused(&mut demo("127.0.0.1:0"), &["tegata.db"]);
    assert!(ready.exists(), "the running demo's file is still there");
    std::thread::sleep(std::time::Duration::from_millis(300));
    assert!(running.0.try_wait().expect("asked").is_none(), "it goes on without a browser");
    let said = std::fs::read_to_string(folder.path().join("log")).expect("readable");
    assert!(said.contains("the browser was not opened") && said.contains("apt install chromium"), "{said}");
}

/// Two certificates never share a file, whatever the template of the name is: the second would destroy the first one's only key.
#[test]
fn a_template_with_dots_keeps_every_hand_over() {
    let bed = Bed::new();
    let config = std::fs::read_to_string(bed.config()).expect("readable");
    let dotted = config.replace("{customer6}_JP_{user}_{client}.p12", "{customer6}.{user}.{client}.p12");
    std::fs::write(bed.config(), dotted).expect("writable");
    let out = bed.dir.join("handover");
    run(&mut bed.command(&["customer", "add", "--code", "103001", "--name", "A"]));
    for number in 1..=2 {
        run(&mut bed.command(&["terminal", "add", "--customer", "u00000001", "--name", &format!("T{number}")]));
        let terminal = format!("u00000001/client000{number}");
        let (output, _, stderr) = run(bed.command(&["cert", "issue", &terminal, "--out"]).arg(&out));
        assert!(output.status.success(), "{stderr}");
    }
    assert_eq!(std::fs::read_dir(&out).expect("made").count(), 4, "two bundles, two passwords");
}

/// What lies beside the new folder belongs to somebody else.
#[test]
fn nothing_beside_the_new_folder_is_touched() {
    let folder = tempfile::tempdir().expect("a folder");
    for neighbour in ["x.partial", "x.staging", "y", "y.staging"] {
        std::fs::create_dir(folder.path().join(neighbour)).expect("made");
        std::fs::write(folder.path().join(neighbour).join("precious"), "1").expect("written");
    }
    let (output, _, stderr) = run(tegata()
        .args(["init", "--organization", "A", "--host", "a.example", "--dir"])
        .arg(folder.path().join("x")));
    assert!(output.status.success(), "{stderr}");
    refused(
        tegata().args(["demo", "--listen", "127.0.0.1:0", "--dir"]).arg(folder.path().join("y")),
        &["nothing was changed"],
    );
    for neighbour in ["x.partial", "x.staging", "y", "y.staging"] {
        assert!(folder.path().join(neighbour).join("precious").exists(), "{neighbour}");
    }
}

/// A row before the first, or no row at all, is a forgery that the chain of hashes alone does not show.
#[test]
fn a_log_that_does_not_begin_at_its_beginning_is_not_intact() {
    let bed = Bed::new();
    let tamper = |of_a_file: &str, of_a_server: &str| {
        if bed.register.is_on_server() {
            bed.register.execute(of_a_server).expect("its owner can");
            return;
        }
        let code = "import sqlite3,sys; c=sqlite3.connect(sys.argv[1]); c.execute('pragma ignore_check_constraints=on'); \
                    c.executescript(sys.argv[2]); c.commit()";
        let status = std::process::Command::new("python3")
            .args(["-c", code])
            .arg(bed.dir.join("tegata.db"))
            .arg(of_a_file)
            .status();
        assert!(status.expect("python3").success());
    };
    let forged = "insert into audit values (0, 1, 'user', 'x', NULL, NULL, NULL, 'login.succeeded', 'done', 'forged', ";
    tamper(
        &format!("drop trigger audit_has_no_gaps; {forged} zeroblob(32));"),
        &format!(
            "alter table audit drop constraint audit_sequence_check; drop trigger audit_has_no_gaps on audit; \
             {forged} decode(repeat('00', 32), 'hex'));"
        ),
    );
    let (output, text, _) = run(&mut bed.command(&["audit", "verify"]));
    assert!(!output.status.success() && text.contains("NOT intact"), "{text}");
    let emptied = "delete from audit;";
    tamper(
        &format!("drop trigger audit_is_not_shortened; {emptied}"),
        &format!("drop trigger audit_is_not_shortened on audit; {emptied}"),
    );
    let (output, text, _) = run(&mut bed.command(&["audit", "verify"]));
    assert!(!output.status.success() && text.contains("NOT intact"), "{text}");
}
