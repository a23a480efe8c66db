//! Revocation lists over the wire and from the command line.

use std::path::Path;
use std::time::{Duration, Instant};

use reqwest::header::{
    CACHE_CONTROL, CONTENT_LENGTH, CONTENT_TYPE, ETAG, EXPIRES, IF_MODIFIED_SINCE, IF_NONE_MATCH, LAST_MODIFIED,
};
use reqwest::{Client, StatusCode};
use tegata_core::cert::RevocationReason;
use tegata_core::id::Serial;
use tegata_core::time::Days;
use tegata_pki::crl::{Shard, path};
use tegata_pki::pem;

use crate::bed::{Bed, clinic, now, operator, run, terminal};
use crate::status::{header, switch_on};

/// What OpenSSL reads in a list, its signature verified under `issuer`.
fn read(bed: &Bed, issuer: &Path, der: &[u8]) -> String {
    let file = bed.dir.join("list.crl");
    std::fs::write(&file, der).expect("writable");
    let mut openssl = std::process::Command::new("openssl");
    openssl.args(["crl", "-inform", "DER", "-noout", "-text", "-crlnumber", "-verify", "-CAfile"]).arg(issuer);
    let (_, said, more) = run(openssl.arg("-in").arg(file));
    assert!(more.contains("verify OK"), "{said}{more}");
    said
}

fn number(said: &str) -> u64 {
    let hex = said.lines().find_map(|line| line.strip_prefix("crlNumber=0x")).expect("a number");
    u64::from_str_radix(hex, 16).expect("hex")
}

