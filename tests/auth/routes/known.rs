//! The routes that the gateway has, as its source says.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use regex::Regex;

use super::table::{OPEN, ROUTES};
use crate::common::program::ROOT;

/// Where paths of routes are not written out: how many there are in a file. Theirs are in the table by hand.
const BUILT: [(&str, usize); 5] =
    [("envelope.rs", 1), ("oci.rs", 1), ("restic.rs", 1), ("transcode.rs", 1), ("volumes.rs", 1)];

/// A path with places in it, and the methods that it takes; `any` stands for what the handler decides on.
#[derive(Debug)]
struct Template {
    path: String,
    methods: Vec<String>,
}

fn expression(text: &str) -> Regex {
    Regex::new(text).expect("an expression")
}

/// The routes that are written out in a file, and how many are not.
fn routes_of(source: &str) -> (Vec<Template>, usize) {
    let literal = expression(r#"^\s*(?:&(\w+)\()?"([^"]+)"\)?,"#);
    let method = expression(r"\b(get|post|put|patch|delete|any)\(");
    let constant = |name: &str| {
        let value = expression(&format!(r#"const {name}: &str = "([^"]+)""#));
        value.captures(source).map_or_else(|| panic!("no constant {name}"), |found| found[1].to_owned())
    };
    let (mut templates, mut built) = (Vec::new(), 0);
    for rest in source.split(".route(").skip(1) {
        let rest = rest.split(';').next().unwrap_or_default();
        let Some(found) = literal.captures(rest) else {
            built += 1;
            continue;
        };
        let path = match found.get(1).map(|prefix| prefix.as_str()) {
            None => found[2].to_owned(),
            Some("at") => format!("{}/{}", constant("BASE"), &found[2]),
            Some("of_cluster") => format!("{}/{}", constant("CLUSTER"), &found[2]),
            Some(other) => panic!("{other} makes paths, too: say here how"),
        };
        let methods = method.captures_iter(&rest[found[0].len()..]).map(|found| found[1].to_uppercase()).collect();
        templates.push(Template { path, methods });
    }
    (templates, built)
}

/// The elements of the list of the routes at the root of all paths.
fn shared_routes(source: &str) -> Vec<Template> {
    let list = source.split("const SHARED_ROUTES").nth(1).expect("the list").split("];").next().unwrap_or_default();
    let texts = expression(r#""([^"]+)""#);
    let any = || vec!["ANY".to_owned()];
    texts.captures_iter(list).map(|found| Template { path: found[1].to_owned(), methods: any() }).collect()
}

fn sources(directory: &Path, found: &mut Vec<(String, String)>) {
    for entry in fs::read_dir(directory).expect("a directory") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            sources(&path, found);
        } else {
            let name = path.file_name().and_then(|name| name.to_str()).expect("UTF-8").to_owned();
            found.push((name, fs::read_to_string(&path).expect("a file can be read")));
        }
    }
}

fn is_in_table(template: &Template, method: &str) -> bool {
    let parts = template.path.split('/').map(|part| match part {
        part if part.starts_with("{*") => ".+".to_owned(),
        part if part.starts_with('{') => "[^/]+".to_owned(),
        part => regex::escape(part),
    });
    let pattern = expression(&format!("^{}$", parts.collect::<Vec<_>>().join("/")));
    let asked =
        ROUTES.iter().map(|(method, path, _)| (*method, *path)).chain(OPEN.iter().map(|(path, _)| ("GET", *path)));
    asked.into_iter().any(|(known, path)| {
        let path = path.split('?').next().unwrap_or_default();
        (method == "ANY" || method == known) && pattern.is_match(path)
    })
}

#[test]
fn every_route_of_the_gateway_is_in_the_table() {
    let mut files = Vec::new();
    sources(&Path::new(ROOT).join("gateway/src"), &mut files);
    let (mut missing, mut built) = (Vec::new(), BTreeMap::new());
    for (name, source) in &files {
        let (mut templates, count) = routes_of(source);
        if count > 0 {
            built.insert(name.as_str(), count);
        }
        if source.contains("const SHARED_ROUTES") {
            templates.extend(shared_routes(source));
        }
        for template in &templates {
            assert!(!template.methods.is_empty(), "{template:?} in {name}");
            missing.extend(
                template
                    .methods
                    .iter()
                    .filter(|method| !is_in_table(template, method))
                    .map(|method| (method.clone(), template.path.clone())),
            );
        }
    }
    assert!(missing.is_empty(), "add them to the table: {missing:#?}");
    assert_eq!(built, BTreeMap::from(BUILT), "routes that are not written out: add them to the table by hand");
}
