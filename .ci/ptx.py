"""Compiles the CUDA sources of a folder to PTX, compares, assembles. Called by .ci/ptx."""

import ctypes
import pathlib
import re
import subprocess
import sys

# The lowest architecture that the compiler knows and that has independent threads in a warp, and
# the lowest version of PTX that assembles: the drivers since CUDA 9.0 load it.
ARCHITECTURE = "compute_70"
PTX_VERSION = "6.0"
ASSEMBLED_FOR = ["sm_70", "sm_75", "sm_80", "sm_86", "sm_90", "sm_100", "sm_120"]
TYPES = {"f32": "float", "f64": "double"}


def fnv1a(data):
    """The 64-bit hash that a test of the crate compares, too."""
    value = 0xCBF29CE484222325
    for byte in data:
        value = (value ^ byte) * 0x100000001B3 % 2**64
    return value


class Compiler:
    def __init__(self, site):
        folder = pathlib.Path(site) / "nvidia/cuda_nvrtc/lib"
        # The compiler loads its built-ins by name: they must be there already.
        ctypes.CDLL(str(next(folder.glob("libnvrtc-builtins.so.*"))), ctypes.RTLD_GLOBAL)
        self.library = ctypes.CDLL(str(next(folder.glob("libnvrtc.so.*"))))

    def text(self, program, what):
        size = ctypes.c_size_t()
        getattr(self.library, f"nvrtcGet{what}Size")(program, ctypes.byref(size))
        buffer = ctypes.create_string_buffer(size.value)
        getattr(self.library, f"nvrtcGet{what}")(program, buffer)
        return buffer.value.decode()

    def compile(self, source, headers, definitions):
        names = (ctypes.c_char_p * len(headers))(*(h.name.encode() for h in headers))
        texts = (ctypes.c_char_p * len(headers))(*(h.read_bytes() for h in headers))
        options = [
            f"--gpu-architecture={ARCHITECTURE}",
            "--std=c++17",
            "--fmad=false",
            *definitions,
        ]
        options = (ctypes.c_char_p * len(options))(*(o.encode() for o in options))
        program = ctypes.c_void_p()
        self.library.nvrtcCreateProgram(
            ctypes.byref(program), source.read_bytes(), source.name.encode(), len(headers), texts, names
        )
        failed = self.library.nvrtcCompileProgram(program, len(options), options)
        log = self.text(program, "ProgramLog").strip()
        log = "\n".join(l for l in log.splitlines() if "Architectures prior to" not in l)
        if failed or log:
            sys.exit(f"ptx: {source.name} does not compile cleanly:\n{log}")
        return self.text(program, "PTX")


def ptx_of(compiler, source, headers, type_name, real):
    ptx = compiler.compile(source, headers, [f"-DREAL={real}", f"-DTYPE={type_name}"])
    ptx, changed = re.subn(r"^\.version .*$", f".version {PTX_VERSION}", ptx, flags=re.M)
    if changed != 1:
        sys.exit(f"ptx: {source.name}: no line .version in the compiler's output")
    # The compiler's own comments name its build, and a test needs the hash.
    ptx = ptx[ptx.index(".version") :]
    digest = fnv1a(b"".join(path.read_bytes() for path in [*headers, source]))
    return f"// Made from {source.name} by .ci/ptx; sources {digest:016x}\n{ptx}".rstrip("\0\n") + "\n"


def assemble(site, path, cache):
    """Prints what every kernel takes; returns whether nothing spills."""
    ptxas = pathlib.Path(site) / "nvidia/cuda_nvcc/bin/ptxas"
    figures = {}
    clean = True
    for architecture in ASSEMBLED_FOR:
        command = [ptxas, "-v", f"--gpu-name={architecture}", path, "-o", cache / "assembled"]
        run = subprocess.run(command, capture_output=True, text=True)
        if run.returncode:
            sys.exit(f"ptx: {path.name} does not assemble for {architecture}:\n{run.stdout}{run.stderr}")
        kernel = None
        for line in run.stderr.splitlines():
            if found := re.search(r"Compiling entry function '(\w+)'", line):
                kernel = found[1]
            elif found := re.search(r"(\d+) bytes stack frame, (\d+) bytes spill stores", line):
                stack, spilled = int(found[1]), int(found[2])
                if stack or spilled:
                    print(f"{kernel} for {architecture}: {stack} bytes of stack, {spilled} spilled")
                    clean = False
            elif found := re.search(r"Used (\d+) registers", line):
                shared = re.search(r"(\d+) bytes smem", line)
                registers, _ = figures.get(kernel, ([], 0))
                figures[kernel] = ([*registers, found[1]], shared[1] if shared else "0")
    for kernel, (registers, shared) in figures.items():
        print(f"{kernel:26} {' '.join(f'{r:>6}' for r in registers)} {shared:>7}")
    return clean


def main(site, folder, cache, *arguments):
    write = list(arguments) == ["--write"]
    if arguments and not write:
        sys.exit("ptx: the only argument is --write")
    folder, cache = pathlib.Path(folder), pathlib.Path(cache)
    compiler = Compiler(site)
    headers = sorted(folder.glob("*.cuh"))
    stale, made = [], []
    for source in sorted(folder.glob("*.cu")):
        for type_name, real in TYPES.items():
            path = source.with_suffix(f".{type_name}.ptx")
            made.append(path)
            ptx = ptx_of(compiler, source, headers, type_name, real)
            if path.exists() and path.read_text() == ptx:
                continue
            if write:
                path.write_text(ptx)
            else:
                stale.append(path.name)
    orphans = [path for path in folder.glob("*.ptx") if path not in made]
    if write:
        for path in orphans:
            path.unlink()
    else:
        stale += [path.name for path in orphans]
    if stale:
        sys.exit(f"ptx: not what the sources give: {', '.join(sorted(stale))}; run `.ci/ptx --write`")

    print(f"registers of {', '.join(ASSEMBLED_FOR)}, and bytes of shared memory")
    clean = [assemble(site, path, cache) for path in made]
    if not all(clean):
        sys.exit("ptx: kernels spill registers or use a stack: make them smaller")


main(*sys.argv[1:])
