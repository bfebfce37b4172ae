//! Wrong backends, and the check that says so.

use detfree_testsuite::{Check, basic_checks, dense_checks, flow_checks};

use crate::wrong::Mutation::{self, *};
use crate::wrong::Wrong;

fn checks() -> Vec<Check<Wrong>> {
    let mut all = basic_checks();
    all.extend(dense_checks());
    all.extend(flow_checks());
    all
}

/// Every mutation with one check, at least, that must reject it.
const CONTROLS: &[(Mutation, &str)] = &[
    (ConstantsInSinglePrecision, "fills::constants"),
    (UploadLosesTheLast, "primitives::shapes_and_transfers"),
    (DotRowsDependsOnTiming, "shards::run_to_run"),
    (ApplyIgnoresOp, "series::exact_probes_on_a_matrix"),
    (FillIgnoresFirstRow, "fills::signs"),
    (FillIgnoresFirstRow, "shards::one_piece"),
    (FillCountsRowsIn32Bits, "fills::signs"),
    (FillCountsRowsIn32Bits, "fills::normals"),
    (FillIgnoresScale, "fills::signs"),
    (FillIgnoresScale, "series::certified_samples"),
    (FillFlipsSigns, "fills::signs"),
    (FillFlipsSignsFromColumn512, "fills::signs"),
    (WalshIgnoresIndex, "fills::walsh"),
    (BasisIsTheFirst, "fills::unit_vectors"),
    (BasisIsTheFirst, "series::exact_probes"),
    (CopyLeavesTheLastRow, "primitives::copy"),
    (AxpyOverAllRows, "primitives::axpy"),
    (AxpySkipsTheLastRow, "primitives::axpy"),
    (AxpySkipsTheLastRow, "series::enumerated"),
    (AxpyWithoutA, "primitives::axpy"),
    (DotRowsOverwrites, "primitives::dot_rows"),
    (DotRowsOverwrites, "series::enumerated"),
    (DotRowsIn32Bits, "primitives::dot_rows"),
    (DotRowsOffByOne, "primitives::dot_rows"),
    (DotRowsOffByOne, "series::enumerated_per_row"),
    (DotRowsOffByOne, "series::rows_run_their_own_terms"),
    (
        ScaleRowsByTheFirst,
        "primitives::row_results_scale_and_fill",
    ),
    (ScaleRowsByTheFirst, "series::exact_probes"),
    (
        FillRowsLeavesTheLast,
        "primitives::row_results_scale_and_fill",
    ),
    (
        FillRowsInSinglePrecision,
        "primitives::row_results_scale_and_fill",
    ),
    (ShardsBackwardsAndTwice, "shards::one_piece"),
    (ShardErrorsSwallowed, "shards::first_error"),
    (ShardsReturnTheLastError, "shards::first_error"),
    (ApplyIgnoresOp, "products::apply"),
    (ApplyIgnoresOp, "matrix::products"),
    (ApplyIgnoresOp, "series::enumerated_on_a_matrix"),
    (ApplyAddsAsSet, "products::apply"),
    (ApplyReadsWhatItWrites, "products::apply"),
    (ApplyReadsWhatItWrites, "matrix::products"),
    (ApplyOverAllRows, "products::apply"),
    (ApplyOverAllRows, "matrix::products"),
    (ApplyDependsOnTiming, "repetition::of_products"),
    (OuterSwapsItsOperands, "products::outer"),
    (OuterSwapsItsOperands, "series::enumerated_on_a_matrix"),
    (OuterOverAllRows, "products::outer"),
    (OuterIgnoresA, "products::outer"),
    (SumRowsIgnoresA, "products::sum_rows"),
    (SumRowsIgnoresTheSign, "products::sum_rows"),
    (SumRowsReadsWhatItWrites, "products::sum_rows"),
    (HadamardSets, "products::hadamard"),
    (ScaleShiftWithoutShift, "products::scale_shift"),
    (AddBiasToTheFirstRow, "products::add_bias"),
    (TransposeCopies, "products::transpose"),
    (TransposeCopiesSquares, "products::transpose"),
    (LogDetWithoutSign, "factorisations::log_abs_det"),
    (
        LogDetOfSingularIsFinite,
        "factorisations::singular_is_refused",
    ),
    (LogDetOfTheProductOfPivots, "factorisations::log_abs_det"),
    (LogDetWithoutPivoting, "factorisations::log_abs_det"),
    (SolveIgnoresOp, "factorisations::solve"),
    (SolveTheFirstOf64, "factorisations::solve"),
    (SolveAcceptsSingular, "factorisations::singular_is_refused"),
    (DefiniteByDeterminant, "factorisations::definiteness"),
    (
        DefiniteByDeterminant,
        "relative::guard_on_an_even_number_of_crossings",
    ),
    (DefiniteByOneTriangle, "factorisations::definiteness"),
    (ActivateWithoutBias, "flow::bias_activate"),
    (ActivateClamped, "flow::bias_activate"),
    (BijectionClamped, "flow::bijection"),
    (DensityClamped, "flow::base_density"),
    (InverseClamped, "flow::inverse_bijection"),
    (ActivateHalvesTheSecondDerivative, "flow::bias_activate"),
    (BijectionLogNotAccumulated, "flow::bijection"),
    (BijectionScoreIsSecondDerivative, "flow::bijection"),
    (ForwardLayerWithoutBias, "layers::forward"),
    (BijectionLogNotAccumulated, "layers::forward"),
    (BackwardLayerWithoutTheLastRow, "layers::backward"),
    (ScaleShiftWithoutShift, "layers::backward"),
    (WeightDirectionWithoutTheWeight, "layers::direction"),
    (ApplyIgnoresOp, "layers::direction"),
    (InverseWithoutBias, "flow::inverse_bijection"),
    (DensityLogNotAccumulated, "flow::base_density"),
    (DensityScoreOfOtherSign, "flow::base_density"),
    (ScaleRowsIgnored, "series::exact_probes"),
    (ScaleRowsIgnored, "series::exact_first_trace"),
    (AxpySkipsTheLastRow, "series::exact_first_trace"),
    (DotRowsOverwrites, "series::variance"),
    (NormalsInSinglePrecision, "fills::normals"),
    (OuterIgnoresA, "relative::direction"),
    (OuterSwapsItsOperands, "relative::direction"),
    (ApplyIgnoresOp, "relative::direction"),
    (OuterIgnoresA, "relative::tracking"),
    (ApplyIgnoresOp, "relative::tracking"),
    (AdamWithoutEpsilon, "flow::adam"),
    (AdamDescends, "flow::adam"),
    (AdamWithConstantDecays, "flow::adam"),
    (RelativeAdamWithoutTheWeight, "flow::relative_adam"),
    (BijectionOnlyWithLog, "flow::bijection"),
    (ApplyToBothTakesOneTwice, "products::apply_to_both"),
    (ChainWithoutScales, "chain::of_products"),
    (ChainScalesByTheFirstRows, "chain::of_products"),
    (ChainOverAllRows, "chain::of_products"),
    (ChainIgnoresOp, "chain::of_products"),
    (ApplyIgnoresOp, "chain::of_products"),
    (FlushOverAllRows, "primitives::flush_tiny"),
    (FlushOfWhatIsNotTiny, "primitives::flush_tiny"),
    (AxpyIndexes, "contracts::primitives"),
    (ApplyIndexes, "contracts::products"),
    (BijectionIndexes, "contracts::flow_passes"),
    (ApplyOverAllRows, "nets::products"),
    (ChainWithoutScales, "nets::products"),
    (AddBiasToTheFirstRow, "nets::products"),
    (
        ActivateHalvesTheSecondDerivative,
        "nets::log_det_and_gradient",
    ),
    (HadamardSets, "nets::log_det_and_gradient"),
    (ScaleRowsIgnored, "nets::log_det_and_gradient"),
    (ScaleRowsByTheFirst, "nets::log_det_and_gradient"),
    (TransposeCopies, "nets::exact_first_trace"),
    (ActivateHalvesTheSecondDerivative, "nets::exact_first_trace"),
    (ScaleRowsIgnored, "nets::exact_first_trace"),
    (AdamDescends, "training::steps"),
    (DensityScoreOfOtherSign, "training::steps"),
    (BijectionScoreIsSecondDerivative, "training::steps"),
    (BijectionLogNotAccumulated, "training::guarded_steps"),
    (DefiniteByDeterminant, "training::guarded_steps"),
    (ApplyDependsOnTiming, "training::run_to_run"),
    (ScaleShiftWithoutShift, "residual::exact_gradients"),
    (
        ActivateHalvesTheSecondDerivative,
        "residual::exact_gradients",
    ),
    (ScaleRowsIgnored, "residual::exact_gradients"),
    (ChainWithoutScales, "residual::exact_gradients"),
    (DotRowsOffByOne, "residual::roulette_gradients"),
    (AddBiasToTheFirstRow, "residual::samples"),
    (ApplyDependsOnTiming, "residual::run_to_run"),
];

#[test]
fn every_mutation_is_rejected_by_name() {
    let checks = checks();
    let mut missed = Vec::new();
    for &(mutation, name) in CONTROLS {
        let check = checks.iter().find(|check| check.name() == name);
        let check = check.unwrap();
        for check in [*check, check.in_brief()] {
            if check.run(&Wrong::with(mutation)).is_ok() {
                missed.push((mutation, name));
            }
        }
    }
    assert!(missed.is_empty(), "these pass: {missed:?}");
}

/// New check, new control.
#[test]
fn every_check_has_a_control() {
    for check in checks() {
        let controlled = CONTROLS.iter().any(|(_, name)| *name == check.name());
        assert!(controlled, "{check:?} rejects nothing");
    }
}

/// Without it the controls could fail for the wrapper's sake.
#[test]
fn without_a_mutation_everything_passes() {
    for check in checks() {
        for check in [check, check.in_brief()] {
            let outcome = check.run(&Wrong::with(None));
            assert_eq!(outcome, Ok(()), "{check:?}");
        }
    }
}
