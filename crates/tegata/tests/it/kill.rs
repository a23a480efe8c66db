//! kill -9 at random moments during 200 renewals: no certificate without its row, no lost bundle, no second certificate, no broken log.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tegata_core::secret::{Entropy, random};
use tegata_core::time::Days;
use tegata_testkit::SeededEntropy;

use crate::bed::{Bed, Held, clinic, now, run, terminal};

const TERMINALS: usize = 200;
const CLIENTS: usize = 4;

/// What the clients have been told so far: terminal index -> serial and password of the bundle they were given.
type Told = Arc<Mutex<HashMap<usize, (String, String)>>>;

#[tokio::test(flavor = "multi_thread")]
async fn killed_at_any_moment_nothing_is_lost_and_nothing_is_issued_twice() {
    let bed = Arc::new(Bed::new());
    let authority = bed.authority().await;
    let customer = clinic(&authority, "103001").await;
    let end = now().plus_days(Days(60));
    let mut held = Vec::new();
    for number in 0..TERMINALS {
        held.push(terminal(&authority, customer, &format!("端末{number}"), end).await.1);
    }
    authority.close().await;
    let held: Arc<Vec<Held>> = Arc::new(held);
    let told: Told = Arc::default();
    let chance = SeededEntropy::new(20_261_123);
    let mut kills = 0;
    while told.lock().expect("no panic under the lock").len() < TERMINALS {
        let mut server = bed.serve();
        let stop = Arc::new(AtomicBool::new(false));
        let clients: Vec<_> = (0..CLIENTS)
            .map(|lane| tokio::spawn(renew_all(bed.clone(), held.clone(), told.clone(), stop.clone(), lane)))
            .collect();
        let moment = u64::from(u16::from_be_bytes(random(&chance as &dyn Entropy))) % 500 + 50;
        let all_done = async {
            while told.lock().expect("no panic under the lock").len() < TERMINALS {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        let finished = tokio::time::timeout(Duration::from_millis(moment), all_done).await.is_ok();
        server.0.kill().expect("SIGKILL"); // Child::kill is SIGKILL on Unix
        server.0.wait().expect("it ends");
        stop.store(true, Ordering::Relaxed);
        for client in clients {
            client.await.expect("a client never finds a file that does not open, nor another certificate than before");
        }
        kills += usize::from(!finished);
        assert!(kills < 300, "the renewals make no progress");
    }
    assert!(kills >= 5, "the server was killed {kills} times, too few to prove anything");
    settle(&bed, &held, &told).await;
}

/// Every terminal of one lane in turn, until the server dies.
async fn renew_all(bed: Arc<Bed>, held: Arc<Vec<Held>>, told: Told, stop: Arc<AtomicBool>, lane: usize) {
    for index in (lane..TERMINALS).step_by(CLIENTS) {
        if stop.load(Ordering::Relaxed) {
            return;
        }
        if told.lock().expect("no panic under the lock").contains_key(&index) {
            continue;
        }
        let browser = bed.browser(Some(&held[index]));
        if bed.log_in(&browser).await.is_err() {
            return; // the server is gone
        }
        let Ok(Some((new, password))) = bed.renew(&browser).await else { return };
        told.lock().expect("no panic under the lock").insert(index, (new.serial, password));
    }
}

/// After the last restart: each terminal gets the same bundle again, and the register holds exactly one new certificate for each.
async fn settle(bed: &Arc<Bed>, held: &Arc<Vec<Held>>, told: &Told) {
    let server = bed.serve();
    let expected = told.lock().expect("no panic under the lock").clone();
    for index in (0..TERMINALS).step_by(10) {
        let browser = bed.browser(Some(&held[index]));
        bed.log_in(&browser).await.expect("logged in");
        let (again, password) = bed.renew(&browser).await.expect("answered").expect("a bundle");
        assert_eq!((again.serial, password), expected[&index], "terminal {index}");
    }
    drop(server);
    let authority = bed.authority().await;
    let scope = crate::bed::operator().scope();
    let terminals = authority.reader().terminals(scope, None).await.expect("read");
    let mut serials = std::collections::HashSet::new();
    for terminal in &terminals {
        let certificates = authority.reader().certificates_of_terminal(scope, terminal.id).await.expect("read");
        assert_eq!(certificates.len(), 2, "{}: the old certificate and one new one", terminal.name);
        for certificate in certificates {
            assert!(serials.insert(certificate.serial), "a serial twice");
        }
    }
    assert_eq!(serials.len(), 2 * TERMINALS);
    for (serial, _) in expected.values() {
        assert!(serials.contains(&serial.parse().expect("a serial")), "{serial} left the process without its row");
    }
    authority.close().await;
    let (output, text, _) = run(&mut bed.command(&["audit", "verify"]));
    assert!(output.status.success(), "{text}");
}
