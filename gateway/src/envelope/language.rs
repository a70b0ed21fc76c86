//! The language of messages.

use http::HeaderMap;
use http::header::ACCEPT_LANGUAGE;

/// A language that there are texts in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Language {
    #[default]
    English,
    Chinese,
}

impl Language {
    /// The one that a client likes best. Any that there are no texts in is English, as it always was.
    pub(super) fn of(headers: &HeaderMap) -> Self {
        let lines = headers.get_all(ACCEPT_LANGUAGE).iter().filter_map(|line| line.to_str().ok());
        let mut best: Option<(u16, Language)> = None;
        for wish in lines.flat_map(|line| line.split(',')) {
            let mut parts = wish.split(';');
            let tag = parts.next().unwrap_or_default().trim();
            let weight = parts.find_map(|part| part.trim().strip_prefix("q=")).map_or(Some(1000), thousandths);
            let Some(weight) = weight.filter(|weight| *weight > 0 && !tag.is_empty()) else { continue };
            if best.is_none_or(|(before, _)| weight > before) {
                best = Some((weight, Language::of_tag(tag)));
            }
        }
        best.map(|(_, language)| language).unwrap_or_default()
    }

    fn of_tag(tag: &str) -> Self {
        let mut parts = tag.split(['-', '_']);
        let is_chinese = parts.next().is_some_and(|language| language.eq_ignore_ascii_case("zh"));
        let is_simplified =
            !parts.any(|part| ["TW", "HK", "Hant"].iter().any(|other| other.eq_ignore_ascii_case(part)));
        if is_chinese && is_simplified { Language::Chinese } else { Language::English }
    }
}

/// `0.8` as 800; `None`: not a weight.
fn thousandths(weight: &str) -> Option<u16> {
    let weight: f32 = weight.trim().parse().ok()?;
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it is between 0 and 1000")]
    (0.0..=1.0).contains(&weight).then_some((weight * 1000.0) as u16)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_best_liked_one_counts() {
        let of = |wishes: &str| {
            let headers = [(ACCEPT_LANGUAGE, wishes.parse().expect("a header"))];
            Language::of(&headers.into_iter().collect())
        };
        for (wishes, language) in [
            ("", Language::English),
            ("en", Language::English),
            ("zh-CN", Language::Chinese),
            ("zh", Language::Chinese),
            ("zh_CN,en;q=0.9", Language::Chinese),
            ("en;q=0.3, zh-cn;q=0.8", Language::Chinese),
            ("fr,zh-CN;q=0.8", Language::English),
            ("zh-TW", Language::English),
            ("zh-CN;q=0", Language::English),
            ("zh-CN;q=x", Language::English),
        ] {
            assert_eq!(of(wishes), language, "{wishes}");
        }
    }
}
