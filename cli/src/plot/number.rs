/// With a minus sign in place of the hyphen.
pub(super) fn signed(number: &str) -> String {
    number.replace('-', "−")
}

pub(super) fn superscript(exponent: i32) -> String {
    let raised = |c: char| match c {
        '-' => '⁻',
        '1' => '¹',
        '2' => '²',
        '3' => '³',
        '4' => '⁴',
        '5' => '⁵',
        '6' => '⁶',
        '7' => '⁷',
        '8' => '⁸',
        '9' => '⁹',
        _ => '⁰',
    };
    exponent.to_string().chars().map(raised).collect()
}

/// “1 row”, “100,000 rows”.
pub(super) fn counted(rows: usize) -> String {
    match rows {
        1 => "1 row".to_owned(),
        _ => format!("{} rows", grouped(rows)),
    }
}

/// Digits in groups of three.
pub(super) fn grouped(number: usize) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A log-likelihood to a hundredth of a nat, or in short where it is out of hand.
pub(super) fn nats(value: f64) -> String {
    if value.is_nan() {
        return "not a number".to_owned();
    }
    signed(&match value.abs() {
        f64::INFINITY => format!("{value}").replace("inf", "∞"),
        1e6.. => format!("{value:.2e}"),
        _ => format!("{value:.2}"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_in_words() {
        assert_eq!(superscript(-120), "⁻¹²⁰");
        assert_eq!(counted(1), "1 row");
        assert_eq!(
            [7, 999, 1000, 1_234_567].map(grouped),
            ["7", "999", "1,000", "1,234,567"]
        );
        assert_eq!(nats(-98.736), "−98.74");
        assert_eq!(nats(-12_345_678.0), "−1.23e7");
        assert_eq!(
            [f64::NEG_INFINITY, f64::NAN].map(nats),
            ["−∞", "not a number"]
        );
    }
}
