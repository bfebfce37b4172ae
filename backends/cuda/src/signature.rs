//! What a kernel takes, read from its PTX.

/// The type of a kernel's parameter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Parameter {
    U32,
    U64,
    F32,
    F64,
}

/// The parameters of the kernel of this name; `None` where the text has none, or a parameter of
/// another type.
pub(crate) fn parameters(ptx: &str, kernel: &str) -> Option<Vec<Parameter>> {
    let (_, rest) = ptx.split_once(&format!(".entry {kernel}("))?;
    let (list, _) = rest.split_once(')')?;
    list.split(',').map(parameter).collect()
}

fn parameter(declaration: &str) -> Option<Parameter> {
    match declaration.trim().strip_prefix(".param .")?.get(..3)? {
        "u32" => Some(Parameter::U32),
        "u64" => Some(Parameter::U64),
        "f32" => Some(Parameter::F32),
        "f64" => Some(Parameter::F64),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_in_order() {
        let ptx = ".visible .entry f_f32(\n\t.param .u64 f_0,\n\t.param .f32 f_1\n)\n{\n}\n\
                   .visible .entry f(\n\t.param .u32 f_0\n)\n{\n}\n\
                   .visible .entry g(\n\t.param .align 8 .b8 g_0[16]\n)\n";
        let expected = vec![Parameter::U64, Parameter::F32];
        assert_eq!(parameters(ptx, "f_f32"), Some(expected));
        assert_eq!(parameters(ptx, "f"), Some(vec![Parameter::U32]));
        assert_eq!(parameters(ptx, "g"), None);
        assert_eq!(parameters(ptx, "h"), None);
    }
}
