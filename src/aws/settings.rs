//! What the Lambda is told by its environment: checked once, at start, all faults together.

use std::path::Path;

use tracing_subscriber::filter::Targets;

use super::sns::{Topic, TopicFormat};
use crate::config::{Config, Parsed};

/// Settings that hold together.
#[derive(Debug)]
pub struct Settings {
    /// Where alerts go.
    pub topics: Vec<Topic>,
    /// What is declared.
    pub config: Config,
    /// Whether a file declares something.
    pub configured: bool,
    /// Where goes what can never be decoded.
    pub queue_url: Option<String>,
    /// Where baselines are kept, beyond the memory of this environment.
    pub table: Option<String>,
    /// What is logged.
    pub log: Targets,
}

impl Settings {
    /// Reads the settings from `variable`, and the expectations from the file that it names.
    ///
    /// # Errors
    /// Everything that is wrong with them.
    pub fn read(variable: impl Fn(&str) -> Option<String>) -> Result<Self, Vec<String>> {
        let variable = |name: &str| variable(name).filter(|value| !value.trim().is_empty());
        let mut faults = Vec::new();
        let topics = topics(variable("ROLEWATCH_TOPICS").as_deref(), &mut faults);
        let file = variable("ROLEWATCH_CONFIG");
        let config = file.as_deref().map_or_else(Config::default, |file| load(file, &mut faults));
        let queue_url = variable("ROLEWATCH_DEAD_LETTER_QUEUE_URL");
        if let Some(fault) = queue_url.as_deref().and_then(wrong_queue) {
            faults.push(format!("ROLEWATCH_DEAD_LETTER_QUEUE_URL: {fault}"));
        }
        let table = variable("ROLEWATCH_TABLE");
        if let Some(name) = table.as_deref().filter(|name| !is_table(name)) {
            faults.push(format!(
                "ROLEWATCH_TABLE: `{name}` is no table: give its name (3 to 255 letters, digits, \
                 dots, dashes and underscores) or its ARN"
            ));
        }
        let log = variable("ROLEWATCH_LOG").unwrap_or_else(|| "info".to_owned());
        let log = log.parse().unwrap_or_else(|error| {
            faults.push(format!(
                "ROLEWATCH_LOG: `{log}` is no filter ({error}): use info, debug or module=level"
            ));
            Targets::new()
        });
        let settings = Self { topics, configured: file.is_some(), config, queue_url, table, log };
        if faults.is_empty() { Ok(settings) } else { Err(faults) }
    }

    /// What is on, and what it means.
    #[must_use]
    pub fn in_words(&self) -> String {
        let topics: Vec<String> = self
            .topics
            .iter()
            .map(|topic| format!("{} as {}", topic.arn, topic.format.as_str()))
            .collect();
        let declared = if self.configured { "with expectations" } else { "nothing is declared" };
        let letters = match &self.queue_url {
            Some(url) => format!("what cannot be decoded goes to {url}"),
            None => "what cannot be decoded is logged by its place alone, for no queue is set"
                .to_owned(),
        };
        let kept = match &self.table {
            Some(table) => format!("baselines are kept in table {table} and shared by all"),
            None => "baselines live in the memory of this environment alone, for no table is set: \
                     what is normal is learned anew whenever Lambda starts one, and no other one \
                     knows of it"
                .to_owned(),
        };
        format!("alerts go to {}; {declared}; {letters}; {kept}", topics.join(", "))
    }
}

/// What is wrong with the URL of the queue.
fn wrong_queue(url: &str) -> Option<String> {
    if !(url.starts_with("https://") || url.starts_with("http://")) {
        return Some(format!("`{url}` is not the URL of a queue (https://sqs.…)"));
    }
    // It would refuse each letter, for want of a group, and hold up the shard.
    let is_fifo = url.trim_end_matches('/').ends_with(".fifo");
    is_fifo.then(|| format!("`{url}` is a FIFO queue: use a standard one"))
}

/// Whether this may be the name or ARN of a table.
pub fn is_table(name: &str) -> bool {
    let fits = |name: &str| {
        (3..=255).contains(&name.len())
            && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b))
    };
    match name.strip_prefix("arn:") {
        Some(arn) => {
            arn.contains(":dynamodb:") && arn.rsplit_once('/').is_some_and(|it| fits(it.1))
        }
        None => fits(name),
    }
}

fn topics(list: Option<&str>, faults: &mut Vec<String>) -> Vec<Topic> {
    let Some(list) = list else {
        faults.push(
            "ROLEWATCH_TOPICS: is not set: give the topics that alerts go to, `ARN` or \
             `format:ARN`, with commas between them"
                .to_owned(),
        );
        return Vec::new();
    };
    let mut topics: Vec<Topic> = Vec::new();
    for entry in list.split(',').map(str::trim).filter(|entry| !entry.is_empty()) {
        match entry.parse::<Topic>() {
            Ok(topic) if topics.iter().any(|other| other.arn == topic.arn) => {
                faults.push(format!("ROLEWATCH_TOPICS: `{}` is named twice", topic.arn));
            }
            Ok(topic) => topics.push(topic),
            Err(fault) => faults.push(format!("ROLEWATCH_TOPICS: {fault}")),
        }
    }
    if topics.is_empty() && faults.is_empty() {
        // Nobody would receive what counts as sent.
        faults.push(format!("ROLEWATCH_TOPICS: `{list}` names no topic"));
    }
    topics
}

