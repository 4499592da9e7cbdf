//! Patterns with `*` and `?` as IAM has them, and what can be known about one before it is used.

use std::fmt;
use std::iter;

use crate::id::AccountId;

/// A pattern in which `*` stands for any run of characters, the empty one too, and `?` for any
/// one character; both match `/` and `:`, everything else matches itself, case included.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Glob {
    source: Box<str>,
    tokens: Box<[Token]>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Token {
    This(char),
    AnyOne,
    AnyRun,
}

impl Glob {
    pub(crate) fn new(source: &str) -> Self {
        let mut tokens: Vec<Token> = source
            .chars()
            .map(|c| match c {
                '*' => Token::AnyRun,
                '?' => Token::AnyOne,
                c => Token::This(c),
            })
            .collect();
        tokens.dedup_by(|a, b| *a == Token::AnyRun && a == b);
        Self { source: source.into(), tokens: tokens.into() }
    }

    /// Whether the whole of `text` fits. Takes at most pattern times text steps.
    pub(crate) fn matches(&self, text: &str) -> bool {
        fits(&self.tokens, text.chars(), |token, c| match token {
            Token::This(this) => this == c,
            Token::AnyOne | Token::AnyRun => true,
        })
    }

    /// Whether every text that fits `other` is seen to fit this one too. Of patterns that agree
    /// only by how their wildcards overlap, it may say no.
    pub(crate) fn covers(&self, other: &Self) -> bool {
        fits(&self.tokens, other.tokens.iter().copied(), |token, theirs| match token {
            Token::This(_) => token == theirs,
            Token::AnyOne => theirs != Token::AnyRun,
            Token::AnyRun => true,
        })
    }

    /// Whether some text fits both.
    pub(crate) fn overlaps(&self, other: &Self) -> bool {
        let width = other.tokens.len() + 1;
        let mut seen = vec![false; (self.tokens.len() + 1) * width];
        let mut todo: Vec<(&[Token], &[Token])> = vec![(&self.tokens, &other.tokens)];
        while let Some((mine, theirs)) = todo.pop() {
            let Some(seen) = seen.get_mut(mine.len() * width + theirs.len()) else { continue };
            if std::mem::replace(seen, true) {
                continue;
            }
            match (mine.split_first(), theirs.split_first()) {
                (None, None) => return true,
                (Some((Token::AnyRun, after)), rest) => {
                    todo.push((after, theirs));
                    todo.extend(rest.map(|(_, rest)| (mine, rest)));
                }
                (rest, Some((Token::AnyRun, after))) => {
                    todo.push((mine, after));
                    todo.extend(rest.map(|(_, rest)| (rest, theirs)));
                }
                (Some((this, mine)), Some((that, theirs))) => {
                    let is_same = this == that;
                    if is_same || *this == Token::AnyOne || *that == Token::AnyOne {
                        todo.push((mine, theirs));
                    }
                }
                _ => {}
            }
        }
        false
    }

    /// Whether some text of this shape fits.
    pub(crate) fn can_match(&self, shape: &Shape) -> bool {
        let width = shape.0.len() + 1;
        let mut seen = vec![false; (self.tokens.len() + 1) * width];
        let mut todo: Vec<(&[Token], &[Part])> = vec![(&self.tokens, &shape.0)];
        while let Some((tokens, parts)) = todo.pop() {
            let Some(seen) = seen.get_mut(tokens.len() * width + parts.len()) else { continue };
            if std::mem::replace(seen, true) {
                continue;
            }
            match (tokens.split_first(), parts.split_first()) {
                (None, None) => return true,
                (Some((Token::AnyRun, after)), part) => {
                    todo.push((after, parts));
                    todo.extend(part.map(|(_, rest)| (tokens, rest)));
                }
                (token, Some((part, rest))) => {
                    if part.repeats {
                        todo.push((tokens, rest));
                    }
                    if let Some((token, after)) = token
                        && part.set.has(*token)
                    {
                        todo.push((after, if part.repeats { parts } else { rest }));
                    }
                }
                (Some(_), None) => {}
            }
        }
        false
    }
}

impl fmt::Debug for Glob {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.source)
    }
}

