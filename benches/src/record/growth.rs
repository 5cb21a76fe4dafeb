//! Curves: what calls cost as one thing grows.

use serde::{Deserialize, Serialize};

use super::distinct;
use crate::curve::Curve;
use crate::machine::Machine;
use crate::pair::Figures;
use crate::statistics::Spread;

/// What `grow` has measured.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Growth {
    /// How often.
    pub rounds: usize,
    /// How long each time, after the warm-up.
    pub seconds: f64,
    /// With what.
    pub machine: Machine,
    /// All points of all rounds.
    pub points: Vec<Point>,
    /// Points that failed, and why.
    pub failures: Vec<String>,
}

/// One run.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Point {
    /// Only points of the same round are compared.
    pub round: usize,
    /// What grows.
    pub curve: Curve,
    /// Who, and how.
    pub line: String,
    /// How many, or how much.
    pub at: usize,
    /// What was measured.
    #[serde(flatten)]
    pub figures: Figures,
}

impl Growth {
    fn of(&self, curve: Curve) -> impl Iterator<Item = &Point> {
        self.points.iter().filter(move |point| point.curve == curve)
    }

    /// The lines of a curve, in their order.
    #[must_use]
    pub fn lines(&self, curve: Curve) -> Vec<&str> {
        distinct(self.of(curve).map(|point| &*point.line))
    }

    /// The places that were measured, in their order.
    #[must_use]
    pub fn places(&self, curve: Curve) -> Vec<usize> {
        let mut places: Vec<usize> = self.of(curve).map(|point| point.at).collect();
        places.sort_unstable();
        places.dedup();
        places
    }

    /// A figure over the rounds.
    #[must_use]
    pub fn spread(
        &self,
        curve: Curve,
        line: &str,
        at: usize,
        figure: impl Fn(&Figures) -> f64,
    ) -> Option<Spread> {
        let points = self.of(curve).filter(|point| point.line == line && point.at == at);
        Spread::of(points.map(|point| figure(&point.figures)))
    }

    /// The rate at one place beside that at another in the same round.
    #[must_use]
    pub fn ratio(&self, curve: Curve, line: &str, at: usize, beside: usize) -> Option<Spread> {
        let rate = |round: usize, at: usize| {
            let same = |point: &&Point| point.line == line && point.at == at && point.round == round;
            Some(self.of(curve).find(same)?.figures.rate())
        };
        Spread::of((0..self.rounds).filter_map(|round| Some(rate(round, at)? / rate(round, beside)?)))
    }
}
