//! Keeps secrets out of what is printed: a message with a field that has the option `debug_redact` gets a `Debug` that
//! leaves out what the field says.

use std::fmt::Write as _;

use protox::prost_reflect::{DescriptorPool, FieldDescriptor, MessageDescriptor};

/// Words that a field of Rust cannot be called.
const KEYWORDS: [&str; 6] = ["type", "match", "move", "ref", "use", "where"];

/// The messages with secrets, as the generator knows them, and how they are printed, as Rust.
pub fn implementations(pool: &DescriptorPool) -> Result<(Vec<String>, String), String> {
    let (mut paths, mut code) = (Vec::new(), String::new());
    let messages = pool.all_messages().filter(|message| message.full_name().starts_with("steward."));
    for message in messages.filter(|message| message.fields().any(|field| is_secret(&field))) {
        paths.push(format!(".{}", message.full_name()));
        code.push_str(&implementation(&message)?);
    }
    Ok((paths, code))
}

fn is_secret(field: &FieldDescriptor) -> bool {
    let value = field.options().get_field_by_name("debug_redact").and_then(|value| value.as_bool());
    value.unwrap_or_default()
}

fn implementation(message: &MessageDescriptor) -> Result<String, String> {
    let name = message.name();
    if message.parent_message().is_some() {
        return Err(format!("{}: a message inside of another cannot have secrets", message.full_name()));
    }
    let module = message.package_name().trim_start_matches("steward.").replace('.', "::");
    let mut fields = String::new();
    for field in message.fields().filter(|field| field.containing_oneof().is_none_or(|oneof| is_optional(&oneof))) {
        let (shown, rust) = (field.name(), identifier(field.name()));
        let secret = if is_secret(&field) { "crate::Secret(&self.{})" } else { "self.{}" };
        let _ = write!(fields, ".field({shown:?}, &{})", secret.replace("{}", &rust));
    }
    for oneof in message.oneofs().filter(|oneof| !is_optional(oneof)) {
        if oneof.fields().any(|field| is_secret(&field)) {
            return Err(format!("{}: an alternative cannot be a secret", oneof.full_name()));
        }
        let _ = write!(fields, ".field({:?}, &self.{})", oneof.name(), identifier(oneof.name()));
    }
    Ok(format!(
        "impl ::core::fmt::Debug for crate::{module}::{name} {{\n    fn fmt(&self, f: &mut ::core::fmt::Formatter<'_>) \
         -> ::core::fmt::Result {{\n        f.debug_struct({name:?}){fields}.finish()\n    }}\n}}\n"
    ))
}

/// An optional field is an alternative of its own to nothing.
fn is_optional(oneof: &protox::prost_reflect::OneofDescriptor) -> bool {
    oneof.name().starts_with('_')
}

fn identifier(name: &str) -> String {
    if KEYWORDS.contains(&name) { format!("r#{name}") } else { name.to_owned() }
}
