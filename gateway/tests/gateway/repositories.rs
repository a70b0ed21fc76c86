//! The API of projects, repositories, files and packages against a scripted service.

mod nodes;
mod packages;
mod projects;

/// 2022-08-23T10:45:19.79.
const TIME: prost_types::Timestamp = prost_types::Timestamp { seconds: 1_661_251_519, nanos: 790_000_000 };

fn path(what: &str) -> String {
    format!("/repository/api/{what}")
}

/// A first page with one record of five.
fn page(record: &str) -> String {
    let record = record.replace('\n', "\n  ");
    format!(
        "200 0 null\n{{\n    \"pageNumber\" : 1,\n    \"pageSize\" : 20,\n    \"totalRecords\" : 5,\n    \
         \"totalPages\" : 1,\n    \"count\" : 1,\n    \"records\" : [ {record} ]\n  }}"
    )
}
