use super::*;

struct Image {
    width: usize,
    height: usize,
    pixels: Vec<u8>,
}

impl Image {
    fn decoded(bytes: &[u8]) -> Self {
        let mut reader = png::Decoder::new(std::io::Cursor::new(bytes))
            .read_info()
            .unwrap();
        let mut pixels = vec![0; reader.output_buffer_size().unwrap()];
        let info = reader.next_frame(&mut pixels).unwrap();
        assert_eq!(info.color_type, png::ColorType::Rgb);
        Self {
            width: info.width as usize,
            height: info.height as usize,
            pixels,
        }
    }

    fn brightness(&self, x: usize, y: usize) -> u32 {
        let start = 3 * (y * self.width + x);
        self.pixels[start..start + 3]
            .iter()
            .map(|&c| u32::from(c))
            .sum()
    }
}

fn names(names: &[&str]) -> Vec<String> {
    names.iter().map(|&name| name.to_owned()).collect()
}

fn picture<'a>(names: &'a [String], data: &'a [f64]) -> Picture<'a> {
    Picture {
        source: "some/data.csv",
        model: "a model",
        names,
        data,
        samples: data,
        log_likelihood: &[-1.0, -2.0, -4.0],
        gaussian: &[-2.0, -2.5, -5.0],
    }
}

/// The logarithm of a Gaussian density but for its constant.
fn bump(point: &[f64], centre: &[f64], deviation: f64) -> f64 {
    let squares = point
        .iter()
        .zip(centre)
        .map(|(x, c)| ((x - c) / deviation).powi(2));
    -0.5 * squares.sum::<f64>()
}

fn by_rows(
    dim: usize,
    density: impl Fn(&[f64]) -> f64,
) -> impl Fn(&[f64]) -> Result<Vec<f64>, PlotError> {
    move |points| Ok(points.chunks_exact(dim).map(&density).collect())
}

/// Points on a lattice around a centre, without chance.
fn cloud(centre: [f64; 2], radius: f64) -> impl Iterator<Item = f64> {
    (0..100).flat_map(move |i| {
        let [x, y] = [i % 10, i / 10].map(|k| (f64::from(k) - 4.5) / 4.5 * radius);
        [centre[0] + x, centre[1] + y]
    })
}

#[test]
fn two_modes_are_two_bright_regions_where_they_belong() {
    let centres = [[-3.0, 1.0], [3.0, 5.0]];
    let data: Vec<f64> = centres.iter().flat_map(|&c| cloud(c, 1.0)).collect();
    let xy = names(&["x", "y"]);
    // One mode is a tenth as high as the other.
    let density = |p: &[f64]| {
        let [a, b] = centres.map(|c| bump(p, &c, 0.5).exp());
        (a + 0.1 * b).ln()
    };
    let image = Image::decoded(&draw(&picture(&xy, &data), by_rows(2, density)).unwrap());
    assert_eq!((image.width, image.height), (1440, 816));

    let (frame, [x, y]) = heat::Plan::new(&picture(&xy, &data)).density_panel();
    let pixel = |point: [f64; 2]| {
        let across = frame.left + frame.width * x.share(point[0]);
        let down = frame.bottom() - frame.height * y.share(point[1]);
        image.brightness(across as usize, down as usize)
    };
    let [high, low] = centres.map(pixel);
    let between = pixel([0.0, 3.0]);
    let corners = [[-3.0, 5.0], [3.0, 1.0]].map(pixel);
    // Near black is about 50 of 765; a third of the scale is above 250.
    assert!(high > 600 && low > 200, "{high} {low}");
    assert!(
        between < 80 && corners.iter().all(|&c| c < 80),
        "{between} {corners:?}"
    );
    // The other panel has dots on white paper: 200 of some 100 pixels each, often one on another.
    let left = (112..672).flat_map(|x| (158..718).map(move |y| (x, y)));
    let dark = left.filter(|&(x, y)| image.brightness(x, y) < 600).count();
    assert!((4000..40_000).contains(&dark), "{dark}");
}

#[test]
fn pictures_of_every_kind_are_drawn_alike_each_time() {
    for dim in [1, 2, 3, 9] {
        let columns: Vec<String> = (0..dim).map(|i| format!("p{}{}", i / 3, i % 3)).collect();
        let data: Vec<f64> = (0..40 * dim).map(|i| ((i * i) % 17) as f64).collect();
        let density = by_rows(dim, |p| bump(p, &vec![8.0; dim], 4.0));
        let [first, second] = [(); 2].map(|()| draw(&picture(&columns, &data), &density).unwrap());
        assert_eq!(first, second);
        let image = Image::decoded(&first);
        assert!((1400..=1600).contains(&image.width) && image.height > 600);
        let inked = image.pixels.iter().filter(|&&c| c < 200).count();
        assert!(inked > 20_000, "{dim} columns: {inked}");
    }
}

