//! Builds for a board, and runs on it.

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::Mutex;
use std::{env, fs};

const TARGET: &str = "thumbv7em-none-eabihf";

/// QEMU gives every instruction 2⁶ ns of virtual time, whatever the machine below.
const SHIFT: u32 = 6;

/// The system timer of both boards counts at 25 MHz.
const TICK_NS: u64 = 40;

static BUILDING: Mutex<()> = Mutex::new(());

/// A Cortex-M that QEMU emulates.
pub(crate) struct Board {
    pub(crate) name: &'static str,
    machine: &'static str,
    flags: &'static str,
}

pub(crate) const BOARDS: [Board; 2] = [
    Board {
        name: "Cortex-M4F",
        machine: "mps2-an386",
        flags: "",
    },
    Board {
        name: "Cortex-M7",
        machine: "mps2-an500",
        flags: "-C target-cpu=cortex-m7",
    },
];

#[derive(Clone, Copy, Debug)]
pub(crate) enum Program {
    /// The mathematics alone.
    Module,
    /// The whole program.
    Firmware,
}

/// What the firmware reported.
pub(crate) struct Run {
    pub(crate) lines: Vec<(String, u64)>,
}

impl Board {
    /// The image, or what the linker said.
    pub(crate) fn build(&self, program: Program, panics: bool) -> Result<PathBuf, String> {
        let (name, feature) = match program {
            Program::Module => ("module", "module"),
            Program::Firmware => ("detfree-firmware", "board"),
        };
        let features = if panics {
            format!("{feature},panics")
        } else {
            feature.into()
        };
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR"));
        // One build at a time: all leave their images at the same place, from where they are taken.
        let building = BUILDING.lock().unwrap();
        let mut cargo = Command::new(env::var_os("CARGO").unwrap_or("cargo".into()));
        cargo
            .current_dir(env!("CARGO_MANIFEST_DIR"))
            .args([
                "build",
                "--quiet",
                "--locked",
                "--release",
                "--target",
                TARGET,
            ])
            .args(["--bin", name, "--features", &features, "--target-dir"])
            .arg(folder)
            .env("RUSTFLAGS", self.flags);
        // A compiler with the target's library, where the default one has none.
        if let Some(compiler) = env::var_os("CROSS_RUSTC") {
            cargo.env("RUSTC", compiler);
        }
        let Output { status, stderr, .. } = cargo.output().unwrap();
        if !status.success() {
            return Err(String::from_utf8_lossy(&stderr).into_owned());
        }
        let image = folder.join(format!("{}-{features}", self.machine));
        let taken = image.with_extension("new");
        fs::copy(folder.join(TARGET).join("release").join(name), &taken).unwrap();
        // At once, for others may be running the last one.
        fs::rename(taken, &image).unwrap();
        drop(building);
        Ok(image)
    }

    pub(crate) fn run(&self) -> Run {
        let image = self.build(Program::Firmware, false).unwrap();
        let output = Command::new("timeout")
            .args(["60", "qemu-system-arm", "-machine", self.machine])
            .args(["-icount", &format!("shift={SHIFT},sleep=off"), "-nographic"])
            .args(["-semihosting-config", "enable=on,target=native", "-kernel"])
            .arg(image)
            .stdin(Stdio::null())
            .output()
            .unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        assert!(
            output.status.success(),
            "QEMU (qemu-system-arm) must be installed and the firmware succeed: {}\n{text}{}",
            output.status,
            String::from_utf8_lossy(&output.stderr)
        );
        Run::parse(&text)
    }
}

impl Run {
    fn parse(text: &str) -> Self {
        let line = |line: &str| {
            let words: Vec<_> = line.split(' ').collect();
            let value = match words[..] {
                [_, count] => count.parse(),
                [_, decimal, bits] => {
                    let bits = u64::from_str_radix(bits, 16);
                    let exact = f64::from_bits(bits.clone().unwrap());
                    // What people read is what programs read.
                    assert!(
                        (decimal.parse::<f64>().unwrap() - exact).abs() < 1e-6,
                        "{line}"
                    );
                    bits
                }
                _ => panic!("{line}"),
            };
            (words[0].into(), value.unwrap())
        };
        Self {
            lines: text.lines().map(line).collect(),
        }
    }

    pub(crate) fn count(&self, name: &str) -> u64 {
        self.lines.iter().find(|line| line.0 == name).unwrap().1
    }

    pub(crate) fn instructions(&self, name: &str) -> u64 {
        (self.count(name) * TICK_NS) >> SHIFT
    }
}
