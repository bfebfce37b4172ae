// One Adam ascent step of one parameter, as `Adam` of the core.
#pragma once
#include "elementary.cuh"

struct Step {
    real beta1, beta2, rest1, rest2, rate, epsilon;

    DEVICE void ascend(real direction, real& first, real& second, real& parameter) const {
        first = beta1 * first + rest1 * direction;
        second = beta2 * second + rest2 * direction * direction;
        parameter += rate * first / (root(second) + epsilon);
    }
};
