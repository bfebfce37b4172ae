//! Files that are written where the user said, and over nothing else.

use std::fs;

use crate::{detfree, folder, refuses, table};

#[test]
fn outputs_that_cannot_be_written() {
    let folder = folder(&[("good.csv", &table("1.5,2.5"))]);
    fs::create_dir(folder.path().join("folder")).unwrap();
    // Found before training: a million epochs would take hours.
    for (option, path, piece) in [
        ("--out", "absent/model.safetensors", "no such folder"),
        ("--out", "folder", "directory"),
        ("--out", "absent/", "directory"),
        ("--out", "good.csv/model.safetensors", "cannot write there"),
        ("--plot", "absent/density.png", "no such folder"),
        ("--plot", "folder", "directory"),
        ("--plot", "absent/", "directory"),
        ("--checkpoint", "absent/", "directory"),
        #[cfg(unix)]
        ("--out", "/dev/null", "no ordinary file"),
    ] {
        refuses(
            &folder,
            &["fit", "good.csv", "--epochs", "1000000", option, path],
            &[path, piece],
        );
    }
    refuses(&folder, &["unmix", "good.csv", "--mixing", "no/"], &["no/"]);
}

/// A file that its owner protects is no output, whether by default or by name, and is told so before
/// training.
#[test]
fn outputs_that_are_read_only() {
    let names = ["model.safetensors", "p.png", "run", "sources.csv", "m.csv"];
    let files = names.map(|name| (name, &b"kept"[..]));
    let folder = folder(&[&[("good.csv", &table("1.5,2.5")[..])], &files[..]].concat());
    for name in names {
        let path = folder.path().join(name);
        let mut permissions = fs::metadata(&path).unwrap().permissions();
        permissions.set_readonly(true);
        fs::set_permissions(path, permissions).unwrap();
    }
    let fit = ["fit", "good.csv", "--epochs", "1000000"];
    let unmix = ["unmix", "good.csv"];
    let named = [&fit[..], &["--out", "free"]].concat();
    for (args, name) in [
        (fit.to_vec(), "model.safetensors"),
        ([&named[..], &["--plot", "p.png"]].concat(), "p.png"),
        (
            [&named[..], &["--resume", "--checkpoint", "run"]].concat(),
            "run",
        ),
        (unmix.to_vec(), "sources.csv"),
        (
            [&unmix[..], &["--sources", "s.csv", "--mixing", "m.csv"]].concat(),
            "m.csv",
        ),
    ] {
        refuses(&folder, &args, &[name, "read-only", "writable"]);
    }
}

/// A name that says of a picture what it is not is refused before training.
#[test]
fn pictures_are_png() {
    let folder = folder(&[("good.csv", &table("1.5,2.5"))]);
    for name in ["p.jpg", "p.svg", "p.png.pdf"] {
        let fit = ["fit", "good.csv", "--epochs", "1000000", "--plot", name];
        refuses(&folder, &fit, &["--plot", name, "PNG", ".png"]);
    }
    for name in ["P.PNG", "picture"] {
        let fit = ["fit", "good.csv", "--epochs", "1", "--plot", name];
        assert!(detfree(folder.path(), &fit).status.success());
    }
}

/// Neither the data nor another result is overwritten, under whatever name.
#[test]
fn outputs_that_are_another_file() {
    let folder = folder(&[
        ("good.csv", &table("1.5,2.5")),
        ("test.csv", &table("2.5,2.5")),
    ]);
    fs::create_dir(folder.path().join("sub")).unwrap();
    #[cfg(unix)]
    for (to, link) in [("good.csv", "link"), ("new", "first"), ("first", "second")] {
        std::os::unix::fs::symlink(to, folder.path().join(link)).unwrap();
    }
    for (command, options) in [
        ("fit", &["DATA", "--out", "good.csv"][..]),
        ("fit", &["DATA", "--plot", "sub/../good.csv"]),
        ("fit", &["DATA", "--checkpoint", "./good.csv", "--resume"]),
        ("fit", &["--test", "test.csv", "--out", "./test.csv"]),
        ("fit", &["--out", "x", "--plot", "./x"]),
        ("fit", &["--out", "x", "--checkpoint", "x"]),
        ("fit", &["--plot", "x", "--checkpoint", "sub/../x"]),
        ("unmix", &["DATA", "--sources", "good.csv"]),
        ("unmix", &["DATA", "--mixing", "./good.csv"]),
        ("unmix", &["--sources", "./s.csv", "--mixing", "s.csv"]),
        ("unmix", &["--unmixing", "mixing.csv"]),
        #[cfg(unix)]
        ("fit", &["DATA", "--out", "link"]),
        #[cfg(unix)]
        ("fit", &["--out", "second", "--plot", "new"]),
    ] {
        let named = options
            .iter()
            .copied()
            .filter(|word| word.starts_with("--"));
        let mut pieces: Vec<&str> = named.filter(|&option| option != "--resume").collect();
        pieces.push("the same file");
        let mut args = vec![command, "good.csv"];
        args.extend(options);
        if options[0] == "DATA" {
            pieces.push("DATA");
            args.remove(2);
        }
        refuses(&folder, &args, &pieces);
    }
}

/// A link stays one, and what it leads to is written.
#[cfg(unix)]
#[test]
fn outputs_behind_links() {
    let folder = folder(&[("good.csv", &table("1.5,2.5")), ("old", b"old")]);
    let path = folder.path();
    fs::create_dir(path.join("sub")).unwrap();
    for (to, link) in [("old", "to-old"), ("sub/new", "to-new")] {
        let link = path.join(link);
        std::os::unix::fs::symlink(to, &link).unwrap();
        let out = link.display().to_string();
        let output = detfree(path, &["fit", "good.csv", "--epochs", "2", "--out", &out]);
        assert!(output.status.success());
        assert!(link.is_symlink());
        assert!(fs::read(path.join(to)).unwrap().len() > 100);
    }
}
