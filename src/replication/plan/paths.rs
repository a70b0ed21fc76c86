//! Files by path.

use super::super::select::PathRule;
use super::super::source::SourceError;
use super::{FILES_AT_ONCE, Item, PlanError, Planner};

impl Planner<'_> {
    pub(super) async fn paths(&self, rules: &[PathRule]) -> Result<(), PlanError> {
        for (number, rule) in rules.iter().enumerate() {
            let earlier = &rules[..number];
            let is_there = if rule.path.is_empty() {
                self.files_below(earlier, Some(rule)).await?
            } else {
                self.named_path(earlier, rule).await?
            };
            if !is_there {
                let path = if rule.path.is_empty() { "/" } else { &rule.path };
                self.missing(path, "", format!("no file is at {path:?}")).await?;
            }
        }
        Ok(())
    }

    /// The file of a rule, or those in its folder or of its pattern. Whether there are any.
    async fn named_path(&self, earlier: &[PathRule], rule: &PathRule) -> Result<bool, PlanError> {
        match self.source.file(&rule.path).await {
            Ok(file) if file.folder => self.files_below(earlier, Some(rule)).await,
            Ok(file) if rule.matches(&file.path) => {
                // Whoever was first has it.
                if !earlier.iter().any(|earlier| earlier.matches(&file.path)) {
                    self.send(Item::Files(vec![file])).await?;
                }
                Ok(true)
            }
            Err(SourceError::Gone(_)) if rule.is_pattern() => self.files_below(earlier, Some(rule)).await,
            Ok(_) | Err(SourceError::Gone(_)) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    /// The files of a rule that no earlier one has; without a rule, all. Whether the rule has any.
    pub(super) async fn files_below(&self, earlier: &[PathRule], rule: Option<&PathRule>) -> Result<bool, PlanError> {
        let (mut page_token, mut is_there) = (String::new(), false);
        let folder = rule.map_or("/", PathRule::folder);
        loop {
            let (files, next) = match self.source.files(folder, page_token).await {
                Ok(page) => page,
                Err(SourceError::Gone(_)) => return Ok(is_there),
                Err(error) => return Err(error.into()),
            };
            let matching = files.into_iter().filter(|file| rule.is_none_or(|rule| rule.matches(&file.path)));
            let mut batch = Vec::new();
            for file in matching.filter(|file| !file.folder) {
                is_there = true;
                if !earlier.iter().any(|rule| rule.matches(&file.path)) {
                    batch.push(file);
                }
                if batch.len() == FILES_AT_ONCE {
                    self.send(Item::Files(std::mem::take(&mut batch))).await?;
                }
            }
            if !batch.is_empty() {
                self.send(Item::Files(batch)).await?;
            }
            page_token = next;
            if page_token.is_empty() {
                return Ok(is_there);
            }
        }
    }
}
