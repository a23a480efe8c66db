//! Opening a browser for `tegata demo --open`: a private profile in the demo's folder that trusts the demo's CA and holds one terminal's
//! certificate. Nothing of the user's own browser is touched.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::Context;

const BROWSERS: [&str; 5] = ["chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome"];

/// Starts the browser on `url`; returns as soon as it runs.
pub fn open(dir: &Path, url: &str, p12: &Path, password: &str) -> anyhow::Result<()> {
    let browser = BROWSERS.iter().find_map(|name| find(name)).context(
        "--open needs Chromium or Chrome (Debian: apt install chromium); the demo runs all the same, open it in any browser",
    )?;
    let tools = "--open needs certutil and pk12util (Debian: apt install libnss3-tools)";
    let home = std::path::absolute(dir.join("browser"))?;
    let database = home.join(".pki/nssdb");
    if !database.exists() {
        std::fs::create_dir_all(&database)?;
        let db = format!("sql:{}", database.display());
        run(Command::new("certutil").args(["-N", "--empty-password", "-d", &db]), tools)?;
        let ca = dir.join("ca.pem");
        run(Command::new("certutil").args(["-A", "-n", "Tegata demo", "-t", "C,,", "-d", &db, "-i"]).arg(ca), tools)?;
        let password_file = home.join("import-password.txt");
        tegata_authority::custody::write_private(&password_file, password.as_bytes())?;
        let imported =
            run(Command::new("pk12util").args(["-d", &db, "-w"]).arg(&password_file).arg("-i").arg(p12), tools);
        std::fs::remove_file(&password_file)?;
        imported?;
    }
    let mut command = Command::new(browser);
    command.env("HOME", &home).arg(format!("--user-data-dir={}", home.join("profile").display()));
    command.args(["--no-first-run", "--no-default-browser-check"]);
    if crate::deployment::user_id() == 0 {
        command.arg("--no-sandbox"); // Chromium refuses to run as root with its sandbox
    }
    command.arg(url).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command.spawn().context("the browser did not start")?;
    Ok(())
}

fn find(name: &str) -> Option<PathBuf> {
    let paths = std::env::var_os("PATH")?;
    std::env::split_paths(&paths).map(|folder| folder.join(name)).find(|path| path.is_file())
}

fn run(command: &mut Command, advice: &str) -> anyhow::Result<()> {
    let output = command.output().with_context(|| advice.to_owned())?;
    anyhow::ensure!(output.status.success(), "{advice}: {}", String::from_utf8_lossy(&output.stderr).trim());
    Ok(())
}
