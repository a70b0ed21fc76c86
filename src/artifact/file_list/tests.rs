//! Lists of files and folders.

use super::super::sight::Sight;
use super::super::testing::{World, at};
use super::*;

fn all() -> View {
    Sight::everything().on("p1", "r1")
}

fn which(folder: &str, depth: Depth, include_folders: bool, pattern: &str) -> WhichFiles {
    let pattern = (!pattern.is_empty()).then(|| Glob::parse(pattern).expect("a glob"));
    WhichFiles { place: at(folder), depth, include_folders, pattern }
}

/// All pages of a list, with a slash behind folders.
async fn list(world: &World, which: &WhichFiles, size: i32) -> Vec<String> {
    let (mut paths, mut total, mut page) = (Vec::new(), None, world.page(size, ""));
    loop {
        let part = world.artifacts.list_files(which, &page, &all()).await.expect("a page");
        assert!(part.items.len() <= page.size);
        assert_eq!(*total.get_or_insert(part.total), part.total);
        paths.extend(part.items.into_iter().map(
            |found| {
                if found.file.is_some() { found.path } else { below(&found.path) }
            },
        ));
        if part.next.is_empty() {
            break;
        }
        page = world.page(size, &part.next);
    }
    assert_eq!(total, Some(paths.len() as u64));
    paths
}

#[tokio::test]
async fn a_list_has_files_and_the_folders_that_they_imply_on_pages_of_any_size() {
    let world = World::with_repository().await;
    for path in ["/a/b/c", "/a/b/d", "/a/e", "/a-1", "/a.txt", "/z/y/x/w", "/b"] {
        world.put(path, b"x").await;
    }
    let table: [(WhichFiles, &[&str]); 9] = [
        (which("/", Depth::Folder, false, ""), &["/a-1", "/a.txt", "/b"]),
        (which("/", Depth::Folder, true, ""), &["/a-1", "/a.txt", "/a/", "/b", "/z/"]),
        (which("/", Depth::All, false, ""), &["/a-1", "/a.txt", "/a/b/c", "/a/b/d", "/a/e", "/b", "/z/y/x/w"]),
        (
            which("/", Depth::All, true, ""),
            &[
                "/a-1", "/a.txt", "/a/", "/a/b/", "/a/b/c", "/a/b/d", "/a/e", "/b", "/z/", "/z/y/", "/z/y/x/",
                "/z/y/x/w",
            ],
        ),
        (which("/a", Depth::Folder, true, ""), &["/a/b/", "/a/e"]),
        (which("/a", Depth::All, true, ""), &["/a/b/", "/a/b/c", "/a/b/d", "/a/e"]),
        (which("/z", Depth::Folder, false, ""), &[]),
        (which("/", Depth::All, false, "a/**"), &["/a/b/c", "/a/b/d", "/a/e"]),
        (which("/a", Depth::All, false, "*/[cd]"), &[]),
    ];
    for (which, expected) in table {
        for size in [1, 2, 3, 100] {
            assert_eq!(list(&world, &which, size).await, expected, "{which:?} {size}");
        }
    }
}

#[tokio::test]
async fn ten_thousand_files_are_listed_once_each() {
    let world = World::with_repository().await;
    let mut expected = Vec::new();
    let keep = world.keep(b"x").await;
    let mut puts = tokio::task::JoinSet::new();
    for number in 0..10_000 {
        let path = format!("/d{}/f{number:05}", number % 7);
        let (artifacts, put, kept) = (world.artifacts.clone(), world.new_put(&path), keep.clone());
        puts.spawn(async move {
            artifacts.put_file(put, kept, super::super::files::Same::Replace, String::new()).await.map(|_| ())
        });
        expected.push(path);
        if puts.len() == 256 {
            puts.join_next().await.expect("one of them").expect("no panic").expect("a file");
        }
    }
    while let Some(put) = puts.join_next().await {
        put.expect("no panic").expect("a file");
    }
    expected.sort();

    assert_eq!(list(&world, &which("/", Depth::All, false, ""), 1000).await, expected);
    let folders = list(&world, &which("/", Depth::Folder, true, ""), 3).await;
    assert_eq!(folders, ["/d0/", "/d1/", "/d2/", "/d3/", "/d4/", "/d5/", "/d6/"]);
    let some = list(&world, &which("/d3", Depth::Folder, false, "f0001*"), 1).await;
    assert_eq!(some, ["/d3/f00010", "/d3/f00017"]);
    assert_eq!(world.delete("/d3").await.expect("deleted"), 1429);
    assert_eq!(list(&world, &which("/", Depth::All, false, ""), 997).await.len(), 10_000 - 1429);
}

#[tokio::test]
async fn a_page_goes_on_although_what_it_ended_with_is_gone() {
    let world = World::with_repository().await;
    for path in ["/a", "/b/x", "/c"] {
        world.put(path, b"x").await;
    }
    let which = which("/", Depth::Folder, true, "");
    let first = world.artifacts.list_files(&which, &world.page(2, ""), &all()).await.expect("a page");
    world.delete("/b").await.expect("deleted");
    let second = world.artifacts.list_files(&which, &world.page(2, &first.next), &all()).await.expect("a page");
    assert_eq!(second.items.iter().map(|found| found.path.as_str()).collect::<Vec<_>>(), ["/c"]);
    assert_eq!((first.total, second.total), (3, 3));
}

#[tokio::test]
async fn what_is_not_there_cannot_be_listed_but_a_repository_may_be_empty() {
    let world = World::with_repository().await;
    assert!(list(&world, &which("/", Depth::All, true, ""), 10).await.is_empty());
    world.put("/a", b"x").await;
    for folder in ["/none", "/a"] {
        let refused =
            world.artifacts.list_files(&which(folder, Depth::All, true, ""), &world.page(1, ""), &all()).await;
        assert!(matches!(refused, Err(Error::FileNotFound(_))), "{folder}");
    }
    let elsewhere = super::super::paging::Place { last: "/a".to_owned(), total: 1 }.token();
    let refused =
        world.artifacts.list_files(&which("/b", Depth::All, true, ""), &world.page(1, &elsewhere), &all()).await;
    assert!(matches!(refused, Err(Error::Invalid { field: "page_token", .. })));
}

#[tokio::test]
async fn a_folder_in_which_nothing_may_be_seen_is_not_there() {
    let world = World::with_repository().await;
    for path in ["/a/mine/x", "/a/theirs/y", "/b/theirs/z"] {
        world.put(path, b"x").await;
    }
    let view = Sight::by_table("a artifact p1/r1/a/mine read\na artifact p1/r1/b/mine read").on("p1", "r1");
    let listed = async |folder: &str, depth: Depth| {
        let part = world.artifacts.list_files(&which(folder, depth, true, ""), &world.page(10, ""), &view).await?;
        let paths: Vec<String> = part.items.into_iter().map(|found| found.path).collect();
        assert_eq!(part.total, paths.len() as u64);
        Ok::<_, Error>(paths)
    };
    assert_eq!(listed("/", Depth::Folder).await.expect("a list"), ["/a"]);
    assert_eq!(listed("/a", Depth::Folder).await.expect("a list"), ["/a/mine"]);
    assert_eq!(listed("/", Depth::All).await.expect("a list"), ["/a", "/a/mine", "/a/mine/x"]);
    for folder in ["/b", "/b/mine", "/c"] {
        let refused = listed(folder, Depth::Folder).await;
        assert!(matches!(refused, Err(Error::FileNotFound(_))), "{folder}: {refused:?}");
    }
}
