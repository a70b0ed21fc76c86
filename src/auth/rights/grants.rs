//! What one caller may do: the one place where a right is given or refused.

use std::any::Any;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock, Weak};

use tonic::{Request, Status};

use super::kinds::{Area, Right, area_name, right_name};
use super::pattern::without_slashes;
use super::table::{Question, RulesAbout, Table};
use crate::auth::{Identity, Trail};
use crate::error::{Category, Failure};

/// How much of a name is told again to somebody who is refused: it goes into a header.
const MAX_SHOWN_BYTES: usize = 256;

/// What the caller of a request may do: an extension of the request. Clones are of one call.
#[derive(Clone, Debug)]
pub struct Grants(Arc<OfCall>);

#[derive(Debug)]
struct OfCall {
    standing: Arc<Standing>,
    /// Whether the service has looked at them.
    taken: AtomicBool,
    /// Where it is noted what the call is about.
    trail: Trail,
}

/// Who somebody is, and what says what they may do: the same in many calls.
#[derive(Debug)]
pub(in crate::auth) struct Standing {
    caller: Identity,
    /// `None`: nobody is asked, and everybody may do everything.
    rules: Option<RulesAbout>,
    /// What is found for a caller once.
    kept: OnceLock<Weak<dyn Any + Send + Sync>>,
}

impl Standing {
    /// Of a caller, by a table if there is one.
    pub(in crate::auth) fn of(caller: Identity, table: Option<Arc<Table>>) -> Self {
        let rules = table.map(|table| RulesAbout::of(table, &caller));
        Standing { caller, rules, kept: OnceLock::new() }
    }

    pub(in crate::auth) fn caller(&self) -> &Identity {
        &self.caller
    }
}

/// Why a right was given or refused, for people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Explanation {
    /// Whether it was given.
    pub is_allowed: bool,
    /// In words.
    pub text: String,
}

impl Grants {
    /// Everything, for the server itself.
    pub fn everything() -> Self {
        Grants::everything_for(Identity::default())
    }

    /// Everything, for a caller where there is no table; of one with a token, what that is for.
    pub fn everything_for(caller: Identity) -> Self {
        Self::by(caller, None, Trail::default())
    }

    /// Those of a caller, by a table.
    pub fn new(caller: Identity, table: Arc<Table>) -> Self {
        Self::by(caller, Some(table), Trail::default())
    }

    /// Those of a caller, by a table if there is one. The first resource that is asked for is noted.
    pub(in crate::auth) fn by(caller: Identity, table: Option<Arc<Table>>, trail: Trail) -> Self {
        Self::of_standing(Arc::new(Standing::of(caller, table)), trail)
    }

    /// Those of somebody in one call.
    pub(in crate::auth) fn of_standing(standing: Arc<Standing>, trail: Trail) -> Self {
        Grants(Arc::new(OfCall { standing, taken: AtomicBool::new(false), trail }))
    }

    /// Those of the caller of a request. A service that declares that it asks by itself has to take them from here:
    /// an answer of one that has not is held back.
    pub fn of<T>(request: &Request<T>) -> Result<Self, Status> {
        let Some(grants) = request.extensions().get::<Grants>() else {
            // Without them everything would be allowed, so nobody gets here by a way that asks nobody.
            let problem = "a call has not passed the check of rights";
            return Err(Failure::new(Category::Internal, "INTERNAL", problem).into());
        };
        grants.0.taken.store(true, Ordering::Relaxed);
        Ok(grants.clone())
    }

    /// Whether a service has taken them.
    pub(in crate::auth) fn are_taken(&self) -> bool {
        self.are_everything() || self.0.taken.load(Ordering::Relaxed)
    }

    /// Who the caller is.
    pub fn caller(&self) -> &Identity {
        &self.0.standing.caller
    }

