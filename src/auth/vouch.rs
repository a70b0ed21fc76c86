//! The signed word of a gateway for who its caller is.
//!
//! A gateway on its own knows a caller by the certificate that the caller showed to it, and the server never sees that:
//! it sees the gateway's own. So the gateway says with every call who the caller is, in a header, signed with a key that
//! both have. The word holds for one call: it has the method, the caller's address and the time in it, and a number that
//! counts once.
//!
//! A gateway without a key, or with a caller that showed no certificate, says that too: nobody is to be taken for the
//! gateway because they came through it. That needs no signature, since it gives nobody anything.
//!
//! - `word` is the header: what is signed, and how it is written.
//! - `gateway_key` is the file of keys.
//! - `replay` knows which numbers were there.

mod gateway_key;
mod replay;
mod word;

use std::fmt;
use std::net::IpAddr;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use http::{HeaderMap, HeaderName, HeaderValue, Request};
use parking_lot::Mutex;
use steward_gateway::ClientUser;

use self::gateway_key::Keys;
use self::replay::{Once, Seen};
use self::word::{Instance, Word};
use super::refusal::unauthenticated;
use super::{Error, is_user_name};
use crate::clock::{Clock, SystemClock, Timestamp};
use crate::error::{Category, Failure};

/// The header.
pub(super) const VOUCHED_IDENTITY: HeaderName = HeaderName::from_static("x-steward-identity");

/// What a gateway without a key says of every caller.
const UNKNOWN: HeaderValue = HeaderValue::from_static("-");

/// How much the clocks of gateway and server may differ, and how long a word may be under way.
const LEEWAY: Duration = Duration::from_mins(1);

/// Who a gateway says that its caller is. Whose certificate the connection has is the gateway's affair, not the caller's.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Vouched {
    /// The user; `None` when the gateway does not know, and the call itself has to tell.
    pub user: Option<String>,
    /// Where the caller is, if that is known.
    pub address: Option<IpAddr>,
}

/// Gives the word: the gateway's side.
pub(super) struct Voucher {
    keys: Keys,
    clock: Arc<dyn Clock>,
    /// Other than that of every other gateway, and of this one before it was started again.
    instance: Instance,
    next_number: AtomicU64,
}

impl Voucher {
    /// Signs with the first key of a file.
    pub(super) fn open(path: &Path) -> Result<Self, Error> {
        Self::new(Keys::read(path)?, Arc::new(SystemClock::default()))
    }

    fn new(keys: Keys, clock: Arc<dyn Clock>) -> Result<Self, Error> {
        let mut instance = Instance::default();
        getrandom::fill(&mut instance)?;
        Ok(Voucher { keys, clock, instance, next_number: AtomicU64::new(1) })
    }

    /// What is said of the caller of the method `path`. Nobody is known by a name that nobody can have.
    pub(super) fn vouch(&self, caller: &Vouched, path: &str) -> HeaderValue {
        let user = caller.user.as_deref().filter(|user| is_user_name(user)).unwrap_or_default();
        let word = Word {
            micros: self.clock.now().micros(),
            instance: self.instance,
            number: self.next_number.fetch_add(1, Ordering::Relaxed),
            address: caller.address,
            user: user.to_owned(),
        };
        let mut value = HeaderValue::try_from(word.sign(&self.keys, path)).unwrap_or(UNKNOWN);
        value.set_sensitive(true);
        value
    }
}

/// What a gateway says that has no key.
pub(super) fn unknown() -> HeaderValue {
    UNKNOWN
}

impl fmt::Debug for Voucher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Voucher")
    }
}

/// What is known of a caller before anything is looked at that it says of itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Known {
    /// The user that the gateway names, or the caller's own certificate.
    pub(super) user: Option<String>,
    /// Where the caller is.
    pub(super) address: Option<IpAddr>,
}

/// Hears the word: the server's side. Clones share what was heard.
#[derive(Clone, Debug)]
pub struct Vouching {
    hearing: Option<Arc<Hearing>>,
    clock: Arc<dyn Clock>,
}

