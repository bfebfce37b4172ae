//! Entry points that exist to say no: a program finds the symbol, and an error instead of a panic.

use std::ffi::c_int;

use super::call;
use crate::driver::code::Code;
use crate::driver::failure;

macro_rules! unsupported {
    ($($name:ident, $export:literal;)*) => {$(
        #[unsafe(export_name = $export)]
        extern "C" fn $name() -> c_int {
            call(|_, _| failure(Code::NotSupported, concat!($export, " is not modelled")))
        }
    )*};
}

unsupported! {
    cooperative, "cuLaunchCooperativeKernel";
    managed, "cuMemAllocManaged";
    begin_capture, "cuStreamBeginCapture_v2";
    end_capture, "cuStreamEndCapture";
    instantiate, "cuGraphInstantiateWithFlags";
    launch_graph, "cuGraphLaunch";
    new_context, "cuCtxCreate_v4";
    attach, "cuStreamAttachMemAsync";
    advise, "cuMemAdvise_v2";
    prefetch, "cuMemPrefetchAsync_v2";
    pool, "cuMemPoolCreate";
}