/// Whether all of `text` fits `tokens`. Only the last `*` is ever tried again: what an earlier
/// one could still take, the last one can take as well.
fn fits<S: Copy>(
    tokens: &[Token],
    text: impl Iterator<Item = S> + Clone,
    takes: impl Fn(Token, S) -> bool,
) -> bool {
    let (mut tokens, mut text) = (tokens, text);
    let mut last_run = None;
    loop {
        let mut ahead = text.clone();
        match (tokens.split_first(), ahead.next()) {
            (Some((Token::AnyRun, after)), _) => {
                last_run = Some((after, text.clone()));
                tokens = after;
                continue;
            }
            (Some((token, after)), Some(symbol)) if takes(*token, symbol) => {
                (tokens, text) = (after, ahead);
                continue;
            }
            (None, None) => return true,
            _ => {}
        }
        let Some((after, taken)) = &mut last_run else { return false };
        if taken.next().is_none() {
            return false;
        }
        (tokens, text) = (*after, taken.clone());
    }
}

/// The shape of a kind of ARN, of which some parts may be known.
pub(crate) struct Shape(Vec<Part>);

struct Part {
    set: Set,
    repeats: bool,
}

#[derive(Clone, Copy)]
enum Set {
    This(char),
    Digit,
    /// Lower-case letters and `-`, what follows `aws` in the name of a partition.
    Partition,
    /// What a path may hold. IAM would take a `:` too, but a pattern that could match only by one
    /// in a path, as `arn:aws:iam::*:user/*` could match a role, means something else.
    Path,
    /// What a name may hold: anything of a path but `/`.
    Name,
}

impl Set {
    fn has(self, token: Token) -> bool {
        let Token::This(c) = token else { return true };
        match self {
            Self::This(this) => this == c,
            Self::Digit => c.is_ascii_digit(),
            Self::Partition => c.is_ascii_lowercase() || c == '-',
            Self::Path => c.is_ascii_graphic() && c != ':',
            Self::Name => c.is_ascii_graphic() && c != ':' && c != '/',
        }
    }
}

impl Shape {
    /// `arn:aws…:iam::<account>:role/<path><name>`
    pub(crate) fn role(account: Option<AccountId>, name: Option<&str>) -> Self {
        Self::arn("iam", account).text(":role").path_and_name(name)
    }

    /// `arn:aws…:iam::<account>:user/<path><name>`
    pub(crate) fn user(account: Option<AccountId>, name: Option<&str>) -> Self {
        Self::arn("iam", account).text(":user").path_and_name(name)
    }

    /// `arn:aws…:iam::<account>:root`
    pub(crate) fn root(account: Option<AccountId>) -> Self {
        Self::arn("iam", account).text(":root")
    }

    /// `arn:aws…:sts::<account>:assumed-role/<name>/<session>`
    pub(crate) fn role_session(
        account: Option<AccountId>,
        name: Option<&str>,
        session: Option<&str>,
    ) -> Self {
        Self::arn("sts", account).text(":assumed-role/").name(name).text("/").name(session)
    }

    /// `arn:aws…:sts::<account>:federated-user/<name>`
    pub(crate) fn federated_user(account: Option<AccountId>, name: Option<&str>) -> Self {
        Self::arn("sts", account).text(":federated-user/").name(name)
    }

    fn arn(service: &str, account: Option<AccountId>) -> Self {
        let start = Self(Vec::new()).text("arn:aws").many(Set::Partition);
        let start = start.text(":").text(service).text("::");
        match account {
            Some(account) => start.text(&account.to_string()),
            None => iter::repeat_n(Set::Digit, 12).fold(start, Self::one),
        }
    }

    /// Where the name is known this is a little too wide (`:roles/Name` has it), which no ARN is.
    fn path_and_name(self, known: Option<&str>) -> Self {
        match known {
            Some(name) => self.many(Set::Path).text("/").text(name),
            None => self.text("/").many(Set::Path).one(Set::Name),
        }
    }

    fn name(self, known: Option<&str>) -> Self {
        match known {
            Some(name) => self.text(name),
            None => self.one(Set::Name).many(Set::Name),
        }
    }

    fn text(self, text: &str) -> Self {
        text.chars().fold(self, |shape, c| shape.one(Set::This(c)))
    }

    fn one(mut self, set: Set) -> Self {
        self.0.push(Part { set, repeats: false });
        self
    }

