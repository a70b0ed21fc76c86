//! The options about metadata contexts.

use super::options::{Reader, name};
use super::{Handshake, handshake};
use crate::volume::nbd::status::{Context, Contexts};

/// A device, and the contexts that a client asks for.
struct Queries<'a> {
    name: String,
    queries: Vec<&'a [u8]>,
}

impl<'a> Queries<'a> {
    fn parse(data: &'a [u8]) -> Result<Self, &'static str> {
        let mut reader = Reader(data);
        let name = name(reader.text()?)?;
        let count = reader.u32()?;
        // Not `collect`: the count is the client's word, and room would be made for it.
        let mut queries = Vec::new();
        for _ in 0..count {
            queries.push(reader.text()?);
        }
        reader.end()?;
        Ok(Queries { name, queries })
    }
}

impl Handshake<'_> {
    /// Lists contexts, or chooses them for the requests to come.
    pub(super) fn choose_contexts(&mut self, option: u32, data: &[u8]) {
        let is_choice = option == handshake::OPT_SET_META_CONTEXT;
        if is_choice {
            // Whatever comes of it, what was chosen before does not hold any more.
            self.contexts = (String::new(), Contexts::default());
        }
        if !self.is_structured {
            return self.reply(option, handshake::REP_ERR_INVALID, b"structured replies come first");
        }
        let asked = match Queries::parse(data) {
            Ok(asked) => asked,
            Err(problem) => return self.reply(option, handshake::REP_ERR_INVALID, problem.as_bytes()),
        };
        match self.open(&asked.name) {
            Ok(session) => self.opened = Some((asked.name.clone(), session)),
            Err(error) => return self.refuse(option, &error),
        }
        let mut chosen = Contexts::default();
        for context in Context::ALL {
            let is_asked = if is_choice {
                asked.queries.contains(&context.name().as_bytes())
            } else {
                asked.queries.is_empty() || asked.queries.iter().any(|query| lists(query, context))
            };
            if is_asked {
                chosen.add(context);
                // Only a context that is chosen has a number.
                let id = if is_choice { context.id() } else { 0 };
                let data = [&id.to_be_bytes(), context.name().as_bytes()].concat();
                self.reply(option, handshake::REP_META_CONTEXT, &data);
            }
        }
        if is_choice {
            self.contexts = (asked.name, chosen);
        }
        self.reply(option, handshake::REP_ACK, &[]);
    }
}

/// Whether a query for a list means this context: by its name, or by its namespace.
fn lists(query: &[u8], context: Context) -> bool {
    let name = context.name();
    let namespace = name.split_inclusive(':').next().unwrap_or(name);
    query == name.as_bytes() || query == namespace.as_bytes()
}
