//! Followers get every change once and in order.

use std::{
    future::Future,
    net::Ipv4Addr,
    pin::pin,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    task::Poll,
    time::Duration,
};

use lanyard_api::{Revision, Scope};
use lanyard_kit::{Clock, ExposeSecret as _, TestClock};
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};
use sqlx::{ConnectOptions as _, postgres::PgConnectOptions};
use time::OffsetDateTime;
use tokio::{
    io::copy_bidirectional,
    net::{TcpListener, TcpStream},
    sync::{mpsc, watch},
};

use super::{Bench, followed::Settings, tamper, world::*};
use crate::{
    Change, Followed, Follower, Store, StoreError, StoreUrl,
    feed::{CHANNEL, Words},
    sql::{Access, Database},
    telemetry::Source,
};

/// How long a test waits for what comes by itself.
const PATIENCE: Duration = Duration::from_secs(30);
/// How long an answer is waited for where none comes: above what one takes on a busy machine.
const ANSWER_MAX: Duration = Duration::from_secs(2);

#[derive(Default)]
struct Recorder(Mutex<Vec<(u64, u32)>>);

impl Recorder {
    fn on(store: &Store) -> Arc<Self> {
        let recorder = Arc::new(Self::default());
        store.follow(recorder.clone());
        recorder
    }

    fn seen(&self) -> Vec<(u64, u32)> {
        self.0.lock().unwrap().clone()
    }
}

impl Follower for Recorder {
    fn apply(&self, changes: &[Change]) {
        self.0.lock().unwrap().extend(changes.iter().map(|change| (change.revision.0, change.sequence)));
    }
}

pub(super) async fn immunity_17_a_follower_has_applied_a_commit_before_it_returns(bench: Bench) {
    let store = bench.open().await;
    put(&store, &setting("a", "0")).await.unwrap();
    let recorder = Recorder::on(&store);
    for n in 1..=3 {
        let committed = put(&store, &setting("a", &n.to_string())).await.unwrap();
        assert!(committed.applied);
        assert_eq!(recorder.seen().last(), Some(&(committed.revision.0, 0)));
    }
    store.catch_up().await.unwrap();
    assert_eq!(recorder.seen(), [(2, 0), (3, 0), (4, 0)], "from when it began to follow, and none twice");
}

pub(super) async fn a_commit_of_another_process_is_followed_in_order_and_once(bench: Bench) {
    let (store, other) = (bench.open().await, bench.open().await);
    let recorder = Recorder::on(&other);
    let mut transaction = begin_hub(&store).await;
    transaction.insert(&setting("a", "1")).await.unwrap();
    transaction.insert(&setting("b", "1")).await.unwrap();
    transaction.commit_unrecorded().await.unwrap();
    // More than are fetched at a time.
    for n in 2..=450 {
        put(&store, &setting("a", &n.to_string())).await.unwrap();
    }
    other.catch_up().await.unwrap();
    other.catch_up().await.unwrap();
    let expected: Vec<_> =
        [(1, 0), (1, 1)].into_iter().chain((2..=450).map(|revision| (revision, 0))).collect();
    assert_eq!(recorder.seen(), expected);
}

pub(super) async fn a_commit_after_anothers_brings_both(bench: Bench) {
    let (store, other) = (bench.open().await, bench.open().await);
    let recorder = Recorder::on(&other);
    put(&store, &setting("a", "1")).await.unwrap();
    put(&store, &setting("a", "2")).await.unwrap();
    put(&other, &setting("a", "3")).await.unwrap();
    assert_eq!(recorder.seen(), [(1, 0), (2, 0), (3, 0)]);
}