#[tokio::test(flavor = "multi_thread")]
async fn lists_are_given_with_headers_for_caches() -> Result<(), Box<dyn std::error::Error>> {
    let bed = Bed::new();
    let url = switch_on(&bed);
    let issuing = bed.authority().await.ca().cert.clone();
    let _server = bed.serve();
    let client = Client::builder().timeout(Duration::from_secs(20)).build()?;
    for shard in [None, Shard::parse("2a")] {
        let list = format!("{url}{}", path(&issuing, shard));
        let first = client.get(&list).send().await?;
        assert_eq!((first.status(), header(&first, CONTENT_TYPE).as_str()), (StatusCode::OK, "application/pkix-crl"));
        let (tag, date) = (header(&first, ETAG), header(&first, LAST_MODIFIED));
        let cache = header(&first, CACHE_CONTROL);
        let (age, rest) = cache.strip_prefix("max-age=").and_then(|text| text.split_once(", ")).unwrap_or_default();
        assert!(
            (3590..=3600).contains(&age.parse::<i32>()?) && rest == "public, no-transform, must-revalidate",
            "{cache}"
        );
        assert!(header(&first, EXPIRES).ends_with(" GMT") && date.ends_with(" GMT"));
        let body = first.bytes().await?;
        let said = read(&bed, &bed.dir.join("ca/issuing.pem"), &body);
        assert!(said.contains("No Revoked Certificates"), "{said}");
        assert_eq!(said.contains(&format!("URI:{list}")), shard.is_some(), "{said}");
        let head = client.head(&list).send().await?;
        assert_eq!((head.status(), header(&head, CONTENT_LENGTH)), (StatusCode::OK, body.len().to_string()));
        assert_eq!(header(&head, ETAG), tag);
        for (name, value, status) in [
            (IF_NONE_MATCH, tag.as_str(), StatusCode::NOT_MODIFIED),
            (IF_NONE_MATCH, "\"other\"", StatusCode::OK),
            (IF_MODIFIED_SINCE, &date, StatusCode::NOT_MODIFIED),
            (IF_MODIFIED_SINCE, "Mon, 01 Jan 2024 00:00:00 GMT", StatusCode::OK),
        ] {
            let response = client.get(&list).header(&name, value).send().await?;
            assert_eq!((response.status(), header(&response, ETAG)), (status, tag.clone()), "{name}: {value}");
        }
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_revocation_by_another_process_is_on_the_lists_within_a_second_and_numbers_only_grow()
-> Result<(), Box<dyn std::error::Error>> {
    let bed = Bed::new();
    let url = switch_on(&bed);
    let authority = bed.authority().await;
    let customer = clinic(&authority, "103001").await;
    let (row, held) = terminal(&authority, customer, "受付1", now().plus_days(Days(600))).await;
    let serial: Serial = held.serial.parse()?;
    let issuing = authority.ca().cert.clone();
    let addresses = [None, Some(Shard::of(serial))].map(|shard| format!("{url}{}", path(&issuing, shard)));
    let issuing = bed.dir.join("ca/issuing.pem");
    let fetch = async |address: &String| reqwest::get(address).await?.error_for_status()?.bytes().await;
    let server = bed.serve();
    let mut numbers = Vec::new();
    for address in &addresses {
        let said = read(&bed, &issuing, &fetch(address).await?);
        assert!(said.contains("No Revoked Certificates"), "{said}");
        numbers.push(number(&said));
    }
    let record = authority.reader().certificates_of_terminal(operator().scope(), row.id).await?.remove(0);
    authority.revoke(&operator(), &record, RevocationReason::KeyCompromise).await?;
    let begun = Instant::now();
    for (address, before) in addresses.iter().zip(&numbers) {
        let mut said = String::new();
        while !said.contains(&held.serial) && begun.elapsed() < Duration::from_secs(5) {
            tokio::time::sleep(Duration::from_millis(10)).await;
            said = read(&bed, &issuing, &fetch(address).await?);
        }
        assert!(begun.elapsed() < Duration::from_secs(1), "it took {:?}", begun.elapsed());
        assert!(said.contains("Key Compromise") && number(&said) > *before, "{said}");
    }
    let last = number(&read(&bed, &issuing, &fetch(&addresses[0]).await?));
    drop(server);
    let _server = bed.serve();
    let restarted = read(&bed, &issuing, &fetch(&addresses[0]).await?);
    assert!(number(&restarted) >= last && restarted.contains(&held.serial), "{restarted}");
    authority.close().await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_command_writes_the_lists_of_all_cas_in_one_step() -> Result<(), Box<dyn std::error::Error>> {
    let bed = Bed::new();
    let authority = bed.authority().await;
    let customer = clinic(&authority, "103001").await;
    let (row, held) = terminal(&authority, customer, "受付1", now().plus_days(Days(600))).await;
    let record = authority.reader().certificates_of_terminal(operator().scope(), row.id).await?.remove(0);
    authority.revoke(&operator(), &record, RevocationReason::Unspecified).await?;
    authority.close().await;
    let old = bed.dir.join("old.pem");
    std::fs::copy(bed.dir.join("ca/issuing.pem"), &old)?;
    let (done, _, said) = run(&mut bed.command(&["ca", "roll-over"]));
    assert!(done.status.success(), "{said}");

    let file = bed.dir.join("all.crl");
    std::fs::write(&file, "an earlier one")?;
    let (done, said, more) = run(bed.command(&["ca", "crl", "--out"]).arg(&file));
    assert!(done.status.success() && said.contains("0 revoked") && said.contains("1 revoked"), "{said}{more}");
    let text = std::fs::read_to_string(&file)?;
    assert_eq!(text.matches("BEGIN X509 CRL").count(), 2, "{text}");
    let (_, printed, _) = run(&mut bed.command(&["ca", "crl"]));
    assert_eq!(printed.matches("BEGIN X509 CRL").count(), 2, "{printed}");

    let (done, said, more) = run(&mut bed.command(&["--json", "ca", "crl"]));
    assert!(done.status.success(), "{more}");
    let value: serde_json::Value = serde_json::from_str(&said)?;
    assert_eq!((&value["lists"][0]["revoked"], &value["lists"][1]["revoked"]), (&0.into(), &1.into()), "{value}");
    let (done, _, more) = run(bed.command(&["ca", "crl", "--der", "--out"]).arg(&file));
    assert!(done.status.success(), "{more}");
    read(&bed, &bed.dir.join("ca/issuing.pem"), &std::fs::read(&file)?);
    let (done, _, more) = run(&mut bed.command(&["ca", "crl", "--der"]));
    assert!(!done.status.success() && more.contains("--out"), "{more}");

    // Programs that want a list of the root's, too, get one while its key is at hand.
    let root_list = bed.dir.join("root.crl");
    let checked = |file: &Path| {
        let mut openssl = std::process::Command::new("openssl");
        openssl.args(["verify", "-crl_check_all", "-CAfile"]).arg(bed.dir.join("ca/root.pem"));
        let (done, said, more) = run(openssl.arg("-CRLfile").arg(file).arg(bed.dir.join("ca/issuing.pem")));
        (done.status.success(), format!("{said}{more}"))
    };
    std::fs::write(&file, &text)?;
    let (good, said) = checked(&file);
    assert!(!good && said.contains("unable to get certificate CRL"), "{said}");
    let (done, _, more) = run(bed.command(&["ca", "root-crl", "--out"]).arg(&root_list));
    assert!(done.status.success(), "{more}");
    let (good, said) = checked(&root_list);
    assert!(good, "{said}");
    std::fs::remove_file(bed.dir.join("keys/root.sealed"))?;
    let (done, _, more) = run(bed.command(&["ca", "root-crl", "--out"]).arg(&root_list));
    assert!(!done.status.success() && more.contains("root.sealed"), "{more}");

    // The full list is for every certificate, and the file for whoever reads all of a file.
    std::fs::write(
        bed.dir.join("leaf.pem"),
        pem::certificate(&pem::certificates(std::str::from_utf8(&held.pem)?)?[0]),
    )?;
    let mut openssl = std::process::Command::new("openssl");
    openssl.args(["verify", "-crl_check", "-CAfile"]).arg(bed.dir.join("ca/root.pem")).arg("-untrusted").arg(&old);
    let (done, said, more) = run(openssl.arg("-CRLfile").arg(&file).arg(bed.dir.join("leaf.pem")));
    assert!(!done.status.success() && format!("{said}{more}").contains("certificate revoked"), "{said}{more}");
    Ok(())
}