    fn many(mut self, set: Set) -> Self {
        self.0.push(Part { set, repeats: true });
        self
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use proptest::test_runner::RngSeed;

    use super::*;

    /// The definition, by recursion; exponential, and plainly right.
    fn naive(pattern: &[char], text: &[char]) -> bool {
        match pattern.split_first() {
            None => text.is_empty(),
            Some(('*', after)) => (0..=text.len()).any(|taken| naive(after, &text[taken..])),
            Some((wanted, after)) => text
                .split_first()
                .is_some_and(|(c, rest)| (*wanted == '?' || wanted == c) && naive(after, rest)),
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig {
            cases: 4_000,
            rng_seed: RngSeed::Fixed(4_711),
            failure_persistence: None,
            ..ProptestConfig::default()
        })]

        #[test]
        fn it_matches_what_the_definition_matches(pattern in "[ab*?:é]{0,9}", text in "[ab:/é*?]{0,9}") {
            let chars = |s: &str| s.chars().collect::<Vec<_>>();
            prop_assert_eq!(Glob::new(&pattern).matches(&text), naive(&chars(&pattern), &chars(&text)));
        }

        #[test]
        fn what_is_covered_matches_nothing_more(
            wide in "[ab*?]{0,6}", narrow in "[ab*?]{0,6}", text in "[ab]{0,8}",
        ) {
            let (wide, narrow) = (Glob::new(&wide), Glob::new(&narrow));
            prop_assert!(wide.covers(&wide));
            if wide.covers(&narrow) && narrow.matches(&text) {
                prop_assert!(wide.matches(&text));
            }
        }

        #[test]
        fn what_matches_a_role_could_have_been_known_to(
            pattern in "(arn:aws:iam::|\\*)[0-9*?]{0,12}(:role/|\\*)[a-c/*?]{0,5}", name in "[a-c/]{0,4}[a-c]",
        ) {
            let role = format!("arn:aws:iam::111122223333:role/{name}");
            let account = "111122223333".parse().ok();
            let tail = name.rsplit('/').next();
            let glob = Glob::new(&pattern);
            if glob.matches(&role) {
                prop_assert!(glob.can_match(&Shape::role(None, None)));
                prop_assert!(glob.can_match(&Shape::role(account, tail)));
            }
        }
    }

    #[test]
    fn wildcards_are_those_of_iam() {
        for (pattern, text, fits) in [
            ("arn:aws:iam::*:role/ci-*", "arn:aws:iam::111122223333:role/ci-deploy", true),
            ("arn:aws:iam::*:role/ci-*", "arn:aws:iam::111122223333:role/team/ci-deploy", false),
            ("*role/*", "arn:aws:iam::111122223333:role/a/b", true),
            ("a?c", "a/c", true),
            ("a?c", "a:c", true),
            ("a?c", "aéc", true),
            ("a?c", "ac", false),
            ("A*", "abc", false),
            ("[ab]{c}", "[ab]{c}", true),
            ("[ab]", "a", false),
            ("", "", true),
            ("**", "", true),
            ("*", "anything at all", true),
        ] {
            assert_eq!(Glob::new(pattern).matches(text), fits, "{pattern} on {text}");
        }
    }

    #[test]
    fn many_wildcards_cost_no_more_than_pattern_times_text() {
        let pattern = Glob::new(&"*a".repeat(500));
        assert!(!pattern.matches(&format!("{}b", "a".repeat(5_000))));
        assert!(!Glob::new(&"*é".repeat(500)).can_match(&Shape::root(None)));
    }

    #[test]
    fn a_pattern_that_no_role_has_is_known() {
        for (pattern, possible) in [
            ("*", true),
            ("arn:aws:iam::*:role/admin/*", true),
            ("arn:aws-cn:iam::111122223333:role/x", true),
            ("arn:*:role/x", true),
            ("*/x", true),
            ("arn:aws:iam::1111????3333:role/x", true),
            ("arn:aws:iam::1111:role/x", false),
            ("arn:aws:iam:111122223333:role/x", false),
            ("arn:aws:iam::111122223333:roles/x", false),
            ("arn:aws:iam::111122223333:role/", false),
            ("arn:aws:iam::111122223333:role/x/", false),
            ("arn:aws:iam::111122223333:role/é", false),
            ("arn:aws:iam::111122223333:user/x", false),
            ("arn:aws:iam::*:user/*", false),
            ("arn:aws:sts::111122223333:assumed-role/x/y", false),
            ("Arn:*", false),
            ("OrgAdmin", false),
            ("", false),
        ] {
            let glob = Glob::new(pattern);
            assert_eq!(glob.can_match(&Shape::role(None, None)), possible, "{pattern}");
        }
    }
}
