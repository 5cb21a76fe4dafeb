//! Medians, and how far the rounds lie apart.

use std::fmt;

/// What several rounds have measured.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Spread {
    /// As many are below as above.
    pub median: f64,
    /// The smallest.
    pub min: f64,
    /// The largest.
    pub max: f64,
}

impl Spread {
    /// Of these values; `None` of none.
    #[must_use]
    pub fn of(values: impl IntoIterator<Item = f64>) -> Option<Self> {
        let mut sorted: Vec<f64> = values.into_iter().collect();
        sorted.sort_by(f64::total_cmp);
        let (min, max) = (*sorted.first()?, *sorted.last()?);
        let middle = (sorted.len() - 1) / 2;
        Some(Self { median: (sorted[middle] + sorted[sorted.len() / 2]) / 2.0, min, max })
    }
}

/// `0.79 (0.74 - 0.83)`, with as many digits as the precision says. One value stands alone.
impl fmt::Display for Spread {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { median, min, max } = self;
        let digits = f.precision().unwrap_or(2);
        if min == max {
            return write!(f, "{median:.digits$}");
        }
        write!(f, "{median:.digits$} ({min:.digits$} - {max:.digits$})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_of_an_even_number_lies_between_the_two_in_the_middle() {
        assert_eq!(Spread::of([4.0, 1.0, 3.0, 10.0]), Some(Spread { median: 3.5, min: 1.0, max: 10.0 }));
        assert_eq!(Spread::of([3.0, 1.0, 2.0]).unwrap().median, 2.0);
        assert_eq!(Spread::of([]), None);
    }

    #[test]
    fn a_spread_is_shown_with_its_extremes_and_one_value_alone() {
        assert_eq!(format!("{:.2}", Spread::of([0.74, 0.79, 0.83]).unwrap()), "0.79 (0.74 - 0.83)");
        assert_eq!(format!("{:.1}", Spread::of([2.0]).unwrap()), "2.0");
    }
}
