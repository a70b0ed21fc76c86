//! The commands against a small service: what they print, what they ask for, and how they end.

mod files;
mod images;

use clap::Parser;
use steward_proto::artifact::v1 as pb;

use super::fake::Fake;
use super::*;
use crate::cli::testing::{Output, console_of};

#[derive(Parser)]
struct Cli {
    #[command(flatten)]
    artifact: ArtifactArgs,
}

async fn execute(url: &str, words: &[&str], output: &Output) -> Result<Exit, Error> {
    let cli = Cli::parse_from(["steward", "--server", url].iter().chain(words));
    let mut console = console_of(words, output);
    answer(cli.artifact.command, cli.artifact.client.server(), &mut console).await
}

async fn said(fake: &Fake, words: &[&str]) -> String {
    let output = Output::new();
    assert_eq!(execute(&fake.url(), words, &output).await.unwrap(), Exit::DONE, "{}", output.text());
    output.text()
}

async fn failure(fake: &Fake, words: &[&str]) -> String {
    execute(&fake.url(), words, &Output::new()).await.unwrap_err().to_string()
}

fn objects_of(text: &str) -> Vec<serde_json::Value> {
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[tokio::test]
async fn projects_come_and_go() {
    let fake = Fake::start();
    assert_eq!(said(&fake, &["project", "create", "p2", "--description", "d"]).await, "p2: created\n");
    assert_eq!(said(&fake, &["ls"]).await, "p1\np2\n");
    assert_eq!(
        said(&fake, &["project", "list"]).await,
        "PROJECT  NAME FOR PEOPLE  CREATED  DESCRIPTION\np1       -                -        -\np2       p2               -        d\n"
    );
    assert_eq!(said(&fake, &["project", "delete", "p2"]).await, "p2: deleted\n");
    assert_eq!(said(&fake, &["project", "list", "--json"]).await.lines().count(), 1);
}

#[tokio::test]
async fn a_repository_holds_what_it_is_told_to() {
    let fake = Fake::start();
    let created = said(&fake, &["repo", "create", "p1/charts", "--type", "helm", "--public", "--json"]).await;
    assert_eq!(objects_of(&created)[0]["type"], "helm");
    assert!(fake.asked::<pb::CreateRepositoryRequest>()[0].public);
    assert_eq!(said(&fake, &["repo", "create", "p1/more"]).await, "p1/more: created, generic\n");
    assert_eq!(said(&fake, &["ls", "p1"]).await, "files\nimages\ncharts\nmore\n");
    let listed = said(&fake, &["repo", "list", "p1"]).await;
    assert!(listed.contains("\ncharts      helm     anybody  -        -\n"), "{listed}");
}

#[tokio::test]
async fn a_repository_with_something_in_it_goes_only_by_force() {
    let fake = Fake::start();
    assert!(failure(&fake, &["repo", "delete", "p1/files"]).await.contains("REPOSITORY_NOT_EMPTY"));
    assert_eq!(said(&fake, &["repo", "delete", "p1/files", "--force"]).await, "p1/files: deleted\n");
}

#[tokio::test]
async fn a_watch_goes_on_where_it_was() {
    let mut fake = Fake::start();
    let change = |stamp, path: &str, tag: &str, before: &str, digest: &str| pb::ArtifactChange {
        stamp,
        path: path.to_owned(),
        image: if path.is_empty() { "nginx".to_owned() } else { String::new() },
        tag: tag.to_owned(),
        before: before.to_owned(),
        digest: digest.to_owned(),
        ..pb::ArtifactChange::default()
    };
    fake.change(|state| {
        state.changes = vec![change(1_000_000, "/a", "", "", "ab"), change(2_000_000, "", "1.1", "ab", "")];
    });
    let (url, output) = (fake.url(), Output::new());
    let steps = async {
        output.until(|text| text.lines().count() == 2).await;
        fake.restart();
        fake.change(|state| state.changes.push(change(3_000_000, "/a", "", "ab", "cd")));
        output.until(|text| text.lines().count() == 3).await;
    };
    tokio::select! {
        end = execute(&url, &["watch", "p1/files", "--from", "0"], &output) => panic!("{end:?}"),
        () = steps => {}
    }
    assert_eq!(
        output.text(),
        "1970-01-01T00:00:01Z  new      /a  ab\n1970-01-01T00:00:02Z  deleted  nginx:1.1  ab\n\
         1970-01-01T00:00:03Z  changed  /a  cd\n"
    );
    let asked = fake.asked::<pb::WatchArtifactsRequest>();
    let stamps: Vec<_> = asked.iter().map(|request| request.after_stamp).collect();
    assert_eq!((stamps[0], stamps[1]), (Some(0), Some(2_000_000)));
}

#[test]
fn the_command_line_is_consistent() {
    use clap::CommandFactory as _;
    Cli::command().debug_assert();
}