pub(super) async fn a_commit_whose_caller_went_away_is_delivered_all_the_same(bench: Bench) {
    let store = bench.open().await;
    let recorder = Recorder::on(&store);
    for waits_max in 0..40 {
        let mut transaction = begin_hub(&store).await;
        transaction.put(&setting("a", &waits_max.to_string())).await.unwrap();
        {
            // The caller goes away when it was left waiting so many times.
            let mut commit = pin!(transaction.commit_unrecorded());
            let mut waits = 0;
            std::future::poll_fn(|context| {
                waits += 1;
                let polled = commit.as_mut().poll(context).map(|committed| drop(committed.unwrap()));
                if waits > waits_max { Poll::Ready(()) } else { polled }
            })
            .await;
        }
        // Whoever holds the scope's lock now knows that the commit came to its end, one way or the other.
        let after = begin_hub(&store).await;
        let revision = after.next_revision(Scope::Hub).unwrap().0 - 1;
        drop(after);
        let all = async {
            while recorder.seen().len() < usize::try_from(revision).unwrap() {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(PATIENCE, all).await.unwrap();
        let expected: Vec<_> = (1..=revision).map(|revision| (revision, 0)).collect();
        assert_eq!(recorder.seen(), expected, "after {waits_max} waits");
    }
    // Left waiting often enough, it does commit.
    assert!(!recorder.seen().is_empty());
}

/// What a process shows while it applies changes.
struct Lag {
    shown: PrometheusHandle,
    seen: Mutex<Vec<String>>,
}

impl Lag {
    fn shown(&self) -> String {
        let shown = self.shown.render();
        let lag = shown.lines().find_map(|line| line.strip_prefix("lanyard_snapshot_revision_lag "));
        lag.unwrap_or("nothing").to_owned()
    }
}

impl Follower for Lag {
    fn apply(&self, _: &[Change]) {
        self.seen.lock().unwrap().push(self.shown());
    }
}

pub(super) async fn what_is_not_applied_yet_is_shown_until_it_is(bench: Bench) {
    if bench.database.is_postgres() {
        // Or the tailer would hear of the commits, and apply them before it is looked.
        silence(&bench.open().await).await;
    }
    let (store, other) = (bench.open().await, bench.open().await);
    for n in 1..=3 {
        put(&store, &setting("a", &n.to_string())).await.unwrap();
    }
    let recorder = PrometheusBuilder::new().build_recorder();
    let lag = Arc::new(Lag { shown: recorder.handle(), seen: Mutex::default() });
    other.follow(lag.clone());
    let mut catching_up = pin!(other.catch_up());
    // Of the stores of this process this one alone.
    std::future::poll_fn(|context| {
        metrics::with_local_recorder(&recorder, || catching_up.as_mut().poll(context))
    })
    .await
    .unwrap();
    assert_eq!(*lag.seen.lock().unwrap(), ["3"]);
    assert_eq!(lag.shown(), "0");
}

struct Channel(mpsc::UnboundedSender<u64>);

impl Follower for Channel {
    fn apply(&self, changes: &[Change]) {
        for change in changes {
            self.0.send(change.revision.0).unwrap();
        }
    }
}

pub(super) async fn the_tailer_finds_commits_of_other_processes_by_itself(bench: Bench) {
    let mut options = bench.options();
    if !bench.database.is_postgres() {
        // Postgres says when there is something; a shared SQLite file has to be asked.
        (options.shared, options.poll_interval) = (true, Duration::from_millis(10));
    }
    let (store, other) = (bench.open().await, Store::open(&options).await.unwrap());
    let (sender, mut heard) = mpsc::unbounded_channel();
    other.follow(Arc::new(Channel(sender)));
    for n in 1..=3 {
        put(&store, &setting("a", &n.to_string())).await.unwrap();
        let revision = tokio::time::timeout(PATIENCE, heard.recv()).await.unwrap();
        assert_eq!(revision, Some(n));
    }
}

/// Has the notifications of whoever connects after it go nowhere: a function of that name is found before PostgreSQL's own.
async fn silence(store: &Store) {
    let deaf = "CREATE FUNCTION public.pg_notify(text, text) RETURNS void LANGUAGE plpgsql AS 'BEGIN END'";
    tamper(store, deaf).await;
    let first = "DO $$ BEGIN EXECUTE format(
        'ALTER DATABASE %I SET search_path = public, pg_catalog', current_database()
    ); END $$";
    tamper(store, first).await;
}

pub(super) async fn a_commit_that_nobody_is_told_of_is_found_by_the_poll(bench: Bench) {
    let store = bench.open().await;
    // A file tells nobody in any case.
    let mut listener = store.database().listener().await.unwrap();
    if let Some(listener) = &mut listener {
        listener.listen(CHANNEL).await.unwrap();
        silence(&store).await;
    }
    let silent = bench.open().await;
    put(&silent, &setting("a", "0")).await.unwrap();
    if let Some(listener) = &mut listener {
        // Words come in the order of the commits, so that the one before would have been the first.
        tamper(&store, "SELECT pg_catalog.pg_notify('lanyard_changes', 'a word')").await;
        let word = tokio::time::timeout(PATIENCE, listener.recv()).await.unwrap().unwrap();
        assert_eq!((word.channel(), word.payload()), (CHANNEL, "a word"), "of the commit nobody was told");
    }
    let mut options = bench.options();
    (options.shared, options.poll_interval) = (true, Duration::from_millis(10));
    let other = Store::open(&options).await.unwrap();
    let (sender, mut heard) = mpsc::unbounded_channel();
    other.follow(Arc::new(Channel(sender)));
    for n in 1..=3 {
        put(&silent, &setting("a", &n.to_string())).await.unwrap();
        let revision = tokio::time::timeout(PATIENCE, heard.recv()).await.unwrap();
        assert_eq!(revision, Some(n + 1));
    }
}

/// Who listens, and since when.
async fn listening(store: &Store) -> Vec<String> {
    let sql = "SELECT pid || ' ' || query_start FROM pg_stat_activity \
               WHERE datname = current_database() AND pid <> pg_backend_pid() AND query LIKE 'LISTEN%'";
    let (mut connection, _permit) = store.open_connection(Access::Read).await.unwrap();
    let lines = connection.fetch(sql, []).await.unwrap();
    lines.iter().map(|line| line.text(0).unwrap()).collect()
}

pub(super) async fn whoever_is_not_told_of_what_the_poll_finds_listens_anew(bench: Bench) {
    if !bench.database.is_postgres() {
        return; // With a file nobody listens.
    }
    let store = bench.open().await;
    silence(&store).await;
    let silent = bench.open().await;
    let mut options = bench.options();
    options.poll_interval = Duration::from_millis(10);
    let other = Store::open(&options).await.unwrap();
    let (sender, mut heard) = mpsc::unbounded_channel();
    other.follow(Arc::new(Channel(sender)));
    let before = listening(&store).await;
    assert_eq!(before.len(), 3, "one connection of each process listens: {before:?}");
    put(&silent, &setting("a", "1")).await.unwrap();
    assert_eq!(tokio::time::timeout(PATIENCE, heard.recv()).await.unwrap(), Some(1));
    let anew = async { while listening(&store).await.iter().all(|one| before.contains(one)) {} };
    tokio::time::timeout(PATIENCE, anew).await.expect("it listens as before, though nobody told it");
}

pub(super) async fn a_commit_while_the_listening_connection_is_cut_waits_for_no_poll(bench: Bench) {
    if !bench.database.is_postgres() {
        return; // With a file there is none.
    }
    let (store, other) = (bench.open().await, bench.open().await);
    let (sender, mut heard) = mpsc::unbounded_channel();
    other.follow(Arc::new(Channel(sender)));
    for n in 1..=5 {
        // Which may still be about to listen anew, but for the first time.
        let cut = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity \
                   WHERE datname = current_database() AND pid <> pg_backend_pid() AND query LIKE 'LISTEN%'";
        let (mut connection, _permit) = store.open_connection(Access::Read).await.unwrap();
        let cut = connection.fetch(cut, []).await.unwrap();
        assert!(n > 1 || cut.len() == 2, "one connection of each process listens");
        drop(connection);
        put(&store, &setting("a", &n.to_string())).await.unwrap();
        let revision = tokio::time::timeout(PATIENCE, heard.recv()).await.unwrap();
        assert_eq!(revision, Some(n));
    }
}

/// Does something to a database, named by the setting `lanyard.test`, from another one.
async fn from_elsewhere(elsewhere: &Store, sql: &'static str, database: &str) {
    let (mut connection, _permit) = elsewhere.open_connection(Access::Write).await.unwrap();
    connection.fetch("SELECT set_config('lanyard.test', $1, true)", [database.into()]).await.unwrap();
    connection.execute(sql, []).await.unwrap();
    connection.commit().await.unwrap();
}

pub(super) async fn whoever_listens_anew_looks_at_once_however_long_that_took(bench: Bench) {
    if !bench.database.is_postgres() {
        return; // With a file nobody listens.
    }
    let another = bench.database.another().await;
    let elsewhere = another.open(Arc::new(bench.clock.clone())).await;
    let database = Database::open(&bench.options()).await.unwrap();
    let (mut connection, permit) = database.begin(Access::Read, PATIENCE).await.unwrap();
    let name = connection.fetch_one("SELECT current_database()::text", []).await.unwrap().unwrap();
    let name = name.text(0).unwrap();
    drop((connection, permit));
    let mut words = Words::of(&database).await.unwrap().unwrap();
    let mut heard = async || {
        let heard = words.heard(Duration::from_millis(1));
        tokio::time::timeout(PATIENCE, heard).await.unwrap()
    };
    // As while the server restarts: the connection is cut, and there is no other.
    let shut = "DO $$ BEGIN EXECUTE format(
        'ALTER DATABASE %I ALLOW_CONNECTIONS false', current_setting('lanyard.test')
    ); END $$";
    from_elsewhere(&elsewhere, shut, &name).await;
    let cut = "DO $$ BEGIN PERFORM pg_terminate_backend(pid) FROM pg_stat_activity
        WHERE datname = current_setting('lanyard.test'); END $$";
    from_elsewhere(&elsewhere, cut, &name).await;
    for _ in 0..3 {
        assert_eq!(heard().await, Source::Poll);
    }
    let open = "DO $$ BEGIN EXECUTE format(
        'ALTER DATABASE %I ALLOW_CONNECTIONS true', current_setting('lanyard.test')
    ); END $$";
    from_elsewhere(&elsewhere, open, &name).await;
    assert_eq!(heard().await, Source::Poll, "it listens, and looks for what was told meanwhile");
    put(&bench.open().await, &setting("a", "1")).await.unwrap();
    assert_eq!(heard().await, Source::Notification);
}

