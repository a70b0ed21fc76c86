use super::*;

const TABLE: &str = "
@ops = alice, bob
@ops      *         *          admin
node-7    lock      pull/*     read,write  as node-7,spare-*
carol     restic    {user}     read,append   # her own
*         artifact  public/*   read
anonymous artifact  public/a   read
";

fn caller(user: &str, groups: &[&str]) -> Identity {
    let user = (!user.is_empty()).then(|| user.to_owned());
    Identity { user, groups: groups.iter().map(ToString::to_string).collect(), ..Identity::default() }
}

fn may(caller: &Identity, area: Area, right: Right, resource: &str, acting_as: &str) -> bool {
    let question = Question { area, right, resource: Some(resource), acting_as: Some(acting_as) };
    allows(TABLE, caller, question)
}

fn allows(table: &str, caller: &Identity, question: Question<'_>) -> bool {
    RulesAbout::of(Arc::new(Table::parse(table).unwrap()), caller).find(caller, question).is_some()
}

#[test]
fn a_rule_is_for_a_user_a_group_anybody_or_the_anonymous() {
    for (user, groups, area, right, resource, is_allowed) in [
        ("alice", &[][..], Area::Volume, Right::Admin, "x", true),
        ("carol", &[], Area::Restic, Right::Append, "carol/laptop", true),
        ("carol", &[], Area::Restic, Right::Write, "carol/laptop", false),
        ("carol", &[], Area::Restic, Right::Read, "node-7", false),
        ("carol", &["ops"], Area::Restic, Right::Write, "node-7", true),
        ("carol", &[], Area::Artifact, Right::Read, "public/x", true),
        ("anonymous", &[], Area::Lock, Right::Read, "pull/a", false),
        ("", &[], Area::Artifact, Right::Read, "public/a", true),
        ("", &[], Area::Artifact, Right::Read, "public/x", false),
        ("dave", &[], Area::Lock, Right::Read, "pull/a", false),
    ] {
        let allowed = may(&caller(user, groups), area, right, resource, "");
        assert_eq!(allowed, is_allowed, "{user} {area:?} {right:?} {resource}");
    }
}

#[test]
fn of_several_rules_that_allow_it_the_first_line_counts_whomever_it_is_about() {
    let rules = ["* lock * read", "@ops lock * read", "bob lock * read"];
    for first in 0..rules.len() {
        let mut lines = vec!["@ops = bob"];
        lines.extend(rules.iter().cycle().skip(first).take(rules.len()));
        let (table, bob) = (Arc::new(Table::parse(&lines.join("\n")).unwrap()), caller("bob", &["ops"]));
        let question = Question { area: Area::Lock, right: Right::Read, resource: Some("x"), acting_as: None };
        let about = RulesAbout::of(table, &bob);
        let (who, _) = rules[first].split_once(' ').unwrap();
        assert_eq!(about.find(&bob, question).unwrap().to_string(), format!("line 2: {who} lock:*:read"));
    }
}

#[test]
fn one_acts_as_oneself_or_as_the_rule_says() {
    let node = caller("node-7", &[]);
    for (name, is_allowed) in [("", true), ("node-7", true), ("spare-1", true), ("node-8", false), ("Node-7", false)] {
        assert_eq!(may(&node, Area::Lock, Right::Write, "pull/a", name), is_allowed, "{name}");
    }
    assert!(may(&caller("alice", &[]), Area::Lock, Right::Write, "pull/a", "node-7"), "who may do all, as anybody");
}

#[test]
fn a_wrong_line_is_named() {
    for (table, problem) in [
        ("\nalice lock *", "line 2: a rule is"),
        ("alice lock * fly", "line 1: \"fly\" is no right"),
        ("alice house * read", "line 1: \"house\" is no area"),
        ("a/b lock * read", "line 1: nobody can be called \"a/b\""),
        ("@a = x\n@a = y", "line 2: the group @a is there twice"),
        ("a = x", "line 1: a rule is"),
        ("@a = x/y", "line 1: nobody can be called \"x/y\""),
        ("alice lock * read as {x}", "line 1: the pattern"),
        ("alice lock * read is b", "line 1: a rule is"),
    ] {
        let error = Table::parse(table).unwrap_err();
        assert!(error.starts_with(problem), "{error}");
    }
    assert!(Table::parse("# nothing\n\n").unwrap().is_empty());
    let question = Question { area: Area::Lock, right: Right::Read, resource: Some("k=v#1/x"), acting_as: None };
    assert!(allows("a lock k=v#1/* read  # the rest says why", &caller("a", &[]), question));
    assert!(Table::parse(&"a lock * read\n".repeat(MAX_RULES + 1)).is_err());
}
