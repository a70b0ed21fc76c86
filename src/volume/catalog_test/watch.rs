use super::*;
use crate::auth::{Grants, Identity};
use crate::places::Places;
use crate::store::Revision;
use crate::volume::lookup::ShownVolume;
use crate::volume::reach::Reach;
use crate::volume::watch::{Step, Steps};

impl World {
    fn watch(&self, from: Option<Revision>) -> Steps<ShownVolume> {
        let place = Places::new(1).take(&Identity::default()).expect("a place");
        let reach = Reach::new(Grants::everything(), "root".to_owned());
        self.catalog.watch_volumes(reach, from, place)
    }
}

async fn next<T>(steps: &mut Steps<T>) -> Step<T> {
    steps.recv().await.expect("a step").expect("no error")
}

#[tokio::test]
async fn a_watch_tells_what_is_there_and_then_every_change() {
    let world = World::new().await;
    let volume = world.create("eva", "/a").await;
    let mut steps = world.watch(None);
    let (mut seen, mut resume) = (Vec::new(), None);
    while resume.is_none() {
        match next(&mut steps).await {
            Step::Current(shown) => seen.push(shown.path.to_string()),
            Step::Progress(at) => resume = Some(at),
            other => panic!("not yet: {other:?}"),
        }
    }
    assert_eq!(seen, ["/", "/RecycleBin", "/clone", "/a"]);
    world.delete("eva", "/a").await.expect("a deletion");
    world.catalog.purge_volume(&user("eva"), &at("/a")).await.expect("a purge");
    for mut steps in [steps, world.watch(resume)] {
        let mut was_in_trash = false;
        loop {
            match next(&mut steps).await {
                Step::Changed(shown, _) => was_in_trash |= shown.record.id == volume.id && shown.record.trash.is_some(),
                Step::Gone(key, _) => {
                    assert_eq!(crate::volume::keys::first_number(&key), Some(volume.id));
                    break;
                }
                other => panic!("something else: {other:?}"),
            }
        }
        assert!(was_in_trash);
    }
}

#[tokio::test]
async fn a_watch_ends_when_the_server_does() {
    let world = World::new().await;
    let mut steps = world.watch(Some(world.store().revision()));
    world.catalog.shutdown.cancel();
    assert!(matches!(steps.recv().await, Some(Err(Error::ShuttingDown))));
    assert!(steps.recv().await.is_none());
}