struct Hearing {
    keys: Keys,
    /// What was said before is not believed: whether it was heard then is not known any more.
    since: Timestamp,
    seen: Mutex<Seen>,
}

impl Vouching {
    /// Believes those who have a key of this file; without one nobody.
    pub fn open(path: Option<&Path>) -> Result<Self, Error> {
        let clock: Arc<dyn Clock> = Arc::new(SystemClock::default());
        let keys = path.map(Keys::read).transpose()?;
        Ok(Vouching::new(keys, clock.now(), clock))
    }

    fn new(keys: Option<Keys>, since: Timestamp, clock: Arc<dyn Clock>) -> Self {
        let hearing = keys.map(|keys| Arc::new(Hearing { keys, since, seen: Mutex::default() }));
        Vouching { hearing, clock }
    }

    /// What is known of the caller of a request by the word of a gateway and by its certificate. `address` is where the
    /// request comes from, as the proxies tell that are trusted. To be asked once for each call.
    pub(super) fn known<B>(&self, request: &Request<B>, address: Option<IpAddr>) -> Result<Known, Failure> {
        let (extensions, headers) = (request.extensions(), request.headers());
        let certified = || extensions.get().map(|ClientUser(user)| user.as_ref().to_owned());
        match self.read(headers, request.uri().path(), || self.clock.now()) {
            None => Ok(Known { user: certified(), address }),
            Some(Ok(Vouched { user, address: vouched })) => Ok(Known { user, address: vouched.or(address) }),
            Some(Err(failure)) => Err(failure),
        }
    }

    /// Who a gateway says that the caller of the method `path` is; `None` if none says anything, and then `now` is not
    /// asked for. To be asked once for each call, because a word counts once.
    pub fn read(
        &self,
        headers: &HeaderMap,
        path: &str,
        now: impl FnOnce() -> Timestamp,
    ) -> Option<Result<Vouched, Failure>> {
        let mut values = headers.get_all(VOUCHED_IDENTITY).iter();
        let value = values.next()?;
        let heard = match &self.hearing {
            _ if values.next().is_some() => Err(unauthenticated("two gateways say who the caller is")),
            _ if *value == UNKNOWN => Ok(Vouched::default()),
            None => Err(unauthenticated("gateways are not believed here: there is no auth.gateway_key")),
            Some(hearing) => hearing.hear(value, path, now()),
        };
        if heard.is_err() {
            metrics::counter!("steward_auth_failures_total").increment(1);
        }
        Some(heard)
    }
}

impl Hearing {
    fn hear(&self, value: &HeaderValue, path: &str, now: Timestamp) -> Result<Vouched, Failure> {
        // Users have names of any script, which no header would otherwise have.
        let text = std::str::from_utf8(value.as_bytes()).ok();
        let word = text.and_then(|text| Word::verify(text, &self.keys, path));
        let word = word.ok_or_else(|| unauthenticated("the word of the gateway is not signed for this call"))?;
        let (said, leeway) = (word.micros, micros(LEEWAY));
        if said.abs_diff(now.micros()) > leeway {
            return Err(unauthenticated("the word of the gateway is too old or too new: the clocks have to agree"));
        }
        if said < self.since.micros() {
            let problem = "the word of the gateway is older than this server; try again";
            return Err(Failure::new(Category::Unavailable, "STARTING", problem));
        }
        let user = Some(word.user).filter(|user| !user.is_empty());
        if user.as_deref().is_some_and(|user| !is_user_name(user)) {
            return Err(unauthenticated("the gateway names a user that cannot be"));
        }
        match self.seen.lock().once(word.instance, word.number, now) {
            Once::First => Ok(Vouched { user, address: word.address }),
            Once::Again => Err(unauthenticated("the word of the gateway was said before")),
            Once::Full => Err(Failure::new(Category::ResourceExhausted, "TOO_MANY_GATEWAYS", "too many gateways")),
        }
    }
}

impl fmt::Debug for Hearing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Hearing")
    }
}

fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests;
