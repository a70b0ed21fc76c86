use super::*;
use crate::volume::lookup::{Begin, VolumeFilter, VolumePage, WithSpace};

impl World {
    async fn list(&self, directory: &str, filter: &VolumeFilter, begin: Begin, limit: usize) -> VolumePage {
        let listed =
            self.catalog.list_volumes(&user("eva"), &path(directory), filter, begin, limit, WithSpace::No).await;
        listed.expect("a list")
    }

    async fn names(&self, directory: &str, filter: &VolumeFilter) -> Vec<String> {
        names(&self.list(directory, filter, Begin::Skip(0), 100).await)
    }
}

fn names(page: &VolumePage) -> Vec<String> {
    page.volumes.iter().map(|shown| shown.path.to_string()).collect()
}

#[tokio::test]
async fn a_directory_lists_its_entries_by_name_to_everybody() {
    let world = World::new().await;
    world.create("tom", "/test1").await;
    let all = VolumeFilter::default();
    assert_eq!(world.names("/", &all).await, ["/RecycleBin", "/clone", "/test1"]);
    assert!(world.names("/clone", &all).await.is_empty());
    let missing = world.catalog.list_volumes(&user("eva"), &path("/x"), &all, Begin::Skip(0), 9, WithSpace::No).await;
    assert!(matches!(missing, Err(Error::NotFound(_))));
    let file = world.catalog.list_volumes(&user("eva"), &path("/test1"), &all, Begin::Skip(0), 9, WithSpace::No).await;
    assert!(matches!(file, Err(Error::NotADirectory(_))));
}

#[tokio::test]
async fn pages_by_number_and_by_token_are_the_same() {
    let world = World::new().await;
    world.directory("eva", "/d").await;
    for number in 0..5 {
        world.create("eva", &format!("/d/{number}")).await;
    }
    for filter in [VolumeFilter::default(), VolumeFilter { owner: Some("eva".to_owned()), ..VolumeFilter::default() }] {
        let first = world.list("/d", &filter, Begin::Skip(0), 2).await;
        assert_eq!((names(&first), first.total), (vec!["/d/0".to_owned(), "/d/1".to_owned()], 5));
        let second = world.list("/d", &filter, Begin::Skip(2), 2).await;
        let by_token = world.list("/d", &filter, Begin::After(first.next.expect("a next page")), 2).await;
        assert_eq!((names(&second), by_token.total), (names(&by_token), 5));
        let last = world.list("/d", &filter, Begin::After(by_token.next.expect("a next page")), 2).await;
        assert_eq!((names(&last), last.next), (vec!["/d/4".to_owned()], None));
        assert!(world.list("/d", &filter, Begin::Skip(9), 2).await.volumes.is_empty());
        assert_eq!(world.list("/d", &filter, Begin::Skip(0), 0).await.total, 5);
    }
}

#[tokio::test]
async fn volumes_below_are_listed_by_path_without_what_is_deleted() {
    let world = World::new().await;
    for directory in ["/a", "/a/b", "/z"] {
        world.directory("eva", directory).await;
    }
    for volume in ["/a/b/1", "/a/2", "/a-b", "/z/3", "/z/gone"] {
        world.create("eva", volume).await;
    }
    world.delete("eva", "/z/gone").await.expect("a deletion");
    let below = VolumeFilter { recursive: true, ..VolumeFilter::default() };
    let all = ["/a/2", "/a/b/1", "/a-b", "/z/3"];
    assert_eq!(world.names("/", &below).await, all);
    assert_eq!(world.names("/a", &below).await, ["/a/2", "/a/b/1"]);
    let (mut begin, mut seen) = (Begin::Skip(0), Vec::new());
    loop {
        let page = world.list("/", &below, begin, 1).await;
        assert_eq!(page.total, 4);
        seen.extend(names(&page));
        let Some(next) = page.next else { break };
        begin = Begin::After(next);
    }
    assert_eq!(seen, all);
    assert_eq!(world.names("/RecycleBin", &below).await.len(), 1);
}

#[tokio::test]
async fn a_list_is_filtered_by_labels_and_owner() {
    let world = World::new().await;
    let labels = |value: &str| HashMap::from([("tier".to_owned(), value.to_owned())]);
    for (name, place, tier) in [("eva", "/a", "gold"), ("eva", "/b", "tin"), ("tom", "/c", "gold")] {
        let what = CreateVolume { labels: labels(tier), ..volume_of(place, GIB) };
        world.catalog.create_volume(&user(name), what).await.expect("a volume");
    }
    let gold = VolumeFilter { labels: labels("gold"), ..VolumeFilter::default() };
    assert_eq!(world.names("/", &gold).await, ["/a", "/c"]);
    let of_eva = VolumeFilter { owner: Some("eva".to_owned()), ..gold };
    assert_eq!(world.names("/", &of_eva).await, ["/a"]);
}

#[tokio::test]
async fn what_belongs_to_others_is_not_read() {
    let world = World::new().await;
    let volume = world.create("eva", "/a").await;
    let read = async |name: &str, which| world.catalog.get_volume(&user(name), &which, WithSpace::No).await;
    assert_eq!(read("eva", at("/a")).await.expect("a volume").record, volume);
    assert!(matches!(read("tom", at("/a")).await, Err(Error::InvalidUser { .. })));
    assert!(matches!(read("eva", at("/x")).await, Err(Error::NotFound(_))));
    read("root", at("/a")).await.expect("root reads everything");
    read("tom", at("/")).await.expect("everybody reads the root");
    world.delete("eva", "/a").await.expect("a deletion");
    let which = crate::volume::Which::Id(volume.id);
    assert!(read("eva", which.clone()).await.expect("its own volume in the trash").record.trash.is_some());
    assert!(matches!(read("tom", which).await, Err(Error::InvalidUser { .. })));
}
