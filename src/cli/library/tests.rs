//! The commands against a small farm: what they print, what they ask for, and how they end.

use clap::Parser;
use steward_proto::transcode::v1 as pb;

use super::*;
use crate::cli::farm::fake::Fake;
use crate::cli::testing::{Output, console_of};

#[derive(Parser)]
struct Cli {
    #[command(flatten)]
    library: LibraryArgs,
}

async fn execute(url: &str, words: &[&str], output: &Output) -> Result<Exit, Error> {
    let cli = Cli::parse_from(["steward", "--server", url].iter().chain(words));
    let mut console = console_of(words, output);
    answer(cli.library.command, cli.library.client.server(), &mut console).await
}

/// The end and the output of a command.
async fn run(fake: &Fake, words: &[&str]) -> (Exit, String) {
    let output = Output::new();
    let exit = execute(&fake.url(), words, &output).await.unwrap();
    (exit, output.text())
}

async fn failure(fake: &Fake, words: &[&str]) -> String {
    execute(&fake.url(), words, &Output::new()).await.unwrap_err().to_string()
}

fn rules_file(content: &str) -> tempfile::NamedTempFile {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), content).unwrap();
    file
}

#[tokio::test]
async fn what_is_not_given_of_a_known_library_stays() {
    let (fake, file) = (Fake::start(), rules_file("max_height = 1080\n"));
    let rules = file.path().to_str().unwrap();
    let (exit, text) = run(&fake, &["add", "films", "/srv/films", "--rules", rules, "--scan-interval", "30m"]).await;
    assert_eq!(exit, Exit::DONE);
    assert!(text.starts_with("films\n  path           /srv/films\n  state          ready\n"), "{text}");
    assert!(text.contains("  interval       30m\n"), "{text}");
    run(&fake, &["add", "films", "/srv/more", "--paused"]).await;
    let library = fake.look(|state| state.libraries[0].clone());
    assert_eq!((library.path.as_str(), library.paused), ("/srv/more", true));
    assert_eq!((library.rules.unwrap().max_height, library.scan_interval.unwrap().seconds), (Some(1080), 1800));
}

#[tokio::test]
async fn wrong_rules_are_named_with_file_line_and_field() {
    let (fake, file) = (Fake::start(), rules_file("extensions = [\"mkv\"]\nmax_height = \"high\"\n"));
    let path = file.path().to_str().unwrap();
    let error = failure(&fake, &["add", "films", "/srv/films", "--rules", path]).await;
    assert!(error.starts_with(&format!("{path}: line 2, max_height: invalid type")), "{error}");
    assert!(fake.look(|state| state.libraries.is_empty()));
    assert!(Cli::try_parse_from(["steward", "add", "films", "srv/films"]).is_err());
}

#[tokio::test]
async fn a_list_is_a_table_that_cannot_steer_the_terminal() {
    let fake = Fake::with(|state| {
        state.libraries = vec![pb::Library {
            name: "films".to_owned(),
            path: "/srv/\x1bfilms".to_owned(),
            scan_interval: Some(prost_types::Duration::default()),
            scan_error: "its directory is not there".to_owned(),
            video_count: 12,
            ..pb::Library::default()
        }];
    });
    assert_eq!(
        run(&fake, &["list"]).await.1,
        "NAME   VIDEOS  SCANNED  INTERVAL  PATH              STATE\n\
         films  12      never    never     /srv/\\u{1b}films  its directory is not there\n"
    );
    let listed: serde_json::Value = serde_json::from_str(&run(&fake, &["list", "--json"]).await.1).unwrap();
    assert_eq!((&listed["scan_interval"], &listed["video_count"]), (&"0s".into(), &12.into()));
}

#[tokio::test]
async fn a_library_is_paused_resumed_and_removed() {
    let fake = Fake::start();
    run(&fake, &["add", "films", "/srv/films"]).await;
    assert_eq!(run(&fake, &["pause", "films"]).await.1, "films: paused\n");
    assert!(run(&fake, &["show", "films"]).await.1.contains("  state          paused\n"));
    assert_eq!(run(&fake, &["resume", "films"]).await.1, "films: gives out its videos again\n");
    assert_eq!(run(&fake, &["remove", "films"]).await.1, "films: removed; its files are untouched\n");
    assert_eq!(failure(&fake, &["remove", "films"]).await, "refused by the fake (LIBRARY_NOT_FOUND)");
    assert_eq!(failure(&fake, &["pause", "films"]).await, "there is no library \"films\"");
}

#[tokio::test]
async fn a_scan_ends_with_what_it_found() {
    let step = |seen, done| pb::ScanLibraryResponse { seen, added: 2, errors: 1, done, ..Default::default() };
    let fake = Fake::with(|state| state.scan = vec![step(5, false), step(12, true)]);
    let (exit, text) = run(&fake, &["scan", "films", "--reprobe"]).await;
    assert_eq!((exit, text.as_str()), (Exit::DONE, "scanned: 12 videos, 2 new, 1 unreadable\n"));
    assert!(fake.asked::<pb::ScanLibraryRequest>()[0].reprobe);
    assert_eq!(run(&fake, &["scan", "films", "--json"]).await.1.lines().count(), 2);
}

#[tokio::test]
async fn a_scan_that_ends_early_is_a_failure() {
    let end = pb::ScanLibraryResponse { done: true, error: "no\tdirectory".to_owned(), ..Default::default() };
    let fake = Fake::with(|state| state.scan = vec![end]);
    let (exit, text) = run(&fake, &["scan", "films"]).await;
    assert_eq!((exit, text.as_str()), (Exit::FOUND, "ended early: 0 videos; no\\tdirectory\n"));
    let fake = Fake::with(|state| state.scan = vec![pb::ScanLibraryResponse::default()]);
    assert!(failure(&fake, &["scan", "films"]).await.contains("it ended before the scan did"));
}

#[tokio::test]
async fn the_rules_that_are_printed_can_be_given_back() {
    let (fake, file) = (Fake::start(), rules_file("bitrate_k = 5000\n"));
    run(&fake, &["add", "films", "/srv/films", "--rules", file.path().to_str().unwrap()]).await;
    let (_, printed) = run(&fake, &["rules", "films"]).await;
    assert!(printed.contains("\nbitrate_k = 5000\n") && printed.contains("\n# max_height = 0\n"), "{printed}");
    assert_eq!(rules::parse(&printed).unwrap().bitrate_k, Some(5000));
    // Without a name no server is needed.
    let output = Output::new();
    execute("http://127.0.0.1:1", &["rules"], &output).await.unwrap();
    assert!(output.text().contains("\n# bitrate_k = 3500\n"), "{}", output.text());
}

#[test]
fn the_command_line_is_consistent() {
    use clap::CommandFactory as _;
    Cli::command().debug_assert();
}
