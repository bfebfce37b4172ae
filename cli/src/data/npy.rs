use super::array::{Array, Number};
use super::error::{Problem, quote};
use super::table::Cells;

const MAGIC: &[u8] = b"\x93NUMPY";

pub(super) fn recognises(bytes: &[u8]) -> bool {
    bytes.starts_with(MAGIC)
}

/// Reads numpy's own format (NEP 1), versions 1 to 3.
pub(super) fn parse(bytes: &[u8]) -> Result<Cells, Problem> {
    array(bytes)?.cells()
}

fn array(bytes: &[u8]) -> Result<Array<'_>, Problem> {
    let (header, bytes) = sections(bytes).ok_or(Problem::Header(".npy"))?;
    let damaged = || Problem::Header(".npy");
    let descr = field(header, "descr").ok_or_else(damaged)?;
    let (number, big_endian) = number(descr)?;
    let fortran = match field(header, "fortran_order").ok_or_else(damaged)? {
        order if order.starts_with("True") => true,
        order if order.starts_with("False") => false,
        _ => return Err(damaged()),
    };
    let shape = field(header, "shape").and_then(shape).ok_or_else(damaged)?;
    Ok(Array {
        shape,
        number,
        big_endian,
        fortran,
        bytes,
    })
}

/// The header, a Python dictionary in text, and the data.
fn sections(bytes: &[u8]) -> Option<(&str, &[u8])> {
    let (&[major, _minor], rest) = bytes.strip_prefix(MAGIC)?.split_first_chunk()?;
    let (length, rest) = match major {
        1 => {
            let (length, rest) = rest.split_first_chunk()?;
            (usize::from(u16::from_le_bytes(*length)), rest)
        }
        2 | 3 => {
            let (length, rest) = rest.split_first_chunk()?;
            (u32::from_le_bytes(*length) as usize, rest)
        }
        _ => return None,
    };
    let (header, data) = rest.split_at_checked(length)?;
    Some((std::str::from_utf8(header).ok()?, data))
}

/// What follows a key of the dictionary.
fn field<'a>(header: &'a str, key: &str) -> Option<&'a str> {
    let (_, value) = header.split_once(&format!("'{key}':"))?;
    Some(value.trim_start())
}

fn number(descr: &str) -> Result<(Number, bool), Problem> {
    // A structured type is a list and starts with a bracket.
    let name = match descr.strip_prefix('\'').and_then(|d| d.split_once('\'')) {
        Some((name, _)) => name,
        None => return Err(Problem::NumberType(quote(descr))),
    };
    let unsupported = || Problem::NumberType(quote(name));
    let (big_endian, code) = match name.split_at_checked(1) {
        Some(("<" | "|", code)) => (false, code),
        Some((">", code)) => (true, code),
        _ => return Err(unsupported()),
    };
    let number = match code {
        "f4" => Number::F32,
        "f8" => Number::F64,
        "i1" => Number::Signed(1),
        "i2" => Number::Signed(2),
        "i4" => Number::Signed(4),
        "i8" => Number::Signed(8),
        "b1" | "u1" => Number::Unsigned(1),
        "u2" => Number::Unsigned(2),
        "u4" => Number::Unsigned(4),
        "u8" => Number::Unsigned(8),
        _ => return Err(unsupported()),
    };
    Ok((number, big_endian))
}

