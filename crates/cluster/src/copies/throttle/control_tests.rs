//! Throttle control against a simulated server with users.

use super::*;

const LOOK: Duration = Duration::from_millis(250);
const MIB: f64 = 1024.0 * 1024.0;

/// A server whose users wait longer when copies take more than it can give besides.
struct Server {
    control: Control,
    /// Bytes a second beyond which copies are felt.
    spare: f64,
    /// Bytes a second that its disk and network give at most.
    most: f64,
    /// What a commit takes without copies.
    usual: Duration,
    commits_per_second: f64,
    owed_commits: f64,
    /// Numbers without a pattern, the same in every run.
    noise: u64,
    felt: Times,
}

impl Server {
    fn new() -> Self {
        Server {
            control: Control::default(),
            spare: 50.0 * MIB,
            most: 400.0 * MIB,
            usual: Duration::from_millis(8),
            commits_per_second: 40.0,
            owed_commits: 0.0,
            noise: 1,
            felt: Times::default(),
        }
    }

    /// From 0 to 1.
    fn random(&mut self) -> f64 {
        self.noise = self.noise.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.noise >> 33) as f64 / f64::from(1_u32 << 31)
    }

    fn run(&mut self, seconds: u32, is_copying: bool) {
        for _ in 0..seconds * 4 {
            let rate = if is_copying { self.control.rate().unwrap_or(self.most).min(self.most) } else { 0.0 };
            let burden = 1.0 + (rate / self.spare - 1.0).max(0.0) * 2.0;
            let mut commits = Times::default();
            self.owed_commits += self.commits_per_second * LOOK.as_secs_f64();
            while self.owed_commits >= 1.0 {
                self.owed_commits -= 1.0;
                // Most take about as long as usual, a few twice that.
                let luck = self.random();
                let spread = if luck > 0.97 { 2.0 } else { 0.8 + 0.4 * luck };
                commits.note(self.usual.mul_f64(spread * burden));
            }
            self.felt.add(&commits);
            let copied_bytes = (rate * LOOK.as_secs_f64()) as u64;
            self.control.look(&Look { time: LOOK, waits: [Times::default(), commits], copied_bytes, is_copying });
            assert!(self.control.rate().is_none_or(|rate| rate >= RATE_MIN), "a copy never stands still");
        }
    }

    fn mib(&self) -> f64 {
        self.control.rate().unwrap_or(self.most).min(self.most) / MIB
    }
}

#[test]
fn users_hardly_feel_a_copy_that_takes_what_is_to_spare() {
    let mut server = Server::new();
    server.run(60, false);
    let usual = std::mem::take(&mut server.felt);
    server.run(20, true);
    server.felt = Times::default();
    let mut mib = 0.0;
    for _ in 0..300 {
        server.run(1, true);
        mib += server.mib() / 300.0;
    }
    assert!((25.0..60.0).contains(&mib), "{mib} MiB/s of the 50 that are to spare");
    for share in [0.5, 0.95, 0.99] {
        let (before, now) = (usual.quantile(share), server.felt.quantile(share));
        assert!(now <= before.mul_f64(1.25), "at {share}: {before:?} before, {now:?} during the copy");
    }
    assert!(matches!(server.control.slowed(), Some(Slowed::Users { usual_us: 7_000..20_000, .. })));
}

#[test]
fn without_users_nothing_is_slowed() {
    let mut server = Server { commits_per_second: 0.0, ..Server::new() };
    server.run(5, true);
    assert_eq!((server.control.rate(), server.control.slowed()), (None, None));
    server.commits_per_second = 40.0;
    server.run(10, true);
    assert!(server.control.rate().is_some(), "they have come");
    server.commits_per_second = 0.0;
    server.run(60, true);
    assert_eq!((server.control.rate(), server.control.slowed()), (None, None), "they have gone");
}

#[test]
fn what_is_usual_is_learnt_first() {
    let mut server = Server::new();
    server.run(1, true);
    assert_eq!((server.control.rate(), server.control.slowed()), (Some(RATE_MIN), Some(Slowed::Learning)));
    server.run(30, true);
    assert!(server.mib() > 10.0, "{} MiB/s once it is known", server.mib());
}

#[test]
fn a_busier_day_does_not_stop_the_copy() {
    let mut server = Server::new();
    server.run(600, false);
    server.run(60, true);
    server.usual *= 3;
    server.run(10, true);
    assert!(server.mib() < 5.0, "it may be the copy: {} MiB/s", server.mib());
    server.run(300, true);
    assert!(server.mib() > 15.0, "it was not the copy: {} MiB/s", server.mib());
}

#[test]
fn a_few_slow_commits_are_chance() {
    let mut server = Server { commits_per_second: 4.0, ..Server::new() };
    server.run(300, false);
    server.run(120, true);
    assert!(server.mib() > 20.0, "{} MiB/s", server.mib());
}

#[test]
fn a_fraction_of_a_millisecond_is_not_felt() {
    let mut server = Server { usual: Duration::from_micros(200), spare: 10.0 * MIB, ..Server::new() };
    server.most = 15.0 * MIB;
    server.run(60, false);
    server.run(60, true);
    assert!(server.mib() > 14.0, "{} MiB/s", server.mib());
}
