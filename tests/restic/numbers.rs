//! What `/metrics` says.

use std::collections::BTreeMap;

use crate::common::http::HttpPort;

/// All series and their values.
#[derive(Debug)]
pub(crate) struct Numbers(Vec<Series>);

#[derive(Debug)]
struct Series {
    name: String,
    labels: BTreeMap<String, String>,
    value: f64,
}

impl Numbers {
    pub(crate) async fn of(port: HttpPort) -> Self {
        Self::read(port.get("/metrics").await.text())
    }

    /// Reads the text form of Prometheus. Values of labels have neither commas nor quotes here.
    pub(crate) fn read(text: &str) -> Self {
        let lines = text.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
        Numbers(lines.map(|line| series(line).unwrap_or_else(|| panic!("not a series: {line}"))).collect())
    }

    /// The value of the series of this name that has these labels and no others.
    pub(crate) fn get(&self, name: &str, labels: &[(&str, &str)]) -> Option<f64> {
        let labels = labels.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        self.0.iter().find(|series| series.name == name && series.labels == labels).map(|series| series.value)
    }
}

fn series(line: &str) -> Option<Series> {
    let (head, value) = line.rsplit_once(' ')?;
    let (name, labels) = head.split_once('{').unwrap_or((head, "}"));
    let labels = labels.strip_suffix('}')?.split(',').filter(|label| !label.is_empty());
    let pair = |label: &str| {
        let (name, value) = label.split_once('=')?;
        Some((name.to_owned(), value.strip_prefix('"')?.strip_suffix('"')?.to_owned()))
    };
    let labels = labels.map(pair).collect::<Option<_>>()?;
    Some(Series { name: name.to_owned(), labels, value: value.parse().ok()? })
}
