//! The table of rights: who may do what.
//!
//! ```text
//! # who     area      resources     rights
//! @ops    = alice, bob
//! @ops      *         *             admin
//! node-7    lock      pull/*        read,write   as node-7
//! carol     restic    {user}/*      read,append
//! *         artifact  public/*      read
//! anonymous artifact  public/*      read
//! ```

use std::fmt;
use std::sync::Arc;

use hashbrown::HashMap;

use super::kinds::{Area, Right};
use super::pattern::Pattern;
use super::scope::Scope;
use crate::auth::{Identity, is_user_name};

/// How many rules there may be.
const MAX_RULES: usize = 10_000;
/// Whoever has signed in.
const ANYBODY: &str = "*";
/// Whoever has not.
const ANONYMOUS: &str = "anonymous";

/// Whom a rule is about.
#[derive(Clone, Debug)]
enum Who {
    User(String),
    Group(String),
    Anybody,
    Anonymous,
}

/// One line of the table that gives rights.
#[derive(Clone, Debug)]
pub(super) struct Rule {
    line: usize,
    who: Who,
    scope: Scope,
    /// As whom they may act; none: only as themselves.
    identities: Vec<Pattern>,
}

/// What is asked of the table.
#[derive(Clone, Copy, Debug)]
pub(super) struct Question<'a> {
    pub(super) area: Area,
    pub(super) right: Right,
    /// None: any at all.
    pub(super) resource: Option<&'a str>,
    /// As whom the caller acts, if not as itself.
    pub(super) acting_as: Option<&'a str>,
}

/// All rules, and the groups that users are in.
#[derive(Clone, Debug, Default)]
pub struct Table {
    /// In the order of their lines.
    rules: Vec<Rule>,
    /// Nobody who asks chooses these names, so that a fast hash is good enough.
    users: HashMap<String, User>,
    groups: Vec<Group>,
    /// Where in `groups` those of a name are.
    places: HashMap<String, usize>,
    of_anybody: Places,
    of_anonymous: Places,
}

/// Where in [`Table::rules`] some of them are.
type Places = Vec<usize>;

/// Somebody who is named in the table.
#[derive(Clone, Debug, Default)]
struct User {
    rules: Places,
    /// The places of their groups in [`Table::groups`].
    groups: Vec<usize>,
}

/// A group that is named in the table.
#[derive(Clone, Debug, Default)]
struct Group {
    rules: Places,
    /// Whether a line says who is in it; the issuer of tokens may say that, too.
    has_line: bool,
}

impl Table {
    /// Reads a table. The error names the line that is wrong, and says why.
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut table = Table::default();
        for (index, line) in text.lines().enumerate() {
            let line = without_comment(line);
            if !line.is_empty() {
                table.read(index + 1, line).map_err(|problem| format!("line {}: {problem}", index + 1))?;
            }
        }
        Ok(table)
    }

    fn read(&mut self, number: usize, line: &str) -> Result<(), String> {
        if let Some((name, members)) = line.split_once('=').filter(|_| line.starts_with('@'))
            && !name.trim_end().contains(char::is_whitespace)
        {
            return self.read_group(name.trim(), members);
        }
        if self.rules.len() >= MAX_RULES {
            return Err(format!("there are more than {MAX_RULES} rules"));
        }
        let words: Vec<&str> = line.split_whitespace().collect();
        let (who, area, resources, rights, identities) = match words[..] {
            [who, area, resources, rights] => (who, area, resources, rights, ""),
            [who, area, resources, rights, "as", identities] => (who, area, resources, rights, identities),
            _ => return Err("a rule is `who area resources rights`, perhaps with `as` and names after it".to_owned()),
        };
        let identities = identities.split(',').filter(|pattern| !pattern.is_empty()).map(Pattern::parse);
        let identities = identities.collect::<Result<_, _>>()?;
        let (who, scope) = (Who::parse(who)?, Scope::of(area, resources, rights)?);
        let place = self.rules.len();
        self.rules_of(&who).push(place);
        self.rules.push(Rule { line: number, who, scope, identities });
        Ok(())
    }

    fn read_group(&mut self, name: &str, members: &str) -> Result<(), String> {
        let Who::Group(name) = Who::parse(name)? else { return Err("the name of a group begins with @".to_owned()) };
        let place = self.place_of_group(&name);
        if std::mem::replace(&mut self.groups[place].has_line, true) {
            return Err(format!("the group @{name} is there twice"));
        }
        for member in members.split([',', ' ', '\t']).filter(|member| !member.is_empty()) {
            if !is_user_name(member) {
                return Err(format!("nobody can be called {member:?}"));
            }
            self.users.entry(member.to_owned()).or_default().groups.push(place);
        }
        Ok(())
    }

    fn rules_of(&mut self, who: &Who) -> &mut Places {
        match who {
            Who::User(name) => &mut self.users.entry(name.clone()).or_default().rules,
            Who::Group(name) => {
                let place = self.place_of_group(name);
                &mut self.groups[place].rules
            }
            Who::Anybody => &mut self.of_anybody,
            Who::Anonymous => &mut self.of_anonymous,
        }
    }

    /// Where the group of a name is, which is made if there is none.
    fn place_of_group(&mut self, name: &str) -> usize {
        if let Some(place) = self.places.get(name) {
            return *place;
        }
        self.groups.push(Group::default());
        self.places.insert(name.to_owned(), self.groups.len() - 1);
        self.groups.len() - 1
    }

    /// Whether anything is allowed to those who have not signed in.
    pub(in crate::auth) fn has_anonymous(&self) -> bool {
        !self.of_anonymous.is_empty()
    }

    /// Whether nobody may do anything.
    pub fn is_empty(&self) -> bool {
        self.rules.is_empty()
    }

    /// Where the rules are that are about the caller, by any of the ways to be about somebody.
    fn about(&self, caller: &Identity) -> Places {
        let name = caller.user.as_deref();
        let user = name.and_then(|name| self.users.get(name));
        let own = user.map_or(&[][..], |user| &user.groups);
        let issued = name.map_or(&[][..], |_| &caller.groups);
        let places = own.iter().chain(issued.iter().filter_map(|group| self.places.get(group)));
        let of_groups = places.map(|place| &self.groups[*place].rules);
        let of_user = user.map(|user| &user.rules);
        let of_all = if name.is_some() { &self.of_anybody } else { &self.of_anonymous };
        let mut about: Places = of_user.into_iter().chain(of_groups).chain([of_all]).flatten().copied().collect();
        about.sort_unstable();
        about.dedup();
        about
    }
}

