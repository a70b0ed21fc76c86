//! Scopes: rights for resources of an area, as rules give them and tokens narrow them.

use std::fmt;
use std::str::FromStr;

use super::kinds::{Area, Right, Rights, area_name, parse_area};
use super::pattern::Pattern;

/// Rights for the resources of an area that a pattern covers: `AREA:RESOURCE:RIGHT[,RIGHT…]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scope {
    /// `None`: every area.
    pub(super) area: Option<Area>,
    pub(super) resources: Pattern,
    pub(super) rights: Rights,
}

impl Scope {
    /// Of its three parts as texts. The error says which is wrong.
    pub(super) fn of(area: &str, resources: &str, rights: &str) -> Result<Self, String> {
        Ok(Scope { area: parse_area(area)?, resources: Pattern::parse(resources)?, rights: Rights::parse(rights)? })
    }

    /// Whether it gives a right for a resource; of no resource in particular: for any at all.
    pub(super) fn gives(&self, area: Area, right: Right, resource: Option<&str>, user: Option<&str>) -> bool {
        self.area.is_none_or(|own| own == area)
            && self.rights.include(right)
            && resource.is_none_or(|resource| self.resources.covers(resource, user))
    }

    /// Whether it gives a right for a resource or for something below it.
    pub(super) fn gives_within(&self, area: Area, right: Right, resource: &str, user: Option<&str>) -> bool {
        self.gives(area, right, None, user) && self.resources.reaches_into(resource, user)
    }

    /// What it gives of one right in one area.
    fn narrowed_to(&self, area: Area, right: Right) -> Option<Self> {
        let rights = Rights::default().with(right);
        self.gives(area, right, None, None).then(|| Scope { area: Some(area), rights, ..self.clone() })
    }
}

impl FromStr for Scope {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let parts = text.split_once(':').and_then(|(area, rest)| Some((area, rest.rsplit_once(':')?)));
        // Resources may have colons of their own.
        let (area, (resources, rights)) =
            parts.ok_or_else(|| format!("{text:?} is no scope: it has to be AREA:RESOURCE:RIGHT"))?;
        Scope::of(area, resources, rights)
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let area = self.area.map_or("*", area_name);
        write!(formatter, "{area}:{}:{}", self.resources, self.rights)
    }
}

/// What a token is for. A caller who signs in with it may do what it gives and the user may, and no more.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Scopes {
    list: Vec<Scope>,
    is_derived: bool,
}

impl Scopes {
    /// How many there may be.
    pub const MAX: usize = 64;

    /// Reads scopes. The error says which is wrong.
    pub fn parse<T: AsRef<str>>(texts: impl IntoIterator<Item = T>) -> Result<Self, String> {
        let scopes: Vec<Scope> = texts.into_iter().map(|text| text.as_ref().parse()).collect::<Result<_, _>>()?;
        Scopes::new(scopes)
    }

    /// Of these, if they are not too many.
    pub fn new(scopes: Vec<Scope>) -> Result<Self, String> {
        if scopes.len() > Self::MAX {
            return Err(format!("{} scopes are more than {}", scopes.len(), Self::MAX));
        }
        Ok(Scopes { list: scopes, is_derived: false })
    }

    /// The same, of a token that was given for another proof of who its bearer is.
    #[must_use]
    pub fn derived(self) -> Self {
        Scopes { is_derived: true, ..self }
    }

    /// Whether they are of such a token: it is good for a while, and no further one is given for it.
    pub fn are_derived(&self) -> bool {
        self.is_derived
    }

    /// What they give of one right in one area.
    pub fn narrowed_to(&self, area: Area, right: Right) -> impl Iterator<Item = Scope> {
        self.list.iter().filter_map(move |scope| scope.narrowed_to(area, right))
    }

    /// Each by itself.
    pub fn iter(&self) -> impl Iterator<Item = &Scope> {
        self.list.iter()
    }

    pub(in crate::auth) fn give(&self, area: Area, right: Right, resource: Option<&str>, user: Option<&str>) -> bool {
        self.list.iter().any(|scope| scope.gives(area, right, resource, user))
    }

    pub(super) fn give_within(&self, area: Area, right: Right, resource: &str, user: Option<&str>) -> bool {
        self.list.iter().any(|scope| scope.gives_within(area, right, resource, user))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scope_reads_back_as_it_is_shown_and_resources_may_have_colons() {
        for text in ["lock:pull/sha256:*:write", "*:/:admin", "restic:{user}/*:read,append"] {
            assert_eq!(text.parse::<Scope>().unwrap().to_string(), text);
        }
        for odd in ["", "lock", "lock:a", "lock::read", "lock:a:", "locks:a:read", "lock:a:destroy"] {
            assert!(odd.parse::<Scope>().is_err(), "{odd:?}");
        }
    }

    #[test]
    fn scopes_give_what_one_of_them_gives() {
        let scopes = Scopes::parse(["lock:a:read", "restic:*:append"]).unwrap();
        assert!(scopes.give(Area::Lock, Right::Read, Some("a/b"), None));
        assert!(scopes.give(Area::Restic, Right::Append, Some("x"), None));
        assert!(!scopes.give(Area::Lock, Right::Append, Some("a"), None));
        assert!(!scopes.give(Area::Restic, Right::Write, None, None));
        assert!(Scopes::parse(vec!["lock:a:read"; Scopes::MAX + 1]).is_err());
    }
}
