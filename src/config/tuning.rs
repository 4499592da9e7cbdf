//! `[tuning]`: the numbers that decide what is unusual.

use super::fault::{Faults, instead_of};
use super::ingredient::{Ingredient, Without};
use super::section::Section;
use crate::text::inline;

/// The numbers that decide what is unusual. Each has a default that needs no thought.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Tuning {
    /// Surprise, in bits, from which a person's call alerts. Default 8.
    pub person_threshold_bits: f64,
    /// Surprise, in bits, from which a machine's call alerts: services, workloads and other
    /// accounts, which call more often and change less. Default 8.
    pub machine_threshold_bits: f64,
    /// Surprise, in bits, from which an alert is high: of a person's call only if more speaks of it
    /// than that it is new. Default 14.
    pub high_threshold_bits: f64,
    /// Days without use after which a role is dormant. Default 30.
    pub dormant_days: u32,
    /// Different roles denied to one principal within the window that are an enumeration.
    /// Default 8.
    pub enumeration_roles: u32,
    /// That window, in minutes. Default 15.
    pub enumeration_minutes: u32,
    /// What is not taken into account. Nothing is left out by default.
    pub without: Without,
}

impl Default for Tuning {
    fn default() -> Self {
        Self {
            person_threshold_bits: 8.0,
            machine_threshold_bits: 8.0,
            high_threshold_bits: 14.0,
            dormant_days: 30,
            enumeration_roles: 8,
            enumeration_minutes: 15,
            without: Without::default(),
        }
    }
}

/// Above it nothing alerts: every dimension of surprise is capped far below.
const MOST_BITS: f64 = 200.0;

impl Tuning {
    pub(super) const KEYS: &[&str] = &[
        "person_threshold_bits",
        "machine_threshold_bits",
        "high_threshold_bits",
        "dormant_days",
        "enumeration_roles",
        "enumeration_minutes",
        "without",
    ];

    pub(super) fn read(section: &Section<'_>, faults: &mut Faults) -> Self {
        let mut tuning = Self::default();
        for (key, value) in [
            ("person_threshold_bits", &mut tuning.person_threshold_bits),
            ("machine_threshold_bits", &mut tuning.machine_threshold_bits),
            ("high_threshold_bits", &mut tuning.high_threshold_bits),
        ] {
            *value = section.positive(key, MOST_BITS, faults).unwrap_or(*value);
        }
        for (key, range, value) in [
            ("dormant_days", 1..=365, &mut tuning.dormant_days),
            // One denied role is a mistake, and of a caller some dozens of refusals are remembered.
            ("enumeration_roles", 2..=32, &mut tuning.enumeration_roles),
            ("enumeration_minutes", 1..=1_440, &mut tuning.enumeration_minutes),
        ] {
            *value = section.integer(key, range, faults).unwrap_or(*value);
        }
        let without = section.list("without", faults, |name, faults| {
            let ingredient = Ingredient::named(name.text);
            if ingredient.is_none() {
                let (word, instead) = (inline(name.text), instead_of(name.text, &names()));
                let message = format!("nothing called `{word}` can be left out: {instead}");
                faults.error(name.at, message);
            }
            ingredient
        });
        tuning.without = without.into_iter().flatten().collect();
        tuning.warn_of_order(section, faults);
        tuning
    }

    fn warn_of_order(&self, section: &Section<'_>, faults: &mut Faults) {
        let high = self.high_threshold_bits;
        for (key, bits) in [
            ("person_threshold_bits", self.person_threshold_bits),
            ("machine_threshold_bits", self.machine_threshold_bits),
        ] {
            if bits > high {
                let changed = if section.has(key) { key } else { "high_threshold_bits" };
                let message = format!(
                    "`{key}` ({bits}) is above `high_threshold_bits` ({high}), so that every \
                     alert it lets through is high: raise the latter, or lower the former"
                );
                faults.warning(section.at(changed), message);
            }
        }
    }
}

fn names() -> [&'static str; Ingredient::ALL.len()] {
    Ingredient::ALL.map(Ingredient::as_str)
}
