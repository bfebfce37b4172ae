/* A program around the library: what it computes is right, and what it is asked in error it
 * refuses. Linking it fails where the library has an undefined symbol: a panic path. */
#include <float.h>
#include <math.h>
#include <stdint.h>
#include <stdio.h>

struct operands {
    size_t rows[2], dims[2], start, end;
    uint32_t fill;
    uint64_t seed;
};

double detfree_log_det_f32(uint32_t law, uint32_t probe, size_t rows, size_t dim, uint64_t seed);
double detfree_log_det_f64(uint32_t law, uint32_t probe, size_t rows, size_t dim, uint64_t seed);
double detfree_gradient_f32(size_t rows, size_t dim, uint64_t seed);
double detfree_gradient_f64(size_t rows, size_t dim, uint64_t seed);
double detfree_step_f32(uint32_t side, size_t rows, size_t dim, double mu, uint64_t seed);
double detfree_step_f64(uint32_t side, size_t rows, size_t dim, double mu, uint64_t seed);
double detfree_primitives_f32(const struct operands *operands);
double detfree_primitives_f64(const struct operands *operands);
double detfree_activation_f32(uint32_t kind, double alpha, double beta, double x);
double detfree_activation_f64(uint32_t kind, double alpha, double beta, double x);
double detfree_quantile(uint32_t kind, double u);
double detfree_draws(uint64_t seed, uint64_t row, uint32_t column, size_t bound);

static int failures;

/* NaN fails. */
static void at_most(const char *what, double x, double bound) {
    if (!(x <= bound)) {
        failures++;
        fprintf(stderr, "%s: %g, at most %g expected\n", what, x, bound);
    }
}

static void refused(const char *what, double x) {
    if (!isnan(x)) {
        failures++;
        fprintf(stderr, "%s: %g where an error was expected\n", what, x);
    }
}

static void log_determinants(void) {
    /* 72 estimates: 5 standard errors have probability 6e-7 each. */
    for (uint32_t law = 0; law < 4; law++)
        for (uint32_t probe = 0; probe < 3; probe++)
            for (uint64_t seed = 0; seed < 3; seed++) {
                uint32_t terms = law == 3 ? 60 : law;
                at_most("log det f32", fabs(detfree_log_det_f32(terms, probe, 8, 5, seed)), 5);
                at_most("log det f64", fabs(detfree_log_det_f64(terms, probe, 8, 8, seed)), 5);
            }
    /* Sums of up to 64 products of numbers below 2.5, the norm of (I + W)^-1. */
    for (size_t dim = 1; dim <= 8; dim++) {
        at_most("gradient f32", detfree_gradient_f32(8, dim, dim), 200 * FLT_EPSILON);
        at_most("gradient f64", detfree_gradient_f64(8, dim, dim), 200 * DBL_EPSILON);
    }
    refused("a batch too large", detfree_log_det_f32(0, 0, 9, 8, 0));
    refused("a batch without rows", detfree_log_det_f64(0, 0, 0, 8, 0));
    refused("a matrix too large", detfree_gradient_f64(1, SIZE_MAX, 0));
}

static void steps(void) {
    /* Fewer rows than columns and more; the condition numbers are below 100. */
    for (uint32_t side = 0; side < 2; side++)
        for (size_t rows = 1; rows <= 10; rows += 3)
            for (size_t dim = 1; dim <= 6; dim++) {
                at_most("step f32", detfree_step_f32(side, rows, dim, 0.2, dim), 2000 * FLT_EPSILON);
                at_most("step f64", detfree_step_f64(side, rows, dim, 0.2, dim), 2000 * DBL_EPSILON);
            }
    refused("a step that is not a number", detfree_step_f32(0, 4, 4, NAN, 0));
    refused("a layer too large", detfree_step_f64(0, 4, 9, 0.2, 0));
}

static void elements(void) {
    for (uint32_t kind = 0; kind < 7; kind++)
        for (double x = -8; x <= 8; x += 0.37) {
            at_most("activation f32", detfree_activation_f32(kind, 0.3, 0.2, x), 1000 * FLT_EPSILON);
            at_most("activation f64", detfree_activation_f64(kind, 0.3, 0.2, x), 1000 * DBL_EPSILON);
        }
    refused("a slope that is not positive", detfree_activation_f64(1, 0, 0, 1));
    for (uint32_t kind = 0; kind < 3; kind++)
        at_most("median", fabs(detfree_quantile(kind, 0.5)), 0);
    at_most("a draw", fabs(detfree_draws(1, 2, 3, 10)), 40);
}

/* Shapes and ranges that do not fit: it is enough that every call returns. */
static void primitives(void) {
    const size_t sizes[] = {1, 2, 7, 8}, ends[] = {0, 1, 5, 9, SIZE_MAX / 2, SIZE_MAX};
    for (int i = 0; i < 4 * 4 * 4 * 4 * 6 * 6; i++) {
        struct operands x = {{sizes[i & 3], sizes[i >> 2 & 3]},
                             {sizes[i >> 4 & 3], sizes[i >> 6 & 3]},
                             ends[i / 256 % 6],
                             ends[i / 256 / 6],
                             (uint32_t)i % 7,
                             (uint64_t)i};
        detfree_primitives_f32(&x);
        detfree_primitives_f64(&x);
    }
}

int main(void) {
    log_determinants();
    steps();
    elements();
    primitives();
    return failures != 0;
}
