use std::fs;
use std::path::Path;

use time::{Duration as Span, OffsetDateTime};

use super::*;
use crate::TestClock;
use crate::tls::live::{Look, RELOAD_INTERVAL};

/// An authority's folder with a process that follows it.
struct House {
    scratch: tempfile::TempDir,
    clock: TestClock,
    live: LiveAuthority,
}

impl House {
    fn new() -> Self {
        let (scratch, now) = (tempfile::tempdir().unwrap(), OffsetDateTime::now_utc());
        let authority = Authority::create(&scratch.path().join("pki"), "hub-1", now).unwrap();
        let clock = TestClock::new(now);
        let live = LiveAuthority::new(authority, Names::loopback(), Arc::new(clock.clone())).unwrap();
        Self { scratch, clock, live }
    }

    fn pki(&self) -> PathBuf {
        self.scratch.path().join("pki")
    }

    fn another(&self, name: &str, hub: &str) -> Authority {
        Authority::create(&self.scratch.path().join(name), hub, self.clock.now()).unwrap()
    }

    /// Whether a principal's certificate of this authority counts.
    fn counts(&self, authority: &Authority) -> bool {
        let now = self.clock.now();
        let issued = authority.issue_principal("local", "111122223333", "AIDAANA", Span::DAY, now).unwrap();
        self.live.chains().borrow().verify(&issued.chain().unwrap(), now).is_ok()
    }
}

fn copy(from: &Path, to: &Path, names: &[&str]) {
    for name in names {
        fs::copy(from.join(name), to.join(name)).unwrap();
    }
}

#[test]
fn a_renewed_issuing_key_makes_the_next_certificate() {
    let house = House::new();
    let before = house.live.server().borrow().clone();
    assert_eq!(house.live.look(), Look::Unchanged);
    Authority::renew_issuing(&house.pki(), "hub-1", "services", house.clock.now()).unwrap();
    assert_eq!(house.live.look(), Look::Taken);
    assert!(!Arc::ptr_eq(&before, &house.live.server().borrow()));
    assert_eq!(house.live.look(), Look::Unchanged);
    assert!(house.counts(&Authority::load(&house.pki(), "hub-1").unwrap()));
}

#[test]
fn a_certificate_is_made_anew_long_before_it_ends() {
    let house = House::new();
    for year in 0..3 {
        house.clock.advance(RENEWED_AFTER - Span::MINUTE);
        assert_eq!(house.live.look(), Look::Unchanged, "{year}");
        house.clock.advance(Span::MINUTE);
        assert_eq!(house.live.look(), Look::Taken, "{year}");
    }
    assert!(RENEWED_AFTER + RELOAD_INTERVAL < LIFETIME);
}

#[test]
fn a_certificate_of_a_clock_that_was_ahead_is_made_anew() {
    let house = House::new();
    house.clock.advance(RENEWED_AFTER);
    assert_eq!(house.live.look(), Look::Taken);
    // It has begun five minutes before it was made.
    for (back, expected) in [(Span::MINUTE, Look::Unchanged), (Span::HOUR, Look::Taken)] {
        house.clock.advance(-back);
        assert_eq!(house.live.look(), expected, "{back}");
        assert_eq!(house.live.look(), Look::Unchanged, "{back}");
    }
}

#[test]
fn while_one_root_takes_the_others_place_both_count() {
    let house = House::new();
    let (own, next) = (Authority::load(&house.pki(), "hub-1").unwrap(), house.another("next", "hub-1"));
    assert_eq!((house.counts(&own), house.counts(&next)), (true, false));
    let both = format!("{}{}", next.root_pem(), own.root_pem());
    fs::write(house.pki().join("root.crt"), &both).unwrap();
    assert_eq!(house.live.look(), Look::Taken);
    assert_eq!((house.counts(&own), house.counts(&next)), (true, true));
    assert_eq!(&**house.live.root_pem().borrow(), both);
    copy(next.dir(), &house.pki(), &["root.key", "root.crt", "services.key", "services.crt"]);
    assert_eq!(house.live.look(), Look::Taken);
    assert_eq!((house.counts(&own), house.counts(&next)), (false, true));
}

#[test]
fn what_does_not_do_is_not_taken_and_the_certificate_before_it_stays() {
    let house = House::new();
    let before = house.live.server().borrow().clone();
    let (same_name, other_hub) = (house.another("same", "hub-1"), house.another("other", "hub-2"));
    let backup = house.scratch.path().join("backup");
    fs::create_dir(&backup).unwrap();
    const FILES: [&str; 3] = ["root.crt", "services.key", "services.crt"];
    copy(&house.pki(), &backup, &FILES);
    let cases: [(&str, &dyn Fn()); 5] = [
        ("no root", &|| fs::remove_file(house.pki().join("root.crt")).unwrap()),
        ("another root alone", &|| copy(same_name.dir(), &house.pki(), &["root.crt"])),
        ("another key alone", &|| copy(same_name.dir(), &house.pki(), &["services.key"])),
        ("another hub", &|| copy(other_hub.dir(), &house.pki(), &FILES)),
        ("no certificate", &|| fs::write(house.pki().join("services.crt"), "x").unwrap()),
    ];
    for (what, spoil) in cases {
        spoil();
        let looks = [house.live.look(), house.live.look(), house.live.look()];
        assert_eq!(looks, [Look::Doubtful, Look::Refused, Look::Refused], "{what}");
        assert!(Arc::ptr_eq(&before, &house.live.server().borrow()), "{what}");
        copy(&backup, &house.pki(), &FILES);
        assert_eq!(house.live.look(), Look::Unchanged, "{what}");
    }
}
