//! The relative gradient of a 1×1 convolution: that of a dense layer whose rows are pixels.

use super::{Affine, DenseRelative, RelativeGradient, Side};
use crate::{Allocate, DenseBackend, Error, Shape};

/// The relative gradient of a c×c mixing of channels that all P pixels of an image share,
/// y_{r,p} = W x_{r,p} + b: a 1×1 convolution.
///
/// Batches are [R·P, c], one pixel a row, image after image. The log-determinant of the map is
/// P log|det W|, ℓ is the mean over the R images, and δ_{r,p} = ∂ℓ_r/∂y_{r,p}. With
/// t = (1/R) Σ_{r,p} δ_{r,p}, all P times what [`DenseRelative`] has on R·P rows:
///
/// | side       | T                                   | ΔW  | Δb      |
/// |------------|-------------------------------------|-----|---------|
/// | plain      | P I + (1/R) Σ_{r,p} δ_{r,p} y_{r,p}ᵀ   | T W | T b + t |
/// | transposed | P I + (1/R) Σ_{r,p} Wᵀδ_{r,p} x_{r,p}ᵀ | W T | W Wᵀ t  |
///
/// A step of length μ is therefore one of μP there, μ > −1/P, and
/// [`log_det_change`](RelativeGradient::log_det_change) is that of the whole map,
/// P (c log(1+μP) + log|det K|) with K = I + μ/((1+μP)R) VᵀU. The inverse that a step keeps is W⁻¹,
/// [c, c]. Rows that are no whole number of images are refused where they are linearised.
///
/// Gresele et al. 2020 leave convolutions to future work; this follows from their section 4 for the
/// subgroup I_P ⊗ (I + ε) of the group that acts on a dense layer.
///
/// ```
/// use detfree_core::reference::Heap;
/// use detfree_core::{Affine, ChannelRelative, Dense, RelativeGradient, Shape, Side};
/// let batch = |rows, dim, values: &[f64]| Dense::new(Shape::new(rows, dim), values.to_vec());
/// let mut layer = Affine { weight: batch(1, 1, &[2.0])?, bias: batch(1, 1, &[0.0])? };
/// let (delta, y) = (batch(3, 1, &[-1.0, 0.0, -1.0])?, batch(3, 1, &[1.0, 2.0, 1.0])?);
/// let b = Heap::<f64>::new();
/// let mut tangent = ChannelRelative::allocate(&b, 1, 3, 1)?; // one image of three pixels
/// tangent.linearise(&b, Side::Plain, &layer, &delta, &y)?; // T = 3 − 2
/// tangent.step(&b, 0.25, &mut layer, None)?;
/// assert_eq!(layer.weight.as_slice(), [2.5]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct ChannelRelative<B: DenseBackend> {
    dense: DenseRelative<B>,
    /// P
    pixels: usize,
    /// P for every row of a direction.
    scale: B::Rows,
}

impl<B: DenseBackend> ChannelRelative<B> {
    /// A tangent for images of `pixels` pixels over one for as many rows as a batch has pixels, and
    /// a `scale` with c numbers, which may hold anything.
    ///
    /// # Errors
    /// [`Error::Shape`] where an image has no pixels or where `scale` does not fit; the device's.
    pub fn new(
        b: &B,
        dense: DenseRelative<B>,
        pixels: usize,
        mut scale: B::Rows,
    ) -> Result<Self, Error<B::Error>> {
        let channels = b.shape(dense.bias_direction()).dim;
        let found = Shape::new(pixels, channels);
        Error::check_shape("an image", Shape::new(pixels.max(1), channels), found)?;
        Error::check_rows("the scale", channels, b.row_count(&scale))?;
        b.fill_rows(pixels as f64, &mut scale)?;
        Ok(Self {
            dense,
            pixels,
            scale,
        })
    }

    /// A tangent for batches of `images` images of `pixels` pixels in `channels` channels.
    ///
    /// # Errors
    /// [`Error::Shape`] where an image has no pixels; the device's.
    pub fn allocate(
        b: &B,
        images: usize,
        pixels: usize,
        channels: usize,
    ) -> Result<Self, Error<B::Error>>
    where
        B: Allocate,
    {
        let dense = DenseRelative::allocate(b, images.saturating_mul(pixels), channels)?;
        Self::new(b, dense, pixels, b.rows(channels)?)
    }
}

impl<B: DenseBackend> RelativeGradient<B> for ChannelRelative<B> {
    fn linearise(
        &mut self,
        b: &B,
        side: Side,
        layer: &Affine<B::Batch>,
        delta: &B::Batch,
        anchor: &B::Batch,
    ) -> Result<(), Error<B::Error>> {
        let Shape { rows, dim } = b.shape(delta);
        let image = Shape::new(self.pixels, dim);
        let last = match rows.checked_rem(self.pixels) {
            Some(rest @ 1..) => rest,
            _ => self.pixels,
        };
        Error::check_shape("the last image", image, Shape::new(last, dim))?;
        self.dense.linearise(b, side, layer, delta, anchor)
    }

    fn direction(
        &mut self,
        b: &B,
        layer: &Affine<B::Batch>,
        out: &mut Affine<B::Batch>,
    ) -> Result<(), Error<B::Error>> {
        self.dense.direction(b, layer, out)?;
        b.scale_rows(&self.scale, &mut out.weight)?;
        let bias = self.dense.bias_direction();
        b.axpy(0..1, self.pixels as f64 - 1.0, bias, &mut out.bias)?;
        Ok(())
    }

    fn log_det_change(&mut self, b: &B, mu: f64) -> Result<Option<f64>, Error<B::Error>> {
        let pixels = self.pixels as f64;
        let change = self.dense.log_det_change(b, pixels * mu)?;
        Ok(change.map(|change| pixels * change))
    }

    fn step(
        &mut self,
        b: &B,
        mu: f64,
        layer: &mut Affine<B::Batch>,
        inverse: Option<&mut B::Batch>,
    ) -> Result<(), Error<B::Error>> {
        self.dense.step(b, self.pixels as f64 * mu, layer, inverse)
    }
}
