//! Writes the table of what each method needs. A method that does not say it is an error: nobody could tell who may
//! call it.

use std::fmt::Write as _;

use protox::prost_reflect::{
    DescriptorPool, DynamicMessage, Kind, MessageDescriptor, MethodDescriptor, ReflectMessage as _, Value,
};

/// The option of methods.
const OPTION: &str = "steward.auth.v1.access";

/// `METHODS`, as Rust, in the order of their paths.
pub fn table(pool: &DescriptorPool) -> Result<String, String> {
    let services = pool.services().filter(|service| service.full_name().starts_with("steward."));
    let mut methods: Vec<MethodDescriptor> =
        services.flat_map(|service| service.methods().collect::<Vec<_>>()).collect();
    methods.sort_by_key(path);
    let mut table = "/// What each method needs, in the order of their paths.\n".to_owned();
    table.push_str("pub static METHODS: &[Access] = &[\n");
    for method in methods {
        let entry = entry(pool, &method).map_err(|problem| format!("{}: {problem}", method.full_name()))?;
        table.push_str(&entry);
    }
    table.push_str("];\n");
    Ok(table)
}

fn path(method: &MethodDescriptor) -> String {
    format!("/{}/{}", method.parent_service().full_name(), method.name())
}

fn entry(pool: &DescriptorPool, method: &MethodDescriptor) -> Result<String, String> {
    let extension = pool.get_extension_by_name(OPTION).ok_or("there is no such option as access")?;
    let options = method.options();
    if !options.has_extension(&extension) {
        return Err(format!("does not say with the option ({OPTION}) who may call it"));
    }
    let access = options.get_extension(&extension).as_message().cloned().ok_or("has an odd option")?;
    let mut needs = need(&access, method)?;
    for further in field(&access, "further").as_list().into_iter().flatten() {
        needs.push_str(&need(further.as_message().ok_or("has an odd need")?, method)?);
    }
    let identity = parts(&text(&access, "identity"), &method.input())?;
    let by_service = field(&access, "by_service").as_bool().unwrap_or_default();
    Ok(format!(
        "    Access {{ path: {:?}, needs: &[{needs}], identity: &[{identity}], by_service: {by_service} }},\n",
        path(method)
    ))
}

/// One need; also the beginning of the option itself, which has the same fields.
fn need(message: &DynamicMessage, method: &MethodDescriptor) -> Result<String, String> {
    let area = variant(message, "area")?;
    if area == "Unspecified" {
        return Err("names no area".to_owned());
    }
    let right = variant(message, "right")?;
    if right == "Unspecified" {
        return Err("names no right; where to have signed in is enough, that is RIGHT_SIGNED_IN".to_owned());
    }
    let resource = parts(&text(message, "resource"), &method.input())?;
    Ok(format!("Need {{ area: Area::{area}, right: Right::{right}, resource: &[{resource}] }}, "))
}

/// The name that a value of an enum has in Rust: `RIGHT_READ` is `Read`.
fn variant(message: &DynamicMessage, name: &str) -> Result<String, String> {
    let field = message.descriptor().get_field_by_name(name).ok_or("an option has lost a field")?;
    let Kind::Enum(values) = field.kind() else { return Err(format!("{name} is no enum")) };
    let number = message.get_field(&field).as_enum_number().unwrap_or_default();
    let value = values.get_value(number).ok_or_else(|| format!("{name} has no value {number}"))?;
    let words = value.name().split('_').skip(1);
    Ok(words.map(|word| format!("{}{}", &word[..1], word[1..].to_lowercase())).collect())
}

fn text(message: &DynamicMessage, name: &str) -> String {
    field(message, name).as_str().unwrap_or_default().to_owned()
}

fn field(message: &DynamicMessage, name: &str) -> Value {
    message.get_field_by_name(name).map_or(Value::Bool(false), std::borrow::Cow::into_owned)
}

/// The parts of a template, as Rust.
fn parts(template: &str, request: &MessageDescriptor) -> Result<String, String> {
    let mut parts = String::new();
    let mut rest = template;
    while !rest.is_empty() {
        let (literal, after) = rest.split_once('{').unwrap_or((rest, ""));
        if !literal.is_empty() {
            let _ = write!(parts, "Part::Text({literal:?}), ");
        }
        if literal.len() == rest.len() {
            break;
        }
        let (name, after) = after.split_once('}').ok_or_else(|| format!("{template:?} has no end"))?;
        let _ = write!(parts, "Part::Field(&{:?}), ", numbers(name, request)?);
        rest = after;
    }
    Ok(parts)
}

/// The numbers of a field and of those that it is in.
fn numbers(name: &str, request: &MessageDescriptor) -> Result<Vec<u32>, String> {
    let mut numbers = Vec::new();
    let mut message = Some(request.clone());
    let mut is_text = false;
    for part in name.split('.') {
        let absent = || format!("{} has no field {name:?}", request.full_name());
        let field = message.as_ref().and_then(|message| message.get_field_by_name(part)).ok_or_else(absent)?;
        if field.is_list() || field.is_map() {
            return Err(format!("{name:?} is not one field of {}", request.full_name()));
        }
        numbers.push(field.number());
        is_text = field.kind() == Kind::String;
        message = field.kind().as_message().cloned();
    }
    if is_text { Ok(numbers) } else { Err(format!("{name:?} of {} is no text", request.full_name())) }
}
