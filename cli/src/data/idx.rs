use super::array::{Array, Number};
use super::error::Problem;
use super::table::Cells;

/// Whether the file starts with IDX's magic number: two zeros, a number type, how many axes.
pub(super) fn recognises(bytes: &[u8]) -> bool {
    matches!(*bytes, [0, 0, kind, axes, ..] if axes > 0 && number(kind).is_some())
}

/// Reads the format of MNIST: big-endian lengths of the axes, then the numbers.
pub(super) fn parse(bytes: &[u8]) -> Result<Cells, Problem> {
    array(bytes).ok_or(Problem::Header("IDX"))?.cells()
}

fn array(bytes: &[u8]) -> Option<Array<'_>> {
    let (&[_, _, kind, axes], rest) = bytes.split_first_chunk()?;
    let (lengths, bytes) = rest.split_at_checked(4 * usize::from(axes))?;
    let length = |bytes: &[u8]| bytes.iter().fold(0, |n, &byte| n << 8 | usize::from(byte));
    Some(Array {
        shape: lengths.chunks_exact(4).map(length).collect(),
        number: number(kind)?,
        big_endian: true,
        fortran: false,
        bytes,
    })
}

fn number(kind: u8) -> Option<Number> {
    match kind {
        0x08 => Some(Number::Unsigned(1)),
        0x09 => Some(Number::Signed(1)),
        0x0B => Some(Number::Signed(2)),
        0x0C => Some(Number::Signed(4)),
        0x0D => Some(Number::F32),
        0x0E => Some(Number::F64),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(kind: u8, shape: &[u32], data: &[u8]) -> Vec<u8> {
        let mut bytes = vec![0, 0, kind, shape.len() as u8];
        bytes.extend(shape.iter().flat_map(|n| n.to_be_bytes()));
        [bytes, data.to_vec()].concat()
    }

    #[test]
    fn images_and_labels() {
        let images = file(0x08, &[2, 2, 3], &[0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 255]);
        assert!(recognises(&images));
        let (names, values) = parse(&images).unwrap();
        assert_eq!(names, ["p0_0", "p0_1", "p0_2", "p1_0", "p1_1", "p1_2"]);
        assert_eq!(values[5..8], [5.0, 6.0, 7.0]);
        assert_eq!(values[11], 255.0);
        let (names, values) = parse(&file(0x08, &[3], &[7, 2, 1])).unwrap();
        assert_eq!(names, ["x0"]);
        assert_eq!(values, [7.0, 2.0, 1.0]);
    }

    #[test]
    fn number_types() {
        for (kind, bytes, expected) in [
            (0x09, [254].as_slice(), -2.0),
            (0x0B, &[1, 2], 258.0),
            (0x0C, &(-70_000_i32).to_be_bytes(), -70_000.0),
            (0x0D, &1.5_f32.to_be_bytes(), 1.5),
            (0x0E, &(-0.1_f64).to_be_bytes(), -0.1),
        ] {
            let bytes = file(kind, &[1], bytes);
            assert!(recognises(&bytes));
            assert_eq!(parse(&bytes).unwrap().1, [expected]);
        }
        assert!(!recognises(&file(0x0A, &[1], &[1])));
        assert!(!recognises(&file(0x08, &[], &[1])));
    }

    #[test]
    fn every_truncation_is_noticed() {
        let bytes = file(0x08, &[2, 2], &[1, 2, 3, 4]);
        for length in 4..bytes.len() {
            let message = parse(&bytes[..length]).unwrap_err().to_string();
            assert!(message.contains("truncated or damaged"), "{message}");
        }
    }
}
