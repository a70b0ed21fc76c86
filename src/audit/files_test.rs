use std::fs::File;

use proptest::prelude::*;
use tempfile::TempDir;

use super::*;

const MUCH: Limits = Limits { retention: Duration::from_hours(1), max_bytes: 64 * 1024 * 1024 };

fn entry(seconds: i64, resource: &str) -> AuditEntry {
    let time = Some(prost_types::Timestamp { seconds, nanos: 0 });
    AuditEntry { time, resource: resource.to_owned(), ..AuditEntry::default() }
}

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_nanos(seconds * 1_000_000_000)
}

fn log(limits: Limits) -> (TempDir, Files) {
    let directory = tempfile::tempdir().unwrap();
    let files = Files::open(&directory.path().join("audit"), limits).unwrap();
    (directory, files)
}

fn again(directory: &TempDir, limits: Limits) -> Files {
    Files::open(&directory.path().join("audit"), limits).unwrap()
}

/// All numbers and resources in a direction, read block by block.
fn all(files: &Files, direction: Direction) -> Vec<(u64, String)> {
    let mut number = match direction {
        Direction::Forward => files.floor(),
        Direction::Backward => files.next().unwrap(),
    };
    let mut found = Vec::new();
    loop {
        let entries = files.read(number, direction).unwrap();
        let Some(last) = entries.last() else { return found };
        let last = u64::try_from(last.number).unwrap();
        found.extend(entries.into_iter().map(|entry| (u64::try_from(entry.number).unwrap(), entry.resource)));
        number = match direction {
            Direction::Forward => last + 1,
            Direction::Backward if last == 1 => return found,
            Direction::Backward => last - 1,
        };
    }
}

fn paths(directory: &TempDir) -> Vec<PathBuf> {
    segment_files(&directory.path().join("audit")).unwrap().into_iter().map(|(_, path)| path).collect()
}

#[test]
fn entries_are_numbered_without_holes_and_read_in_both_directions() {
    let (directory, files) = log(MUCH);
    let text = "x".repeat(500);
    for group in 0..100 {
        let mut entries: Vec<_> = (0..=group % 7).map(|_| entry(1, &text)).collect();
        files.append(&mut entries).unwrap();
    }
    let count = files.next().unwrap();
    for files in [&files, &again(&directory, MUCH)] {
        let numbers: Vec<u64> = all(files, Direction::Forward).into_iter().map(|(number, _)| number).collect();
        assert_eq!(numbers, (1..count).collect::<Vec<_>>());
        let numbers: Vec<u64> = all(files, Direction::Backward).into_iter().map(|(number, _)| number).collect();
        assert_eq!(numbers, (1..count).rev().collect::<Vec<_>>());
    }
}

#[test]
fn by_bytes_the_oldest_files_go_and_numbers_go_on() {
    let limits = Limits { max_bytes: 64 * 1024, ..MUCH };
    let (directory, files) = log(limits);
    let text = "x".repeat(1000);
    let mut early = 0;
    for second in 0..300 {
        files.append(&mut [entry(second, &text)]).unwrap();
        early += files.trim(at(second)).unwrap();
    }
    let kept: u64 = paths(&directory).iter().map(|path| std::fs::metadata(path).unwrap().len()).sum();
    assert!((32 * 1024..=64 * 1024).contains(&kept), "{kept}");
    let floor = files.floor();
    assert!(floor > 200, "{floor}");
    assert_eq!(early, floor - 1, "all that is gone is younger than it should have become");
    let files = again(&directory, limits);
    assert_eq!((files.floor(), files.next().unwrap()), (floor, 301));
    assert!(all(&files, Direction::Forward).into_iter().map(|(number, _)| number).eq(floor..=300));
}