/// A way to PostgreSQL, and its URL. Those that take it are left without a word each time that it says so, as by a server that went with
/// its machine: neither end is told.
async fn way(there: PgConnectOptions) -> (watch::Sender<()>, StoreUrl) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let url = there.clone().host("127.0.0.1").port(port).to_url_lossy().to_string();
    let (silence, silenced) = watch::channel(());
    tokio::spawn(async move {
        while let Ok((mut from, _)) = listener.accept().await {
            let (there, mut silenced) = (there.clone(), silenced.clone());
            // Of what was before it this one knows nothing.
            silenced.mark_unchanged();
            tokio::spawn(async move {
                let mut to = TcpStream::connect((there.get_host(), there.get_port())).await.unwrap();
                tokio::select! {
                    _ = copy_bidirectional(&mut from, &mut to) => {}
                    _ = silenced.changed() => std::future::pending().await,
                }
            });
        }
    });
    (silence, StoreUrl::Postgres(url.into()))
}

pub(super) async fn a_server_that_goes_without_a_word_is_waited_for_so_long_and_no_longer(bench: Bench) {
    let mut options = bench.options();
    let StoreUrl::Postgres(url) = &options.url else {
        return; // A file does not go.
    };
    let (silence, url) = way(url.expose_secret().parse().unwrap()).await;
    (options.url, options.poll_interval) = (url, Duration::from_millis(10));
    options.answer_max = ANSWER_MAX;
    let (store, other) = (bench.open().await, Store::open(&options).await.unwrap());
    let (sender, mut heard) = mpsc::unbounded_channel();
    other.follow(Arc::new(Channel(sender)));
    for n in 1..=2 {
        put(&store, &setting("a", &n.to_string())).await.unwrap();
        let revision = tokio::time::timeout(PATIENCE, heard.recv()).await.unwrap();
        assert_eq!(revision, Some(n));
        // Connections that are made from here on get through, as to the server that stands in.
        silence.send_replace(());
    }
}

