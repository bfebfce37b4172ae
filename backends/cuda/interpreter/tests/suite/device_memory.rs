//! Allocations, copies and launches as a host asks for them.

use detfree_ptx_interpreter::{DeviceError, Geometry, LaunchError, Machine, Options};

use crate::harness::{machine, module};

fn invalid<T: std::fmt::Debug>(result: Result<T, DeviceError>, words: &str) {
    let error = result.unwrap_err();
    assert!(error.to_string().contains(words), "{error}");
}

#[test]
fn allocations_end_where_they_end() {
    let mut machine = machine();
    let memory = machine.allocate(10).unwrap();
    machine.write(memory, &[1; 10]).unwrap();
    invalid(
        machine.write(memory, &[1; 11]),
        "offset 0 of the allocation",
    );
    invalid(machine.write(memory + 5, &[1; 6]), "which has 10 bytes");
    invalid(machine.fill(memory - 1, 0, 1), "offset -1");
    invalid(
        machine.read(memory + 10, 1).map(<[u8]>::to_vec),
        "offset 10",
    );
    invalid(machine.read(77, 1).map(<[u8]>::to_vec), "no allocation");
    assert_eq!(machine.read(memory + 9, 1).unwrap(), [1]);
}

#[test]
fn frees_are_checked() {
    let mut machine = machine();
    let memory = machine.allocate(10).unwrap();
    invalid(
        machine.free(memory + 1),
        "no address that an allocation returned",
    );
    invalid(machine.free(12345), "no address");
    assert_eq!(machine.leaks(), [(memory, 10)]);
    machine.free(memory).unwrap();
    assert!(machine.leaks().is_empty());
    invalid(machine.free(memory), "a second time");
    invalid(machine.write(memory, &[1]), "has been freed");
    assert_ne!(
        machine.allocate(10).unwrap(),
        memory,
        "addresses are not used again"
    );
}

#[test]
fn memory_runs_out_and_comes_back() {
    let mut machine = Machine::new(Options {
        memory: 100,
        ..Options::default()
    });
    let memory = machine.allocate(60).unwrap();
    assert_eq!(machine.memory(), (40, 100));
    let error = machine.allocate(41).unwrap_err();
    assert_eq!(
        error,
        DeviceError::OutOfMemory {
            asked: 41,
            left: 40
        }
    );
    machine.free(memory).unwrap();
    machine.allocate(100).unwrap();
    invalid(Machine::new(Options::default()).allocate(0), "no bytes");
}

#[test]
fn what_holds_nothing_stays_so_through_copies() {
    let mut machine = machine();
    let (from, to) = (
        machine.allocate(200).unwrap(),
        machine.allocate(200).unwrap(),
    );
    machine.fill(from, 7, 130).unwrap();
    machine.fill(to, 1, 200).unwrap();
    machine.copy(to, from, 200).unwrap();
    assert_eq!(machine.read(to, 130).unwrap(), [7; 130]);
    invalid(machine.read(to, 131).map(<[u8]>::to_vec), "reads byte 130");
    invalid(machine.copy(from, from + 10, 20), "overlap");
    machine.copy(from + 150, from, 50).unwrap();
    assert_eq!(machine.read(from + 150, 50).unwrap(), [7; 50]);
}

#[test]
fn launches_that_a_driver_refuses() {
    let body = ".shared .align 4 .b8 s[1024];\nret;";
    let mut machine = machine();
    let text =
        module(".param .u64 a, .param .u32 b", body).replace("b)\n", "b)\n.maxntid 256, 1, 1\n");
    let loaded = machine.load(&text).unwrap();
    let kernel = loaded.function("k").unwrap();
    let arguments: [&[u8]; 2] = [&[0; 8], &[0; 4]];
    let mut refused = |grid, block, shared_bytes, arguments: &[&[u8]], words: &str| {
        let geometry = Geometry {
            grid,
            block,
            shared_bytes,
        };
        match machine.launch(kernel, geometry, arguments) {
            Err(LaunchError::Refused(message)) if message.contains(words) => {}
            other => panic!("{words}: {other:?}"),
        }
    };
    refused([0, 1, 1], [1, 1, 1], 0, &arguments, "a grid of");
    refused([1, 65536, 1], [1, 1, 1], 0, &arguments, "a grid of");
    refused([1, 1, 1], [32, 0, 1], 0, &arguments, "a block of");
    refused([1, 1, 1], [1, 1, 65], 0, &arguments, "a block of");
    refused([1, 1, 1], [64, 32, 1], 0, &arguments, "2048 threads");
    refused(
        [1, 1, 1],
        [257, 1, 1],
        0,
        &arguments,
        "the kernel allows 256",
    );
    refused([1, 1, 1], [1, 1, 1], 48 << 10, &arguments, "shared memory");
    refused([1, 1, 1], [1, 1, 1], 0, &arguments[..1], "1 arguments");
    refused(
        [1, 1, 1],
        [1, 1, 1],
        0,
        &[&[0; 8], &[0; 8]],
        "8 bytes for the parameter `b`",
    );
    let geometry = Geometry {
        grid: [1; 3],
        block: [256, 1, 1],
        shared_bytes: 47 << 10,
    };
    machine.launch(kernel, geometry, &arguments).unwrap();
}

#[test]
fn variables_of_a_module_go_with_it() {
    let text = module("", "ret;").replace(
        ".visible",
        ".global .align 4 .b32 numbers[5] = {1, 2};\n.visible",
    );
    let mut machine = machine();
    let free = machine.memory().0;
    let loaded = machine.load(&text).unwrap();
    let (address, bytes) = loaded.variable("numbers").unwrap();
    assert_eq!(bytes, 20);
    assert_eq!(
        machine.read(address, 9).unwrap(),
        [1, 0, 0, 0, 2, 0, 0, 0, 0]
    );
    assert!(machine.leaks().is_empty(), "they are not the program's");
    machine.unload(&loaded);
    assert_eq!(machine.memory().0, free);
    // A module that fails to load leaves nothing behind.
    assert!(machine.load(&text.replace("ret;", "frob;")).is_err());
    assert_eq!(machine.memory().0, free);
}
