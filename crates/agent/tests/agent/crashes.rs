//! The machine may be switched off at any point. What lies on disk then is enough to go on, and nothing is issued twice.

use std::cell::Cell;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::rc::Rc;

use tegata_agent::enrol;
use tegata_agent::{Agent, AgentError, IDENTITY, Outcome, Urge};
use tegata_core::invitation::Code;
use tegata_core::profile::Purpose;
use tegata_core::time::{Days, Timestamp};

use crate::bed::{Bed, start};
use crate::portal::CODE;

fn copy(from: &Path, to: &Path) {
    let status = Command::new("cp").arg("-a").arg(from).arg(to).status().expect("cp runs");
    assert!(status.success());
}

/// Runs `act` and keeps a copy of the agent's folder at each request and each answer.
fn snapshots(bed: &Bed, act: impl FnOnce()) -> Vec<PathBuf> {
    let (root, folder) = (bed.root(), bed.place("snapshots"));
    std::fs::create_dir_all(&folder).expect("made");
    let count = Rc::new(Cell::new(0));
    let counted = Rc::clone(&count);
    *bed.line.watch.borrow_mut() = Some(Box::new(move || {
        if root.exists() {
            copy(&root, &folder.join(count.get().to_string()));
            count.set(count.get() + 1);
        }
    }));
    act();
    *bed.line.watch.borrow_mut() = None;
    (0..counted.get()).map(|n| bed.place("snapshots").join(n.to_string())).collect()
}

/// Goes on in a copy until all is well; gives when that was.
fn settle(bed: &Bed, root: &Path, mut now: Timestamp) -> Timestamp {
    for _ in 0..10 {
        let tick = bed.tick_in(root, now, Urge::Start);
        if tick.outcome == Outcome::Good {
            return now;
        }
        assert_eq!(tick.outcome, Outcome::Later, "{:?}", tick.news);
        now = tick.next;
    }
    panic!("{} does not settle", root.display());
}

#[test]
fn switched_off_at_any_point_of_a_renewal_the_next_start_settles_it() {
    let bed = Bed::new();
    bed.enroll();
    let now = start().plus_days(Days(310));
    let all = snapshots(&bed, || {
        assert_eq!(bed.tick(now, Urge::Now(None)).outcome, Outcome::Good);
    });
    assert!(all.len() >= 8, "enrolment and proof of both: {}", all.len());
    let issued = || (bed.portal().issued(Purpose::Agent).len(), bed.portal().issued(Purpose::Client).len());
    assert_eq!(issued(), (2, 2));
    let known = |root: &Path, name: &str| {
        let folder = if name == IDENTITY { root.join(name) } else { root.join("stores").join(name) };
        root.join("pending").join(name).exists() || folder.join("gen/0002").exists()
    };
    for root in all {
        let unsent = [IDENTITY, "web"].into_iter().filter(|name| !known(&root, name)).count();
        let before = issued();
        let at = settle(&bed, &root, now.plus_seconds(60));
        for name in [IDENTITY, "web"] {
            let current = bed.current_in(&root, name).expect("a certificate");
            assert!(current.is_valid(at));
            assert!(bed.portal().look(|inner| inner.issued.iter().any(|issued| issued.der == current.leaf())));
        }
        assert!(!root.join("stores/web/gen/draft").exists());
        // What had its key on disk gets the very same certificate again.
        let more = issued().0 + issued().1 - before.0 - before.1;
        assert_eq!(more, unsent, "{}", root.display());
    }
}

#[test]
fn switched_off_at_any_point_of_an_enrolment_it_goes_on_with_the_same_code() {
    let bed = Bed::new();
    let all = snapshots(&bed, || {
        bed.enroll();
    });
    let issued = bed.portal().look(|inner| inner.issued.len());
    assert_eq!(issued, 2);
    let now = start().plus_seconds(60);
    let mut enrolled = 0;
    for root in all.iter().filter(|root| root.join("config.toml").exists()) {
        enrolled += 1;
        if root.join("pending").join(IDENTITY).exists() || root.join(IDENTITY).exists() {
            let before = bed.portal().look(|inner| inner.issued.len());
            let unsent = !root.join("pending/web").exists() && !root.join("stores/web/gen").exists();
            settle(&bed, root, now);
            assert!(bed.current_in(root, "web").is_some());
            assert_eq!(bed.portal().look(|inner| inner.issued.len()), before + usize::from(unsent));
        }
    }
    assert!(enrolled >= 6, "{enrolled}");
    assert_eq!(bed.portal().issued(Purpose::Agent).len(), 1, "one code, one identity");
}

#[test]
fn half_written_files_are_thrown_away() {
    let bed = Bed::new();
    bed.enroll();
    let root = bed.root();
    std::fs::create_dir_all(root.join("stores/web/gen/draft")).expect("made");
    std::fs::write(root.join("stores/web/gen/draft/key.pk8"), b"half").expect("written");
    std::fs::create_dir_all(root.join("stores/web/gen/0002")).expect("made");
    std::fs::write(root.join("stores/web/gen/0002/key.pk8"), b"half").expect("written");
    std::fs::create_dir_all(root.join("pending/web")).expect("made");
    std::fs::write(root.join("pending/web/key.pk8"), b"half").expect("written");
    std::fs::write(root.join("state.json"), b"{\"slots\":").expect("written");
    let old = bed.current("web").leaf().to_vec();
    assert_eq!(bed.tick(start().plus_days(Days(1)), Urge::Start).outcome, Outcome::Later);
    let tick = bed.tick(start().plus_days(Days(2)), Urge::Start);
    assert_eq!(tick.outcome, Outcome::Good, "{:?}", tick.news);
    assert_eq!(bed.current("web").leaf(), old);
    bed.tick(start().plus_days(Days(310)), Urge::Start);
    assert_ne!(bed.current("web").leaf(), old);
}

#[test]
fn two_agents_never_work_in_one_folder() {
    let bed = Bed::new();
    bed.enroll();
    let first = crate::bed::open(&bed.root());
    assert!(matches!(Agent::open(&bed.root()), Err(AgentError::Locked(_))));
    let code = Code::parse(CODE).expect("a code");
    assert!(enrol::enroll(&bed.root(), &bed.world(), start(), bed.beginning(), &code).is_err());
    drop(first);
    drop(crate::bed::open(&bed.root()));
}

#[test]
fn keys_are_readable_by_their_owner_only() {
    use std::os::unix::fs::PermissionsExt;
    let bed = Bed::new();
    bed.enroll();
    bed.tick(start().plus_days(Days(310)), Urge::Start);
    let (mut folders, mut files) = (vec![bed.root()], 0);
    while let Some(folder) = folders.pop() {
        assert_eq!(std::fs::metadata(&folder).expect("there").permissions().mode() & 0o077, 0, "{}", folder.display());
        for entry in std::fs::read_dir(&folder).expect("readable").flatten() {
            let kind = entry.file_type().expect("known");
            if kind.is_dir() {
                folders.push(entry.path());
            } else {
                files += 1;
                let mode = entry.metadata().expect("there").permissions().mode() & 0o777;
                assert_eq!(mode, 0o600, "{}", entry.path().display());
            }
        }
    }
    assert!(files >= 10, "{files}");
    assert!(!bed.root().join("pending/web").exists() && !bed.root().join("pending").join(IDENTITY).exists());
}