pub(super) async fn a_connection_on_which_no_word_comes_any_more_makes_room_for_another(bench: Bench) {
    let mut options = bench.options();
    let StoreUrl::Postgres(url) = &options.url else {
        return; // A file does not go.
    };
    let (silence, url) = way(url.expose_secret().parse().unwrap()).await;
    // Above what a busy machine takes, and far below what is waited for.
    (options.url, options.connections_max, options.wait_max) = (url, 2, Duration::from_secs(4));
    let store = Store::open(&options).await.unwrap();
    // All but the one that listens.
    let held = [store.read().await.unwrap(), store.read().await.unwrap()];
    silence.send_replace(());
    drop(held);
    let again = async { while store.read().await.is_err() {} };
    tokio::time::timeout(PATIENCE, again).await.expect("there is room in time");
}

pub(super) async fn a_statement_that_nobody_answers_is_given_up(bench: Bench) {
    let mut options = bench.options();
    let StoreUrl::Postgres(url) = &options.url else {
        return; // A file answers.
    };
    let (silence, url) = way(url.expose_secret().parse().unwrap()).await;
    (options.url, options.answer_max) = (url, ANSWER_MAX);
    // The keys are made before, without that limit.
    drop(bench.open().await);
    let store = Store::open(&options).await.unwrap();
    let mut connection = store.read().await.unwrap();
    silence.send_replace(());
    let given_up = tokio::time::timeout(PATIENCE, connection.fetch("SELECT 1", [])).await.expect("in time");
    let error = StoreError::from(given_up.err().unwrap());
    assert!(matches!(&error, StoreError::Unavailable(why) if why.contains("it said nothing for")), "{error}");
}