/// The numbers of a tuple: `(3,)`, `(3, 4)`.
fn shape(tuple: &str) -> Option<Vec<usize>> {
    let (inside, _) = tuple.strip_prefix('(')?.split_once(')')?;
    inside
        .split(',')
        .map(str::trim)
        .filter(|axis| !axis.is_empty())
        .map(|axis| axis.parse().ok())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(version: u8, header: &str, data: &[u8]) -> Vec<u8> {
        let mut bytes = [MAGIC, &[version, 0]].concat();
        match version {
            1 => bytes.extend((header.len() as u16).to_le_bytes()),
            _ => bytes.extend((header.len() as u32).to_le_bytes()),
        }
        [bytes, header.into(), data.to_vec()].concat()
    }

    fn header(descr: &str, fortran: &str, shape: &str) -> String {
        format!("{{'descr': {descr}, 'fortran_order': {fortran}, 'shape': {shape}, }}   \n")
    }

    fn data(values: &[f32]) -> Vec<u8> {
        values.iter().copied().flat_map(f32::to_le_bytes).collect()
    }

    #[test]
    fn versions_shapes_and_orders() {
        let six = data(&[1.0, 2.0, 3.0, 4.0, 5.0, 6.0]);
        let plain = vec![1.0, 2.0, 3.0, 4.0, 5.0, 6.0];
        for (version, shape, fortran, names, values) in [
            (1, "(3, 2)", "False", "x0 x1", plain.clone()),
            (2, "(2, 3)", "False", "x0 x1 x2", plain.clone()),
            (3, "(6,)", "False", "x0", plain.clone()),
            (
                1,
                "(1, 3, 2)",
                "False",
                "p0_0 p0_1 p1_0 p1_1 p2_0 p2_1",
                plain,
            ),
            (
                1,
                "(3, 2)",
                "True",
                "x0 x1",
                vec![1.0, 4.0, 2.0, 5.0, 3.0, 6.0],
            ),
        ] {
            let (n, v) = parse(&file(version, &header("'<f4'", fortran, shape), &six)).unwrap();
            assert_eq!(n.join(" "), names);
            assert_eq!(v, values);
        }
    }

    #[test]
    fn number_types() {
        for (descr, bytes, expected) in [
            ("'<f8'", (-0.1_f64).to_le_bytes().as_slice(), -0.1),
            ("'>f8'", &(-0.1_f64).to_be_bytes(), -0.1),
            ("'<f4'", &1.5_f32.to_le_bytes(), 1.5),
            ("'|b1'", &[1], 1.0),
            ("'|i1'", &[255], -1.0),
            ("'|u1'", &[255], 255.0),
            ("'<i2'", &[0xfe, 0xff], -2.0),
            ("'<u2'", &[0xfe, 0xff], 65_534.0),
            ("'<i4'", &[0xfe, 0xff, 0xff, 0xff], -2.0),
            ("'<u4'", &[0xfe, 0xff, 0xff, 0xff], 4_294_967_294.0),
            ("'>i8'", &[0, 0, 0, 0, 0, 0, 1, 2], 258.0),
            ("'<u8'", &[2, 1, 0, 0, 0, 0, 0, 0], 258.0),
        ] {
            let (_, values) = parse(&file(1, &header(descr, "False", "(1,)"), bytes)).unwrap();
            assert_eq!(values, [expected], "{descr}");
        }
    }

    #[test]
    fn bad_files() {
        let error = |bytes: &[u8]| parse(bytes).unwrap_err().to_string();
        let good = file(1, &header("'<f4'", "False", "(1, 2)"), &data(&[1.0, 2.0]));
        assert!(parse(&good).is_ok());
        // Every truncation is noticed, in the header and in the data.
        for length in MAGIC.len()..good.len() {
            let message = error(&good[..length]);
            assert!(message.contains("truncated or damaged"), "{message}");
        }
        for (descr, shown) in [
            ("'<c16'", "\"<c16\""),
            ("'<f2'", "\"<f2\""),
            ("'|O'", "\"|O\""),
            ("'<U5'", "\"<U5\""),
            ("'é'", "\"é\""),
            ("[('a', '<f4')]", "\"[('a', '<f4')], 'fortran_order\"…"),
        ] {
            assert_eq!(
                error(&file(1, &header(descr, "False", "(1,)"), &[])),
                format!(
                    "numbers of type {shown} are not supported, expected f4, f8, integers or booleans"
                )
            );
        }
        for header in [
            header("'<f4'", "maybe", "(1,)"),
            header("'<f4'", "False", "(1, -2)"),
            header("'<f4'", "False", "1"),
            "{}".to_owned(),
        ] {
            assert_eq!(
                error(&file(1, &header, &[])),
                "the .npy header is truncated or damaged"
            );
        }
        assert!(error(&file(4, "", &[])).contains("header"));
        assert_eq!(
            error(&file(1, &header("'<f4'", "False", "()"), &[0; 4])),
            "is a single number without a shape, expected rows of numbers"
        );
    }
}
