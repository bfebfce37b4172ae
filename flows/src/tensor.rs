//! Numbers as the bytes of safetensors.

use alloc::vec::Vec;

use detfree_core::Scalar;
use safetensors::tensor::Dtype;

/// The type of a backend's numbers.
pub(crate) const fn dtype<T: Scalar>() -> Dtype {
    if size_of::<T>() == size_of::<f32>() {
        Dtype::F32
    } else {
        Dtype::F64
    }
}

pub(crate) fn encode(dtype: Dtype, values: &[f64]) -> Vec<u8> {
    match dtype {
        Dtype::F32 => values
            .iter()
            .flat_map(|&x| (x as f32).to_le_bytes())
            .collect(),
        _ => values.iter().flat_map(|x| x.to_le_bytes()).collect(),
    }
}

/// `None` where the type is neither of the two.
pub(crate) fn decode(dtype: Dtype, bytes: &[u8]) -> Option<Vec<f64>> {
    match dtype {
        Dtype::F32 => {
            let number = |b: &[u8; 4]| f64::from(f32::from_le_bytes(*b));
            Some(bytes.as_chunks().0.iter().map(number).collect())
        }
        Dtype::F64 => {
            let number = |b: &[u8; 8]| f64::from_le_bytes(*b);
            Some(bytes.as_chunks().0.iter().map(number).collect())
        }
        _ => None,
    }
}
