//! What keeps a volume open, and what happens when that fails.

use clap::Parser as _;

use super::*;
use crate::cli::connect::ClientArgs;
use crate::cli::testing::Output;
use crate::cli::volume::fake::Fake;

#[derive(clap::Parser)]
struct Cli {
    #[command(flatten)]
    client: ClientArgs,
    #[command(flatten)]
    attach: AttachArgs,
}

fn with_a_disk() -> Fake {
    let volume = pb::Volume { id: 2, path: "/vm/a".to_owned(), ..pb::Volume::default() };
    Fake::with(|state| state.volumes = vec![volume])
}

fn parse(fake: &Fake, words: &[&str]) -> Cli {
    let url = fake.url();
    Cli::parse_from(["attach", "--server", &url].iter().chain(words))
}

/// Attaches, and interrupts as soon as there is output.
async fn run(fake: &Fake, words: &[&str]) -> (Exit, String) {
    let (signals, caught) = Signals::scripted();
    let output = Output::new();
    let Cli { client, attach: args } = parse(fake, words);
    let session = Session::open(client.server(), String::new()).await.unwrap();
    let mut console = Console::plain(Box::new(output.clone()), Format::Text);
    let interrupt = async {
        output.until(|text| text.contains('\n')).await;
        signals.send(rustix::process::Signal::INT).unwrap();
        std::future::pending::<()>().await;
    };
    tokio::select! {
        exit = attach(args, caught, &session, &mut console) => (exit.unwrap(), output.text()),
        () = interrupt => unreachable!("it waits for ever"),
    }
}

fn is_open(fake: &Fake) -> bool {
    fake.look(|state| !state.exports.is_empty())
}

#[tokio::test]
async fn it_is_open_until_somebody_interrupts() {
    let fake = with_a_disk();
    assert_eq!(run(&fake, &["/vm/a"]).await, (Exit::DONE, "nbd://127.0.0.1:10809//vm/a\n".to_owned()));
    assert!(!is_open(&fake));
}

#[tokio::test]
async fn it_is_open_while_a_command_runs() {
    let fake = with_a_disk();
    let script = "[ \"$STEWARD_NBD_URI\" = nbd://127.0.0.1:10809//vm/a ] && exit 7";
    assert_eq!(run(&fake, &["/vm/a", "--exclusive", "--", "sh", "-c", script]).await.0, Exit::of_command(status(7)));
    assert!(!is_open(&fake) && fake.asked::<pb::OpenExportRequest>()[0].exclusive);
    assert_eq!(run(&fake, &["/vm/a", "--", "/not/there"]).await.0, Exit::NOT_FOUND);
    assert!(!is_open(&fake));
}

fn status(code: i32) -> std::process::ExitStatus {
    std::os::unix::process::ExitStatusExt::from_raw(code << 8)
}

#[tokio::test]
async fn a_command_ends_when_the_export_is_lost() {
    let fake = with_a_disk();
    let Cli { client, attach: args } = parse(&fake, &["/vm/a", "--", "sleep", "600"]);
    let args = AttachArgs { ttl: Duration::from_millis(30), ..args };
    let session = Session::open(client.server(), String::new()).await.unwrap();
    let (_signals, caught) = Signals::scripted();
    let mut console = Console::plain(Box::new(Output::new()), Format::Text);
    let attached = attach(args, caught, &session, &mut console);
    let lose = async {
        fake.until(|state| !state.exports.is_empty()).await;
        fake.change(|state| state.exports.clear());
        std::future::pending::<()>().await;
    };
    tokio::select! {
        exit = attached => assert_eq!(exit.unwrap(), Exit::LOST),
        () = lose => unreachable!("it waits for ever"),
    }
}

#[tokio::test]
async fn what_is_printed_stays_open() {
    let fake = with_a_disk();
    let (exit, text) = run(&fake, &["/vm/a@x", "--print", "--ttl", "1h"]).await;
    assert_eq!((exit, text.as_str()), (Exit::DONE, "nbd://127.0.0.1:10809//vm/a\n"));
    let request = fake.asked::<pb::OpenExportRequest>().remove(0);
    assert!(is_open(&fake) && request.read_only && request.snapshot == "x");
    assert_eq!(request.ttl.unwrap().seconds, 3600);
}

#[tokio::test]
async fn a_device_that_cannot_be_made_leaves_nothing_open() {
    let fake = with_a_disk();
    let (_signals, caught) = Signals::scripted();
    let Cli { client, attach: args } = parse(&fake, &["/vm/a", "--mount-file", "/not/there"]);
    let session = Session::open(client.server(), String::new()).await.unwrap();
    let mut console = Console::plain(Box::new(Output::new()), Format::Text);
    let error = attach(args, caught, &session, &mut console).await.unwrap_err().to_string();
    assert!(error.starts_with("cannot mount on /not/there: "), "{error}");
    assert!(!is_open(&fake));
}