#[test]
fn by_age_all_entries_go_and_the_next_number_stays() {
    let (directory, files) = log(MUCH);
    files.append(&mut [entry(0, "a"), entry(1, "b")]).unwrap();
    files.trim(at(100)).unwrap();
    assert_eq!(all(&files, Direction::Forward).len(), 2);
    assert_eq!(files.trim(at(2 * 3600)).unwrap(), 0, "they are old enough");
    assert_eq!((all(&files, Direction::Forward), files.floor()), (Vec::new(), 3));
    files.append(&mut [entry(2 * 3600, "c")]).unwrap();
    let files = again(&directory, MUCH);
    assert_eq!(all(&files, Direction::Forward), [(3, "c".to_owned())]);
}

#[test]
fn a_file_without_entries_of_a_time_is_left_out() {
    let limits = Limits { max_bytes: 64 * 1024, ..MUCH };
    let (_directory, files) = log(limits);
    let text = "x".repeat(1000);
    for second in 0..20 {
        files.append(&mut [entry(second, &text)]).unwrap();
    }
    let late = TimeRange { start: Some(at(19)), end: None };
    let next = files.skip(1, Direction::Forward, &late).expect("nothing of this time in the first file");
    assert!(next > 1 && next < 20, "{next}");
    assert_eq!(files.skip(20, Direction::Backward, &late), None);
    let early = TimeRange { start: None, end: Some(at(1)) };
    assert_eq!(files.skip(1, Direction::Forward, &early), None);
    assert!(files.skip(20, Direction::Backward, &early).is_some());
}

#[test]
fn damage_in_an_old_file_hides_what_is_behind_it_there_and_nothing_else() {
    let limits = Limits { max_bytes: 64 * 1024, ..MUCH };
    let (directory, files) = log(limits);
    let text = "x".repeat(1000);
    for second in 0..20 {
        files.append(&mut [entry(second, &text)]).unwrap();
    }
    let (first, second) = (&paths(&directory)[0], again(&directory, limits));
    let beginning_of_next = second.candidates(20, Direction::Backward).iter().rev().nth(1).unwrap().first;
    let mut content = std::fs::read(first).unwrap();
    content[2500] ^= 1;
    std::fs::write(first, content).unwrap();
    let files = again(&directory, limits);
    let expected: Vec<u64> = [1, 2].into_iter().chain(beginning_of_next..=20).collect();
    let numbers = |direction| -> Vec<u64> { all(&files, direction).into_iter().map(|(number, _)| number).collect() };
    assert_eq!(numbers(Direction::Forward), expected);
    assert_eq!(numbers(Direction::Backward), expected.into_iter().rev().collect::<Vec<_>>());
}

#[test]
fn a_damaged_file_stays_as_long_as_what_it_hides_would() {
    let limits = Limits { max_bytes: 64 * 1024, ..MUCH };
    let (directory, files) = log(limits);
    let text = "x".repeat(1000);
    for second in 0..20 {
        files.append(&mut [entry(second, &text)]).unwrap();
    }
    let first = &paths(&directory)[0];
    let mut content = std::fs::read(first).unwrap();
    content[100] ^= 1;
    std::fs::write(first, content).unwrap();
    let changed = std::fs::metadata(first).unwrap().modified().unwrap();
    let changed = changed.duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
    let changed = i64::try_from(changed).unwrap();
    let files = again(&directory, limits);
    files.trim(at(changed + 1800)).unwrap();
    assert_eq!(files.floor(), 1);
    files.trim(at(changed + 2 * 3600)).unwrap();
    assert!(files.floor() > 1);
}

#[test]
fn damage_in_the_newest_file_takes_no_entries_away_and_no_number_is_given_twice() {
    let (directory, files) = log(MUCH);
    let text = "x".repeat(1000);
    for second in 0..20 {
        files.append(&mut [entry(second, &text)]).unwrap();
    }
    let path = &paths(&directory)[0];
    let mut content = std::fs::read(path).unwrap();
    content[2500] ^= 1;
    std::fs::write(path, &content).unwrap();
    for last in [21, 22] {
        let files = again(&directory, MUCH);
        assert_eq!(files.next().unwrap(), last);
        files.append(&mut [entry(20, "new")]).unwrap();
        let numbers: Vec<u64> = all(&files, Direction::Forward).into_iter().map(|(number, _)| number).collect();
        assert_eq!(numbers, [1, 2].into_iter().chain(21..=last).collect::<Vec<_>>());
    }
    assert!(std::fs::read(path).unwrap() == content);
}