pub(super) async fn a_commit_that_is_not_answered_in_time_is_found_if_it_was_one(bench: Bench) {
    if !bench.database.is_postgres() {
        return; // A file answers.
    }
    let mut options = bench.options();
    (options.answer_max, options.poll_interval) = (ANSWER_MAX, Duration::from_millis(10));
    // The keys are made before, without that limit.
    drop(bench.open().await);
    let store = Store::open(&options).await.unwrap();
    let slow = "CREATE FUNCTION slow() RETURNS trigger LANGUAGE plpgsql \
                AS $$ BEGIN PERFORM pg_sleep(6); RETURN NULL; END $$";
    tamper(&store, slow).await;
    let at_commit = "CREATE CONSTRAINT TRIGGER slow AFTER INSERT ON changes \
                     DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION slow()";
    tamper(&store, at_commit).await;
    let (sender, mut heard) = mpsc::unbounded_channel();
    store.follow(Arc::new(Channel(sender)));
    let error = put(&store, &setting("a", "1")).await.unwrap_err();
    assert!(matches!(error, StoreError::Unavailable(_)), "{error}");
    assert_eq!(tokio::time::timeout(PATIENCE, heard.recv()).await.unwrap(), Some(1));
}

/// Follows nothing: it panics.
struct Panicking;

impl Follower for Panicking {
    fn apply(&self, changes: &[Change]) {
        assert!(changes.is_empty(), "as the test has it");
    }
}

pub(super) async fn a_follower_that_panics_keeps_no_change_from_the_others(bench: Bench) {
    let store = bench.open().await;
    store.follow(Arc::new(Panicking));
    let recorder = Recorder::on(&store);
    for n in 1..=2 {
        assert!(put(&store, &setting("a", &n.to_string())).await.unwrap().applied);
    }
    assert_eq!(recorder.seen(), [(1, 0), (2, 0)]);
}

/// A clock that panics once when it is set to.
struct Trap {
    clock: TestClock,
    is_set: AtomicBool,
}

impl Clock for Trap {
    fn now(&self) -> OffsetDateTime {
        assert!(!self.is_set.swap(false, Ordering::SeqCst), "as the test has it");
        self.clock.now()
    }
}

pub(super) async fn a_tailer_that_panics_begins_anew(bench: Bench) {
    let mut options = bench.options();
    if !bench.database.is_postgres() {
        (options.shared, options.poll_interval) = (true, Duration::from_millis(10));
    }
    let trap = Arc::new(Trap { clock: bench.clock.clone(), is_set: AtomicBool::new(false) });
    options.clock = trap.clone();
    let (store, other) = (bench.open().await, Store::open(&options).await.unwrap());
    let (sender, mut heard) = mpsc::unbounded_channel();
    other.follow(Arc::new(Channel(sender)));
    trap.is_set.store(true, Ordering::SeqCst);
    put(&store, &setting("a", "1")).await.unwrap();
    let revision = tokio::time::timeout(PATIENCE, heard.recv()).await.unwrap();
    assert_eq!(revision, Some(1));
    assert!(!trap.is_set.load(Ordering::SeqCst), "it has panicked before that");
}

pub(super) async fn immunity_54_a_store_that_went_back_in_time_is_refused(bench: Bench) {
    let store = bench.open().await;
    let followed = Followed::new(&store, Settings::default(), 10);
    for n in 1..=3 {
        put(&store, &setting("a", &n.to_string())).await.unwrap();
    }
    let held = followed.get(Scope::Hub).await.unwrap();
    tamper(&store, "UPDATE scopes SET revision = 2").await;
    let regressed = |result: Result<(), StoreError>| match result {
        Err(StoreError::Regressed { scope, seen, found }) => {
            assert_eq!((scope, seen, found), (Scope::Hub, Revision(3), Revision(2)));
        }
        other => panic!("{other:?}"),
    };
    regressed(store.load_rows(Scope::Hub, &[]).await.map(drop));
    regressed(store.begin("test", &by("test"), &[Scope::Hub]).await.map(drop));
    regressed(store.catch_up().await);
    let fresh = Followed::new(&store, Settings::default(), 10);
    regressed(fresh.get(Scope::Hub).await.map(drop));
    // What is in memory is newer, and stays.
    assert!(Arc::ptr_eq(&held, &followed.get(Scope::Hub).await.unwrap()));

    tamper(&store, "DELETE FROM changes").await;
    tamper(&store, "DELETE FROM scopes").await;
    assert!(matches!(store.catch_up().await, Err(StoreError::Regressed { found: Revision(0), .. })));
    // A process that has seen nothing has nothing to hold against it.
    bench.open().await.catch_up().await.unwrap();
}
