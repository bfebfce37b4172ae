//! The device that a backend found.

use core::fmt;

/// How matrix products are computed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Products {
    /// By cuBLAS, whose library was found.
    CuBlas,
    /// By the kernels of this crate, which need the driver alone.
    Own,
}

/// A device, as its driver describes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Device {
    /// Its number among the devices of the driver.
    pub ordinal: usize,
    /// Its name.
    pub name: String,
    /// Its compute capability, before and after the point.
    pub compute_capability: (i32, i32),
    /// Bytes of its memory.
    pub memory_total: usize,
    /// Bytes of them that are free now.
    pub memory_free: usize,
    /// How this backend computes matrix products on it.
    pub products: Products,
}

impl fmt::Display for Device {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (major, minor) = self.compute_capability;
        let [free, total] =
            [self.memory_free, self.memory_total].map(|x| x as f64 / f64::from(1 << 30));
        let products = match self.products {
            Products::CuBlas => "cuBLAS",
            Products::Own => "detfree's own kernels",
        };
        write!(
            f,
            "device {}: {}, compute capability {major}.{minor}, {free:.1} of {total:.1} GiB free, \
             products by {products}",
            self.ordinal, self.name
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_about_the_device() {
        let device = Device {
            ordinal: 1,
            name: "A".into(),
            compute_capability: (7, 5),
            memory_total: 3 << 30,
            memory_free: 3 << 29,
            products: Products::Own,
        };
        assert_eq!(
            device.to_string(),
            "device 1: A, compute capability 7.5, 1.5 of 3.0 GiB free, \
             products by detfree's own kernels"
        );
    }
}
