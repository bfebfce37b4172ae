use super::error::{Place, Problem, quote};
use super::table::{Cells, default_names};

/// A binary number, with its size in bytes where that is open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Number {
    Signed(usize),
    Unsigned(usize),
    F32,
    F64,
}

impl Number {
    fn size(self) -> usize {
        match self {
            Self::Signed(size) | Self::Unsigned(size) => size,
            Self::F32 => 4,
            Self::F64 => 8,
        }
    }

    fn value(self, bytes: &[u8], big_endian: bool) -> f64 {
        let mut word = [0; 8];
        let used = &mut word[..bytes.len()];
        used.copy_from_slice(bytes);
        if big_endian {
            used.reverse();
        }
        let bits = u64::from_le_bytes(word);
        match self {
            Self::Unsigned(_) => bits as f64,
            Self::Signed(size) => {
                let unused = 64 - 8 * size;
                ((bits << unused) as i64 >> unused) as f64
            }
            Self::F32 => f64::from(f32::from_bits(bits as u32)),
            Self::F64 => f64::from_bits(bits),
        }
    }
}

/// A dense array as files store it: the first axis counts rows, the others are flattened.
#[derive(Debug)]
pub(super) struct Array<'a> {
    pub(super) shape: Vec<usize>,
    pub(super) number: Number,
    pub(super) big_endian: bool,
    /// Whether the first axis varies fastest, and not the last.
    pub(super) fortran: bool,
    pub(super) bytes: &'a [u8],
}

impl Array<'_> {
    pub(super) fn cells(self) -> Result<Cells, Problem> {
        let size = self.number.size();
        let expected = self
            .shape
            .iter()
            .fold(size, |n, &axis| n.saturating_mul(axis));
        if self.bytes.len() != expected {
            return Err(Problem::Length {
                shape: self.shape,
                expected,
                found: self.bytes.len(),
            });
        }
        let [rows, axes @ ..] = self.shape.as_slice() else {
            return Err(Problem::Scalar);
        };
        if self.bytes.is_empty() {
            return Err(Problem::Empty);
        }
        let names = default_names(axes);
        let offsets: Vec<usize> = (0..names.len())
            .map(|column| match self.fortran {
                true => rows * fortran_index(column, axes),
                false => column,
            })
            .collect();
        let stride = if self.fortran { 1 } else { names.len() };
        let mut values = Vec::with_capacity(rows * names.len());
        for row in 0..*rows {
            for (offset, name) in offsets.iter().zip(&names) {
                let start = size * (row * stride + offset);
                let value = self
                    .number
                    .value(&self.bytes[start..start + size], self.big_endian);
                if !value.is_finite() {
                    return Err(Problem::NotFinite {
                        place: Place::Row(row + 1),
                        column: quote(name),
                        value,
                    });
                }
                values.push(value);
            }
        }
        Ok((names, values))
    }
}

/// Where the element that comes at `index` with the last axis fastest comes with the first one
/// fastest.
fn fortran_index(mut index: usize, axes: &[usize]) -> usize {
    let mut stride: usize = axes.iter().product();
    let mut moved = 0;
    for axis in axes.iter().rev() {
        stride /= axis;
        moved += stride * (index % axis);
        index /= axis;
    }
    moved
}

#[cfg(test)]
mod tests {
    use super::*;

    fn values(number: Number, big_endian: bool, bytes: &[u8]) -> Vec<f64> {
        let array = Array {
            shape: vec![bytes.len() / number.size()],
            number,
            big_endian,
            fortran: false,
            bytes,
        };
        array.cells().unwrap().1
    }

    #[test]
    fn numbers_of_both_byte_orders() {
        use Number::{F32, F64, Signed, Unsigned};
        assert_eq!(values(Unsigned(1), false, &[0, 255]), [0.0, 255.0]);
        assert_eq!(values(Signed(1), true, &[0, 255, 128]), [0.0, -1.0, -128.0]);
        for number in [-3_i32, 70_000, i32::MIN] {
            let expected = [f64::from(number)];
            assert_eq!(values(Signed(4), true, &number.to_be_bytes()), expected);
            assert_eq!(values(Signed(4), false, &number.to_le_bytes()), expected);
        }
        assert_eq!(values(Signed(2), true, &[0xff, 0x00]), [-256.0]);
        assert_eq!(values(Signed(8), false, &(-5_i64).to_le_bytes()), [-5.0]);
        assert_eq!(values(Unsigned(8), false, &[255; 8]), [u64::MAX as f64]);
        assert_eq!(values(F32, true, &1.5_f32.to_be_bytes()), [1.5]);
        assert_eq!(
            values(F32, false, &(-0.1_f32).to_le_bytes()),
            [f64::from(-0.1_f32)]
        );
        assert_eq!(values(F64, true, &(-0.1_f64).to_be_bytes()), [-0.1]);
    }

    #[test]
    fn fortran_order_gives_the_same_rows() {
        let shape = vec![2_usize, 3, 2, 2];
        let number = |i: &[usize]| (1000 * i[0] + 100 * i[1] + 10 * i[2] + i[3]) as i16;
        let mut c = Vec::new();
        let mut fortran = vec![0; 24];
        for index in 0..24 {
            let i = [index / 12, index / 4 % 3, index / 2 % 2, index % 2];
            c.extend(number(&i).to_le_bytes().map(|b| b as usize));
            fortran[i[0] + 2 * (i[1] + 3 * (i[2] + 2 * i[3]))] = number(&i);
        }
        let c: Vec<u8> = c.into_iter().map(|b| b as u8).collect();
        let fortran: Vec<u8> = fortran.into_iter().flat_map(i16::to_le_bytes).collect();
        let cells = |fortran, bytes| {
            let array = Array {
                shape: shape.clone(),
                number: Number::Signed(2),
                big_endian: false,
                fortran,
                bytes,
            };
            array.cells().unwrap()
        };
        let expected = cells(false, &c);
        assert_eq!(expected.1[11..14], [211.0, 1000.0, 1001.0]);
        assert_eq!(cells(true, &fortran), expected);
    }

    #[test]
    fn bad_arrays() {
        let error = |shape: &[usize], number, bytes| {
            let array = Array {
                shape: shape.to_vec(),
                number,
                big_endian: false,
                fortran: false,
                bytes,
            };
            array.cells().unwrap_err().to_string()
        };
        assert_eq!(
            error(&[2, 3], Number::Unsigned(2), &[0; 11]),
            "is truncated or damaged: shape [2, 3] takes 12 bytes, but 11 follow the header"
        );
        assert!(error(&[2, 3], Number::Unsigned(2), &[0; 13]).contains("takes 12"));
        assert!(error(&[usize::MAX; 3], Number::F64, &[0; 8]).contains("truncated"));
        for shape in [[0, 3], [3, 0]] {
            assert_eq!(
                error(&shape, Number::F64, &[]),
                "is empty, expected rows of numbers"
            );
        }
        let bytes: Vec<u8> = [1.0, 2.0, 3.0, f32::NAN]
            .into_iter()
            .flat_map(f32::to_le_bytes)
            .collect();
        assert_eq!(
            error(&[2, 1, 2], Number::F32, &bytes),
            "row 2, column \"p0_1\": NaN is not a finite number; remove or replace it"
        );
    }
}
