//! Tasks work with the rights of who said last what they are to do.

use std::sync::Arc;

use async_trait::async_trait;
use parking_lot::Mutex;

use super::world::{World, config, id};
use crate::auth::rights::Table;
use crate::auth::{Grants, Identity};
use crate::replication::access::{Maker, Makers};

/// A table of rights that changes.
#[derive(Default)]
struct Rights(Mutex<&'static str>);

impl Rights {
    fn of(&self, caller: Identity) -> Grants {
        Grants::new(caller, Arc::new(Table::parse(*self.0.lock()).expect("a table")))
    }
}

#[async_trait]
impl Makers for Rights {
    async fn grants(&self, maker: &Maker) -> Grants {
        self.of(maker.identity())
    }
}

const ALL_MAY: &str = "anonymous replication p write\nanonymous artifact p read
alice replication p write\nalice artifact p read";
const ALICE_MAY: &str = "alice replication p write\nalice artifact p read";

/// Why the task may not run.
async fn refused(world: &World) -> Option<String> {
    let (record, config) = world.replication.task_and_config(&id("mirror")).await.expect("readable").expect("a task");
    world.replication.is_refused(&record, &config).await.expect("asked")
}

#[tokio::test]
async fn a_task_of_nobody_in_particular_ends_with_the_rule_for_anonymous() {
    let rights = Arc::new(Rights(Mutex::new(ALL_MAY)));
    let world = World::with_makers(Arc::clone(&rights) as Arc<dyn Makers>);
    let nobody = Maker::of(&rights.of(Identity::default()));
    world.replication.create_tasks("p", "img", vec![config("mirror")], &nobody).await.expect("a task");
    assert_eq!(refused(&world).await, None);
    *rights.0.lock() = ALICE_MAY;
    let reason = refused(&world).await.expect("it is asked again");
    assert!(reason.starts_with("it works for anonymous"), "{reason}");
}

#[tokio::test]
async fn what_others_change_does_not_work_with_the_rights_of_who_created_it() {
    let rights = Arc::new(Rights(Mutex::new(ALL_MAY)));
    let world = World::with_makers(Arc::clone(&rights) as Arc<dyn Makers>);
    let alice = Maker::named("alice");
    world.replication.create_tasks("p", "img", vec![config("mirror")], &alice).await.expect("a task");
    let nobody = Maker::of(&rights.of(Identity::default()));
    world.replication.update_task(config("mirror"), &nobody).await.expect("changed");
    *rights.0.lock() = ALICE_MAY;
    assert!(refused(&world).await.is_some());
    world.replication.update_task(config("mirror"), &alice).await.expect("changed");
    assert_eq!(refused(&world).await, None);
}

#[tokio::test]
async fn whoever_runs_its_own_task_is_known_with_its_groups_anew() {
    let rights = Arc::new(Rights(Mutex::new("@ops replication p write\n@ops artifact p read")));
    let world = World::with_makers(Arc::clone(&rights) as Arc<dyn Makers>);
    let carol = Maker { groups: vec!["ops".to_owned()], ..Maker::named("carol") };
    world.replication.create_tasks("p", "img", vec![config("mirror")], &carol).await.expect("a task");
    assert_eq!(refused(&world).await, None);
    world.pass(91 * 24 * 3600);
    assert!(refused(&world).await.is_some(), "nobody knows whether she is still in the group");
    world.replication.renew_maker(&id("mirror"), &Maker { user: "bob".to_owned(), ..carol.clone() }).await.unwrap();
    assert!(refused(&world).await.is_some(), "it is not his");
    world.replication.renew_maker(&id("mirror"), &carol).await.unwrap();
    assert_eq!(refused(&world).await, None);
}