#[test]
fn extreme_and_degenerate_rows_are_drawn() {
    let nan = f64::NAN;
    let answers: [fn(&[f64]) -> f64; 5] = [
        |_| 0.0,
        |_| f64::NAN,
        |_| f64::INFINITY,
        |p| 5000.0 * p[0],
        |p| if p[0] > 0.0 { 1e308 } else { f64::NEG_INFINITY },
    ];
    let cells: [&[f64]; 8] = [
        &[7.0],
        &[0.0, 0.0, 0.0],
        &[1e-300, -1e-300],
        &[f64::MAX, f64::MIN, 1.0],
        &[1.7e9, 1.7e9 + 1e-3, 1.7e9 + 3e-3],
        &[nan, f64::INFINITY, f64::NEG_INFINITY],
        &[1e-5, 2e-5, 4e-5, 1.0],
        &[-3.0, 1e15, 4.0],
    ];
    for dim in 1..=3 {
        let long = "a very long name \n of a column ".repeat(20);
        let columns = vec![long; dim];
        for (i, values) in cells.into_iter().enumerate() {
            // Whole rows of the same value, so that columns are alike and components degenerate.
            let data: Vec<f64> = values.iter().flat_map(|&v| vec![v; dim]).collect();
            let mut picture = picture(&columns, &data);
            picture.samples = &[];
            picture.log_likelihood = &[f64::NAN, f64::NEG_INFINITY, 3.0];
            picture.gaussian = &[];
            draw(&picture, by_rows(dim, answers[i % answers.len()])).unwrap();
        }
    }
}

#[test]
fn many_rows_take_little_time_and_odd_images_fit() {
    let three = names(&["a", "b", "c"]);
    let data: Vec<f64> = (0..300_000_u64)
        .map(|i| (i * 7919 % 10_007) as f64)
        .collect();
    draw(&picture(&three, &data), by_rows(3, |_| 0.0)).unwrap();
    for (height, width) in [(3, 3), (3, 500), (300, 4), (130, 130)] {
        let dim = height * width;
        let columns: Vec<String> = (0..dim)
            .map(|i| format!("p{}_{}", i / width, i % width))
            .collect();
        let data: Vec<f64> = (0..2 * dim).map(|i| (i % 256) as f64).collect();
        draw(&picture(&columns, &data), by_rows(dim, |_| 0.0)).unwrap();
    }
}

#[test]
fn what_cannot_be_drawn_is_an_error() {
    let xy = names(&["x", "y"]);
    let refused = |names: &[String], data: &[f64], samples: &[f64]| {
        let mut picture = picture(names, data);
        picture.samples = samples;
        draw(&picture, by_rows(2, |_| 0.0)).unwrap_err().to_string()
    };
    assert!(refused(&xy, &[], &[]).contains("at least one row"));
    assert!(refused(&[], &[1.0], &[]).contains("one column"));
    assert!(refused(&xy, &[1.0, 2.0, 3.0], &[]).contains("data for a picture: 3 values"));
    assert!(refused(&xy, &[1.0, 2.0], &[1.0]).contains("samples for a picture: 1 values"));
    let short = draw(&picture(&xy, &[1.0, 2.0]), |_| {
        Ok::<_, PlotError>(vec![0.0])
    });
    assert!(
        short
            .unwrap_err()
            .to_string()
            .contains("answered 1 values for")
    );
}

#[test]
fn an_error_of_the_density_comes_back() {
    #[derive(Debug, PartialEq)]
    struct Broken;
    impl From<PlotError> for Broken {
        fn from(_: PlotError) -> Self {
            unreachable!("the density fails first")
        }
    }
    let x = names(&["x"]);
    assert_eq!(
        draw(&picture(&x, &[1.0, 2.0]), |_| Err(Broken)),
        Err(Broken)
    );
}

/// Many rows beyond the edges of a histogram are told whole, in the narrowest frame; few in the usual type.
#[test]
fn details_beside_headings_are_whole() {
    canvas::paint([10, 10], |canvas| {
        let beside = |detail| summary::THIRD.beside(canvas, likelihood::TITLE, detail);
        let detail = "1,000,000 rows, 100,000 outside";
        assert_eq!(beside(detail).0, detail);
        assert_eq!(beside("200 rows").1.size, lettering::DETAIL.size);
        Ok(())
    })
    .unwrap();
}