fn load(file: &str, faults: &mut Vec<String>) -> Config {
    let text = match std::fs::read_to_string(Path::new(file)) {
        Ok(text) => text,
        Err(error) => {
            faults.push(format!("ROLEWATCH_CONFIG: `{file}` cannot be read: {error}"));
            return Config::default();
        }
    };
    // A broken file fails the start; what is merely odd in it is for `config check` to say.
    let Parsed { config, faults: wrong } = Config::parse(&text);
    config.unwrap_or_else(|| {
        faults.extend(wrong.iter().map(|fault| format!("ROLEWATCH_CONFIG: {file}: {fault}")));
        Config::default()
    })
}

impl std::str::FromStr for Topic {
    type Err = String;

    fn from_str(entry: &str) -> Result<Self, String> {
        let (format, arn) = match entry.split_once(':') {
            Some((format, arn)) if format != "arn" => (format.parse::<TopicFormat>()?, arn),
            _ => (TopicFormat::Native, entry),
        };
        let parts: Vec<&str> = arn.split(':').collect();
        match parts.as_slice() {
            ["arn", _, "sns", region, account, name]
                if !region.is_empty() && !account.is_empty() && !name.is_empty() =>
            {
                if name.ends_with(".fifo") {
                    return Err(format!("`{arn}` is a FIFO topic: use a standard one"));
                }
                Ok(Self { arn: arn.to_owned(), region: (*region).to_owned(), format })
            }
            _ => {
                Err(format!("`{arn}` is not the ARN of a topic (arn:aws:sns:region:account:name)"))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TOPIC: &str = "arn:aws:sns:eu-central-1:111122223333:alerts";

    fn read(variables: &[(&str, &str)]) -> Result<Settings, Vec<String>> {
        Settings::read(|name| {
            variables.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned())
        })
    }

    #[test]
    fn all_faults_are_told_at_once() {
        let faults = read(&[
            (
                "ROLEWATCH_TOPICS",
                "xml:arn:aws:sns:r:1:t, arn:aws:sqs:r:1:t, arn:aws:sns:r:1:t.fifo",
            ),
            ("ROLEWATCH_CONFIG", "/nowhere/rolewatch.toml"),
            ("ROLEWATCH_TABLE", "no table"),
            ("ROLEWATCH_DEAD_LETTER_QUEUE_URL", "arn:aws:sqs:r:1:q"),
        ])
        .unwrap_err();
        assert_eq!(faults.len(), 6, "{faults:#?}");
        assert_eq!(read(&[("ROLEWATCH_TOPICS", " ")]).unwrap_err().len(), 1);
    }

    #[test]
    fn a_fifo_queue_is_refused_and_one_of_another_region_is_not() {
        let with =
            |url| read(&[("ROLEWATCH_TOPICS", TOPIC), ("ROLEWATCH_DEAD_LETTER_QUEUE_URL", url)]);
        let faults = with("https://sqs.eu-west-1.amazonaws.com/111122223333/q.fifo").unwrap_err();
        assert!(faults[0].contains("FIFO queue: use a standard one"), "{faults:?}");
        assert!(with("https://sqs.eu-west-1.amazonaws.com/111122223333/q").is_ok());
    }

    #[test]
    fn topics_have_a_format_each_and_the_start_says_what_is_on() {
        let list = format!("{TOPIC}, text:{TOPIC}-mail,ocsf:{TOPIC}-lake");
        let settings = read(&[("ROLEWATCH_TOPICS", &list)]).unwrap();
        let formats: Vec<_> = settings.topics.iter().map(|topic| topic.format.as_str()).collect();
        assert_eq!(formats, ["native", "text", "ocsf"]);
        assert_eq!(settings.topics[0].region, "eu-central-1");
        assert!(settings.in_words().contains("memory of this environment alone"));
        let kept = read(&[("ROLEWATCH_TOPICS", TOPIC), ("ROLEWATCH_TABLE", "rolewatch")]).unwrap();
        assert!(kept.in_words().contains("kept in table rolewatch"));
        assert!(!kept.in_words().contains("memory of this environment alone"));
        let arn = "arn:aws:dynamodb:eu-central-1:111122223333:table/rolewatch";
        let kept = read(&[("ROLEWATCH_TOPICS", TOPIC), ("ROLEWATCH_TABLE", arn)]).unwrap();
        assert_eq!(kept.table.as_deref(), Some(arn));
        for nobody in [",", " , "] {
            let faults = read(&[("ROLEWATCH_TOPICS", nobody)]).unwrap_err();
            assert!(faults[0].contains("names no topic"), "{faults:?}");
        }
    }
}