#[test]
fn an_empty_file_that_a_failed_try_has_left_is_in_nobodys_way() {
    let limits = Limits { max_bytes: 64 * 1024, ..MUCH };
    let (directory, files) = log(limits);
    let text = "x".repeat(1000);
    let (mut second, newest) = (0, files.newest());
    while newest.size().unwrap() < files.segment_bytes() {
        files.append(&mut [entry(second, &text)]).unwrap();
        second += 1;
    }
    let next = files.next().unwrap();
    File::create(directory.path().join(format!("audit/{next:020}.{EXTENSION}"))).unwrap();
    files.append(&mut [entry(second, &text)]).unwrap();
    assert_eq!((files.count(), files.next().unwrap()), (2, next + 1));
}

#[test]
fn of_many_files_only_the_newest_is_kept_open() {
    let limits = Limits { max_bytes: 64 * 1024, ..MUCH };
    let (directory, files) = log(limits);
    let text = "x".repeat(1000);
    for second in 0..50 {
        files.append(&mut [entry(second, &text)]).unwrap();
    }
    let newest = paths(&directory).pop().unwrap();
    let only_the_newest_is_open = |files: &Files| {
        assert!(files.count() > 3);
        assert_eq!(all(files, Direction::Forward).len(), 50);
        let open = std::fs::read_dir("/proc/self/fd").unwrap();
        let open = open.filter_map(|link| std::fs::read_link(link.ok()?.path()).ok());
        let open: Vec<_> = open.filter(|path| path.starts_with(directory.path())).collect();
        assert_eq!(open, std::slice::from_ref(&newest));
    };
    only_the_newest_is_open(&files);
    drop(files);
    only_the_newest_is_open(&again(&directory, limits));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Whatever part of the last group a crash has left, what was there before it stays, and numbers go on.
    #[test]
    fn a_torn_tail_takes_nothing_else_with_it(
        groups in prop::collection::vec(prop::collection::vec("[a-z]{0,300}", 1..20), 1..12),
        cut: prop::sample::Index,
        garbage in prop::collection::vec(any::<u8>(), 0..200),
        is_overwritten: bool,
    ) {
        let limits = Limits { max_bytes: 64 * 1024, ..MUCH };
        let (directory, mut files) = log(limits);
        let mut model: Vec<(u64, String)> = Vec::new();
        for group in &groups {
            let before = std::fs::metadata(paths(&directory).last().unwrap()).unwrap().len();
            let count = paths(&directory).len();
            let mut entries: Vec<_> = group.iter().map(|resource| entry(1, resource)).collect();
            files.append(&mut entries).unwrap();
            let path = paths(&directory).pop().unwrap();
            let start = if paths(&directory).len() > count { 0 } else { before };
            let end = std::fs::metadata(&path).unwrap().len();
            // Torn somewhere in the group that was being written.
            let keep = start + cut.index(usize::try_from(end - start + 1).unwrap()) as u64;
            let file = File::options().write(true).open(&path).unwrap();
            file.set_len(keep).unwrap();
            if is_overwritten {
                std::os::unix::fs::FileExt::write_all_at(&file, &garbage, keep).unwrap();
            }
            drop(files);
            files = again(&directory, limits);
            let whole = all(&files, Direction::Forward);
            prop_assert!(whole.len() >= model.len());
            prop_assert_eq!(&whole[..model.len()], &model[..]);
            let expected = (1..).zip(model.iter().map(|(_, resource)| resource).chain(group)).take(whole.len());
            prop_assert!(whole.iter().map(|(number, resource)| (*number, resource)).eq(expected));
            prop_assert_eq!(files.next().unwrap(), whole.len() as u64 + 1);
            model = whole;
        }
    }
}
