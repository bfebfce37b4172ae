use std::fs;
use std::io::{self, Read};
use std::path::Path;

use flate2::read::MultiGzDecoder;

use super::error::{DataError, Problem};
use super::{Format, Table, csv, idx, npy};

/// The name of standard input.
pub(crate) const STDIN: &str = "-";

/// Reads a table of CSV, .npy or IDX, each gzipped or not: the content decides, not the name.
pub(crate) fn read(path: &Path) -> Result<Table, DataError> {
    let (origin, contents) = if path == Path::new(STDIN) {
        ("standard input".to_owned(), standard_input())
    } else {
        (path.display().to_string(), contents(path))
    };
    match contents.and_then(unpack).and_then(|bytes| parse(&bytes)) {
        Ok((format, cells)) => Ok(Table::new(origin, format, cells)),
        Err(problem) => Err(problem.of(&origin)),
    }
}

fn standard_input() -> Result<Vec<u8>, Problem> {
    let mut bytes = Vec::new();
    let mut input = io::stdin().lock();
    input.read_to_end(&mut bytes).map_err(Problem::Unreadable)?;
    Ok(bytes)
}

fn contents(path: &Path) -> Result<Vec<u8>, Problem> {
    // Reading a directory fails too, but each system says so in its own way.
    if path.is_dir() {
        return Err(Problem::Directory);
    }
    fs::read(path).map_err(|error| match error.kind() {
        io::ErrorKind::NotFound if path.to_string_lossy().starts_with("toy:") => {
            Problem::ToyElsewhere
        }
        io::ErrorKind::NotFound => Problem::Missing,
        _ => Problem::Unreadable(error),
    })
}

/// What was packed by gzip, if it was.
fn unpack(bytes: Vec<u8>) -> Result<Vec<u8>, Problem> {
    if !bytes.starts_with(b"\x1f\x8b") {
        return Ok(bytes);
    }
    let mut unpacked = Vec::new();
    MultiGzDecoder::new(bytes.as_slice())
        .read_to_end(&mut unpacked)
        .map_err(Problem::Gzip)?;
    Ok(unpacked)
}

fn parse(bytes: &[u8]) -> Result<(Format, super::table::Cells), Problem> {
    if npy::recognises(bytes) {
        return Ok((Format::Npy, npy::parse(bytes)?));
    }
    if idx::recognises(bytes) {
        return Ok((Format::Idx, idx::parse(bytes)?));
    }
    // No text holds a zero byte, but it would be valid UTF-8.
    match std::str::from_utf8(bytes) {
        Ok(text) if !bytes.contains(&0) => csv::parse(text),
        _ => Err(Problem::Unrecognised),
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use flate2::Compression;
    use flate2::write::GzEncoder;

    use super::*;

    fn shipped(name: &str) -> Table {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../data");
        read(&folder.join(name)).unwrap()
    }

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    fn read_bytes(bytes: &[u8]) -> Result<Table, String> {
        let file = tempfile::NamedTempFile::new().unwrap();
        fs::write(file.path(), bytes).unwrap();
        read(file.path()).map_err(|error| {
            let (origin, problem) = error.to_string().split_once(": ").map(owned).unwrap();
            assert_eq!(origin, file.path().display().to_string());
            problem
        })
    }

    fn owned((a, b): (&str, &str)) -> (String, String) {
        (a.to_owned(), b.to_owned())
    }

    #[test]
    fn shipped_tables() {
        let faithful = shipped("faithful.csv");
        assert_eq!((faithful.rows(), faithful.format()), (272, Format::Csv));
        assert_eq!(faithful.names(), ["eruptions", "waiting"]);
        assert_eq!(faithful.row(1), [1.8, 54.0]);
        let digits = shipped("digits.csv.gz");
        assert_eq!((digits.rows(), digits.dim()), (1797, 64));
        assert_eq!(digits.names()[63], "p77");
        assert_eq!(digits.row(0)[..6], [0.0, 0.0, 5.0, 13.0, 9.0, 1.0]);
    }

    #[test]
    fn every_format_plain_and_gzipped() {
        let mut npy = b"\x93NUMPY\x01\x00\x46\x00".to_vec();
        npy.extend(b"{'descr': '|u1', 'fortran_order': False, 'shape': (2, 2), }          \n\n");
        npy.truncate(80);
        npy.extend([1, 2, 3, 4]);
        let idx = b"\0\0\x08\x02\0\0\0\x02\0\0\0\x02\x01\x02\x03\x04";
        for (format, bytes) in [
            (Format::Csv, b"x0,x1\n1,2\n3,4\n".as_slice()),
            (Format::Npy, &npy),
            (Format::Idx, idx),
        ] {
            for bytes in [bytes.to_vec(), gzip(bytes)] {
                let table = read_bytes(&bytes).unwrap();
                assert_eq!(table.format(), format);
                assert_eq!(table.names(), ["x0", "x1"]);
                assert_eq!(table.values(), [1.0, 2.0, 3.0, 4.0]);
            }
        }
    }

    #[test]
    fn files_that_hold_no_table() {
        let folder = tempfile::tempdir().unwrap();
        let error = |path: &Path| read(path).unwrap_err().to_string();
        assert!(error(folder.path()).ends_with(": is a directory, expected a file"));
        let missing = folder.path().join("missing.csv");
        assert_eq!(
            error(&missing),
            format!("{}: no such file", missing.display())
        );
        let packed = gzip(b"a,b\n1,2\n3,4\n");
        let empty = "is empty, expected rows of numbers";
        let junk = "is neither a table in UTF-8 text (CSV) nor .npy nor IDX";
        for (bytes, expected) in [
            (b"".as_slice(), empty),
            (&gzip(b""), empty),
            (b"\xef\xbb\xbf", empty),
            (b" \r\n\n", empty),
            (b"\x89PNG\r\n\x1a\n\0\0\0\x0d", junk),
            (b"1,2\n3,\0\n", junk),
            (b"gr\xf6\xdfe\n1\n2\n", junk),
            (b"\x93NUM", junk),
            (b"\0\0\x07\x01\0\0\0\x01\x05", junk),
            (&gzip(&[0xff; 99]), junk),
            (b"\0\0\x08", junk),
            (b"a,b\n", "has a header but no rows"),
            (
                &packed[..packed.len() - 9],
                "the gzip stream is truncated or damaged (",
            ),
            (&packed[..5], "the gzip stream is truncated or damaged ("),
        ] {
            let found = read_bytes(bytes).unwrap_err();
            assert!(found.starts_with(expected), "{found} for {bytes:?}");
        }
    }
}
