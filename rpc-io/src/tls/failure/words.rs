//! What a failure most likely comes from, in words for the person who has to find out.

use std::io;
use std::time::Duration;

use tokio_rustls::rustls;
use tokio_rustls::rustls::{AlertDescription, CertificateError};

const SAME_NAME: &str = "; is there another authority of the same name, an older one say?";

/// Names that are shown; a certificate may have hundreds.
const SHOWN: usize = 4;

pub(super) fn closed(source: &io::Error) -> String {
    match source.kind() {
        io::ErrorKind::UnexpectedEof => "closed".into(),
        _ => format!("cut ({source})"),
    }
}

/// What came from the other side is shortened, and has no control characters.
pub(super) fn also_for(names: &[String]) -> String {
    if names.is_empty() {
        return String::new();
    }
    let shown = names.iter().take(SHOWN).map(|name| {
        // As webpki shows them: DnsName("example.org"), IpAddress(127.0.0.1).
        let inner = name.split_once('(').and_then(|(_, inner)| inner.strip_suffix(')'));
        let inner = inner.unwrap_or(name).trim_matches('"');
        inner.chars().filter(|letter| !letter.is_control()).take(64).collect::<String>()
    });
    let more = names.len().saturating_sub(SHOWN);
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    format!(", but for {}{more}", shown.collect::<Vec<_>>().join(", "))
}

/// In the largest unit of which there are two.
pub(super) fn span(time: Option<Duration>, before: &str, after: &str) -> String {
    let Some(seconds) = time.map(|time| time.as_secs()) else { return String::new() };
    let units = [(86_400, "days"), (3_600, "hours"), (60, "minutes")];
    let unit = units.into_iter().find(|(length, _)| seconds >= 2 * length);
    let (length, unit) = unit.unwrap_or((1, "seconds"));
    format!("{before}{} {unit}{after}", seconds / length)
}

pub(super) fn same_name(error: &rustls::Error) -> &'static str {
    match error {
        rustls::Error::InvalidCertificate(CertificateError::BadSignature) => SAME_NAME,
        _ => "",
    }
}

pub(super) fn refusal(alert: AlertDescription) -> String {
    use AlertDescription as Alert;
    match alert {
        Alert::UnknownCA => {
            "it does not know its authority (unknown_ca); is the authority among its roots?".into()
        }
        Alert::CertificateExpired => {
            "it has expired (certificate_expired); is it to be renewed, or a clock wrong?".into()
        }
        Alert::DecryptError => format!("its signature does not fit (decrypt_error){SAME_NAME}"),
        Alert::CertificateRevoked => "it was revoked (certificate_revoked)".into(),
        Alert::AccessDenied => "it is sound, but may not enter (access_denied)".into(),
        other => format!("it said {other:?}; is it a certificate for this use, and in order?"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_the_other_side_are_few_and_have_no_control_characters() {
        let names: Vec<_> = (0..6).map(|number| format!("DnsName(\"a{number}\n.example\")")).collect();
        let shown = ", but for a0.example, a1.example, a2.example, a3.example and 2 more";
        assert_eq!((also_for(&names).as_str(), also_for(&[]).as_str()), (shown, ""));
    }

    #[test]
    fn times_are_told_in_the_largest_unit_of_which_there_are_two() {
        let told = |seconds| span(Some(Duration::from_secs(seconds)), "", "");
        assert_eq!(
            [told(119), told(120), told(7_200), told(172_800)],
            ["119 seconds", "2 minutes", "2 hours", "2 days"]
        );
    }
}