/// The rules of a table that are about one caller: found once, and asked in many calls.
#[derive(Clone, Debug)]
pub(super) struct RulesAbout {
    table: Arc<Table>,
    places: Places,
}

impl RulesAbout {
    pub(super) fn of(table: Arc<Table>, caller: &Identity) -> Self {
        let places = table.about(caller);
        RulesAbout { table, places }
    }

    /// The first that allows it. The caller is that whom they are about.
    pub(super) fn find(&self, caller: &Identity, question: Question<'_>) -> Option<&Rule> {
        self.iter().find(|rule| {
            rule.scope.gives(question.area, question.right, question.resource, caller.user.as_deref())
                && rule.lets_act_as(question.acting_as, caller)
        })
    }

    /// Whether one gives a right for any resource at all to somebody who is `owner` by itself, or may act as it because the
    /// rule names it: a right to administer some resource makes nobody the owner of what is beside it.
    pub(super) fn give_owner(&self, caller: &Identity, area: Area, right: Right, owner: &str) -> bool {
        let user = caller.user.as_deref();
        self.iter().any(|rule| rule.scope.gives(area, right, None, user) && rule.names(owner, caller))
    }

    /// Whether one gives a right for a resource or for something below it.
    pub(super) fn reach_into(&self, caller: &Identity, area: Area, right: Right, resource: &str) -> bool {
        self.iter().any(|rule| rule.scope.gives_within(area, right, resource, caller.user.as_deref()))
    }

    /// In the order of their lines.
    fn iter(&self) -> impl Iterator<Item = &Rule> {
        self.places.iter().map(|place| &self.table.rules[*place])
    }
}

/// A comment begins with a `#` at the beginning or behind a space: resources may have some in them.
fn without_comment(line: &str) -> &str {
    let is_begin = |at: &usize| line[..*at].chars().next_back().is_none_or(char::is_whitespace);
    let end = line.match_indices('#').map(|(at, _)| at).find(is_begin);
    line[..end.unwrap_or(line.len())].trim()
}

impl Rule {
    /// Who may do everything with something may do it as anybody.
    fn lets_act_as(&self, name: Option<&str>, caller: &Identity) -> bool {
        let Some(name) = name.filter(|name| !name.is_empty()) else { return true };
        self.scope.rights.include(Right::Admin) || self.names(name, caller)
    }

    /// Whether a name is the caller's, which is empty where nobody has signed in, or one that the rule has behind `as`.
    fn names(&self, name: &str, caller: &Identity) -> bool {
        let user = caller.user.as_deref();
        user.unwrap_or_default() == name || self.identities.iter().any(|pattern| pattern.covers(name, user))
    }
}

impl fmt::Display for Rule {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "line {}: {} {}", self.line, self.who, self.scope)?;
        let identities: Vec<String> = self.identities.iter().map(ToString::to_string).collect();
        if identities.is_empty() { Ok(()) } else { write!(formatter, " as {}", identities.join(",")) }
    }
}

impl Who {
    fn parse(text: &str) -> Result<Self, String> {
        let (name, who): (&str, fn(String) -> Who) = match text.strip_prefix('@') {
            Some(group) => (group, Who::Group),
            None if text == ANYBODY => return Ok(Who::Anybody),
            None if text == ANONYMOUS => return Ok(Who::Anonymous),
            None => (text, Who::User),
        };
        if is_user_name(name) { Ok(who(name.to_owned())) } else { Err(format!("nobody can be called {text:?}")) }
    }
}

impl fmt::Display for Who {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Who::User(name) => formatter.write_str(name),
            Who::Group(name) => write!(formatter, "@{name}"),
            Who::Anybody => formatter.write_str(ANYBODY),
            Who::Anonymous => formatter.write_str(ANONYMOUS),
        }
    }
}

#[cfg(test)]
mod tests;