    /// What another layer finds for the caller, without looking for it in each call: as long as somebody else has it, too.
    /// Only one layer does that.
    pub(crate) fn keep<T: Send + Sync + 'static>(&self, find: impl Fn() -> Arc<T>) -> Arc<T> {
        let kept = self.0.standing.kept.get().and_then(Weak::upgrade).and_then(|kept| kept.downcast().ok());
        kept.unwrap_or_else(|| {
            let (found, kept) = (find(), &self.0.standing.kept);
            let weak: Weak<T> = Arc::downgrade(&found);
            // Where there is one already, it is looked for each time.
            let _ = kept.set(weak);
            found
        })
    }

    /// Whether nothing has to be asked, so that a list need not be looked through.
    pub fn are_everything(&self) -> bool {
        self.0.standing.rules.is_none() && self.0.standing.caller.scopes.is_none()
    }

    /// Whether the caller has a right for a resource.
    pub fn allow(&self, area: Area, right: Right, resource: &str) -> bool {
        self.decide(Question { area, right, resource: Some(without_slashes(resource)), acting_as: None })
    }

    /// The same, for a caller who says to be `name`, or nobody in particular.
    pub fn allow_as(&self, area: Area, right: Right, resource: &str, name: &str) -> bool {
        self.decide(Question { area, right, resource: Some(without_slashes(resource)), acting_as: Some(name) })
    }

    /// Whether the caller has a right for any resource at all, and may act as `name` with it.
    pub fn allow_any(&self, area: Area, right: Right, name: &str) -> bool {
        self.decide(Question { area, right, resource: None, acting_as: Some(name) })
    }

    /// Whether the caller has a right for what belongs to `owner` and to no resource: it may act as the owner, or
    /// administer the area as a whole.
    pub fn allow_owner(&self, area: Area, right: Right, owner: &str) -> bool {
        let Standing { caller, rules, .. } = &*self.0.standing;
        let Some(rules) = rules else { return self.allow_any(area, right, owner) };
        let in_scope = self.is_in_scope(Question { area, right, resource: None, acting_as: Some(owner) });
        (in_scope && rules.give_owner(caller, area, right, owner)) || self.allow(area, Right::Admin, "")
    }

    /// Whether the caller has a right for a resource, or for something below it.
    pub fn allow_within(&self, area: Area, right: Right, resource: &str) -> bool {
        let (resource, Standing { caller, rules, .. }) = (without_slashes(resource), &*self.0.standing);
        let in_table = rules.as_ref().is_none_or(|rules| rules.reach_into(caller, area, right, resource));
        let (scopes, user) = (caller.scopes.as_ref(), caller.user.as_deref());
        in_table && scopes.is_none_or(|scopes| scopes.give_within(area, right, resource, user))
    }

    /// The same as [`Grants::allow_within`], with the refusal for the caller.
    pub fn require_within(&self, area: Area, right: Right, resource: &str) -> Result<(), Failure> {
        if self.allow_within(area, right, resource) { Ok(()) } else { Err(self.refusal(area, right, resource, "")) }
    }

    /// The same as [`Grants::allow`], with the refusal for the caller.
    pub fn require(&self, area: Area, right: Right, resource: &str) -> Result<(), Failure> {
        self.require_as(area, right, resource, "")
    }

    /// The same as [`Grants::allow_as`], with the refusal for the caller.
    pub fn require_as(&self, area: Area, right: Right, resource: &str, name: &str) -> Result<(), Failure> {
        if self.allow_as(area, right, resource, name) { Ok(()) } else { Err(self.refusal(area, right, resource, name)) }
    }

    /// Says to the caller that it may not do something. It says the same whether there is such a resource or not.
    pub fn refusal(&self, area: Area, right: Right, resource: &str, name: &str) -> Failure {
        let Some(user) = &self.0.standing.caller.user else {
            return Failure::new(Category::Unauthenticated, "UNAUTHENTICATED", "a user name and a password are needed");
        };
        let (area, right) = (area_name(area), right_name(right));
        let shown = |text: &str| format!("{:?}", &text[..text.floor_char_boundary(MAX_SHOWN_BYTES)]);
        let on = if resource.is_empty() { String::new() } else { format!(" for {}", shown(resource)) };
        let acting = if name.is_empty() || name == user { String::new() } else { format!(" as {}", shown(name)) };
        let message = format!("{user} has no right to {right} in the area {area}{on}{acting}");
        Failure::new(Category::PermissionDenied, "PERMISSION_DENIED", message).with("area", area).with("right", right)
    }

    /// Where it is noted what the call is about.
    pub(in crate::auth) fn trail(&self) -> &Trail {
        &self.0.trail
    }

    /// Notes that the call changes something, though its method need not: that is an entry of the audit then. To be asked
    /// before, because where entries cannot be written it may be refused.
    pub fn note_change(&self) -> Result<(), Failure> {
        self.0.trail.write_change()
    }

    /// Notes that the call has come as far as its service.
    pub(in crate::auth) fn note_admission(&self) {
        self.0.trail.write_admission();
    }

    fn decide(&self, question: Question<'_>) -> bool {
        self.0.trail.write_resource(question.resource.unwrap_or_default());
        let Standing { caller, rules, .. } = &*self.0.standing;
        let is_allowed = match rules {
            None => true,
            Some(_) if question.right == Right::SignedIn => caller.user.is_some(),
            Some(rules) => rules.find(caller, question).is_some(),
        };
        is_allowed && self.is_in_scope(question)
    }

    fn is_in_scope(&self, question: Question<'_>) -> bool {
        let Question { area, right, resource, .. } = question;
        let Identity { scopes, user, .. } = self.caller();
        right == Right::SignedIn
            || scopes.as_ref().is_none_or(|scopes| scopes.give(area, right, resource, user.as_deref()))
    }

    /// Why the caller has a right for a resource, or has not.
    pub fn explain(&self, area: Area, right: Right, resource: &str, name: &str) -> Explanation {
        let resource = without_slashes(resource);
        let question = Question { area, right, resource: Some(resource), acting_as: Some(name) };
        let rule = match &self.0.standing.rules {
            None => Some("allowed because there is no table of rights".to_owned()),
            Some(rules) => rules.find(&self.0.standing.caller, question).map(|rule| format!("allowed by {rule}")),
        };
        match rule {
            Some(text) if self.is_in_scope(question) => Explanation { is_allowed: true, text },
            Some(text) => {
                Explanation { is_allowed: false, text: format!("{text}, but not by the scopes of the token") }
            }
            None => Explanation { is_allowed: false, text: "no rule of the table allows it".to_owned() },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::auth::rights::Scopes;

    fn grants(user: &str, scopes: Option<&[&str]>) -> Grants {
        let table = Table::parse("a lock pull write as n-*\na restic {user} admin").unwrap();
        let scopes = scopes.map(|scopes| Arc::new(Scopes::parse(scopes).unwrap()));
        let user = (!user.is_empty()).then(|| user.to_owned());
        Grants::new(Identity { user, scopes, ..Identity::default() }, Arc::new(table))
    }

    #[test]
    fn nothing_is_allowed_that_no_rule_allows() {
        let a = grants("a", None);
        assert!(a.allow(Area::Lock, Right::Write, "/pull/x/") && a.allow_as(Area::Lock, Right::Write, "pull/x", "n-1"));
        assert!(!a.allow(Area::Lock, Right::Read, "pull/x") && !a.allow_as(Area::Lock, Right::Write, "pull/x", "m"));
        assert!(a.allow_any(Area::Restic, Right::Read, "") && !a.allow_any(Area::Volume, Right::Read, ""));
        assert!(!a.allow(Area::Restic, Right::Read, ""), "the area as a whole");
        assert!(Grants::everything().allow(Area::Admin, Right::Admin, ""));
    }

    #[test]
    fn a_right_within_a_resource_is_one_for_it_or_for_something_below() {
        let token = grants("a", Some(&["lock:pull/x/y:write"]));
        for (grants, resource, expected) in [
            (&grants("a", None), "", true),
            (&grants("a", None), "pull", true),
            (&grants("a", None), "pull/x", true),
            (&grants("a", None), "push", false),
            (&grants("b", None), "pull", false),
            (&token, "pull/x", true),
            (&token, "pull/z", false),
        ] {
            assert_eq!(grants.allow_within(Area::Lock, Right::Write, resource), expected, "{resource}");
        }
        assert!(
            !token.allow_within(Area::Lock, Right::Read, "pull")
                && Grants::everything().allow_within(Area::Lock, Right::Admin, "x")
        );
    }

    #[test]
    fn what_belongs_to_somebody_is_for_who_may_act_as_that_or_administers_the_whole_area() {
        let table = Arc::new(
            Table::parse(
                "a lock a/* read,write as n-*\nb lock b/* admin\nops lock * admin\nanonymous lock c/* read,write",
            )
            .unwrap(),
        );
        let of = |user: &str, scopes: Option<&[&str]>| {
            let scopes = scopes.map(|scopes| Arc::new(Scopes::parse(scopes).unwrap()));
            let user = (!user.is_empty()).then(|| user.to_owned());
            Grants::new(Identity { user, scopes, ..Identity::default() }, Arc::clone(&table))
        };
        for (caller, owner, expected) in [
            (of("a", None), "a", true),
            (of("a", None), "n-1", true),
            (of("a", None), "b", false),
            (of("a", None), "", false),
            (of("b", None), "b", true),
            (of("b", None), "a", false),
            (of("b", None), "", false),
            (of("c", None), "c", false),
            (of("", None), "", true),
            (of("", None), "a", false),
            (of("ops", None), "a", true),
            (of("ops", None), "", true),
            (of("ops", Some(&["lock:b/*:admin"])), "a", false),
            (of("ops", Some(&["lock:b/*:write"])), "ops", true),
            (of("a", Some(&["lock:a/*:read"])), "a", false),
        ] {
            let user = caller.caller().user.as_deref();
            assert_eq!(caller.allow_owner(Area::Lock, Right::Write, owner), expected, "{user:?} {owner:?}");
        }
        assert!(Grants::everything().allow_owner(Area::Lock, Right::Write, "a"));
    }

    #[test]
    fn scopes_narrow_and_never_widen() {
        let token = grants("a", Some(&["lock:pull/x:write", "volume:*:admin"]));
        assert!(token.allow(Area::Lock, Right::Write, "pull/x"));
        assert!(!token.allow(Area::Lock, Right::Write, "pull/y") && !token.allow(Area::Volume, Right::Read, "v"));
        let identity = Identity { scopes: token.caller().scopes.clone(), ..Identity::default() };
        assert!(!Grants::everything_for(identity).allow(Area::Restic, Right::Read, "x"), "where there is no table");
        assert!(!grants("a", Some(&[])).allow(Area::Lock, Right::Write, "pull/x"));
        let text = token.explain(Area::Lock, Right::Write, "pull/y", "").text;
        assert_eq!(text, "allowed by line 1: a lock:pull:write as n-*, but not by the scopes of the token");
    }

    #[test]
    fn who_has_not_signed_in_is_told_to_and_others_are_told_what_they_lack() {
        let refused = |grants: &Grants| Status::from(grants.require(Area::Volume, Right::Read, "v").unwrap_err());
        assert_eq!(refused(&grants("", None)).code(), tonic::Code::Unauthenticated);
        let status = refused(&grants("a", None));
        assert_eq!(status.code(), tonic::Code::PermissionDenied);
        assert_eq!(status.message(), "a has no right to read in the area volume for \"v\"");
    }

    #[test]
    fn to_have_signed_in_is_enough_where_that_is_asked() {
        assert!(grants("b", None).allow(Area::Admin, Right::SignedIn, ""));
        assert!(!grants("a", None).allow(Area::Admin, Right::Unspecified, ""), "nobody can be given it");
        assert!(grants("a", Some(&[])).allow(Area::Admin, Right::SignedIn, ""));
        assert!(!grants("", None).allow(Area::Admin, Right::SignedIn, ""));
    }
}
