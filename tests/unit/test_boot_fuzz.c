// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//
// The fuzz target of the loader in every run of the tests: its seed corpus, then the same with a
// few bytes changed or cut, from fixed random numbers, so that a failure repeats.
// The target itself, not a copy.
#include "tests/fuzz/fuzz_loader.c" // NOLINT(bugprone-suspicious-include)

#include "tests/unit/boot_fixture.h"

#include <stdio.h>

#define SEED_MAX 4096u
#define MUTATIONS 20000u

struct seed {
    const char *path;
    bool bootable;
};

static const struct seed seeds[] = {
    {"tests/fuzz/corpus/loader/bzimage", true},
    {"tests/fuzz/corpus/loader/elf", true},
    {"tests/fuzz/corpus/loader/notes", false},
};

static size_t read_seed(const char *path, uint8_t bytes[SEED_MAX])
{
    FILE *file = fopen(path, "r");
    size_t length;

    if (file == NULL)
        fail_msg("no %s: run from the tree's root", path);
    length = fread(bytes, 1, SEED_MAX, file);
    fclose(file);
    return length;
}

static uint32_t next_random(uint32_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 17;
    *state ^= *state << 5;
    return *state;
}

// Values at which sums and comparisons go wrong.
static const uint64_t edges[] = {0,
                                 1,
                                 0x7f,
                                 0xff,
                                 0x200,
                                 0xfff,
                                 0x100000,
                                 0x1000000,
                                 0x4000000,
                                 0x7fffffff,
                                 0xffffffff,
                                 0x100000000,
                                 0x7fffffffffffffff,
                                 UINT64_MAX - 4095,
                                 UINT64_MAX};

static size_t mutate(uint8_t *bytes, size_t length, uint32_t *random)
{
    for (unsigned changes = 1 + next_random(random) % 4; changes > 0; changes--) {
        size_t offset = next_random(random) % length;
        unsigned width = 1u << next_random(random) % 4;
        uint64_t edge = edges[next_random(random) % (sizeof(edges) / sizeof(edges[0]))];

        if (width > length - offset)
            continue;
        if (next_random(random) % 2 == 0)
            edge = next_random(random);
        memcpy(bytes + offset, &edge, width);
    }
    return next_random(random) % 8 == 0 ? next_random(random) % length : length;
}

// The target ends the process when a promise is broken.
static void promises_hold_for_changed_kernels(void **unused)
{
    uint32_t random = 0x2545f491;

    (void)unused;
    for (size_t i = 0; i < sizeof(seeds) / sizeof(seeds[0]); i++) {
        uint8_t seed[SEED_MAX];
        size_t length = read_seed(seeds[i].path, seed);

        LLVMFuzzerTestOneInput(seed, length);
        for (unsigned j = 0; j < MUTATIONS; j++) {
            // An exact heap copy: sanitizers see each byte that is read too far.
            uint8_t bytes[SEED_MAX];
            size_t cut;
            uint8_t *copy;

            memcpy(bytes, seed, length);
            cut = mutate(bytes, length, &random);
            copy = malloc(cut);
            assert_non_null(copy);
            memcpy(copy, bytes, cut);
            LLVMFuzzerTestOneInput(copy, cut);
            free(copy);
        }
    }
}

static void seeds_reach_the_end_of_the_loader(void **unused)
{
    (void)unused;
    for (size_t i = 0; i < sizeof(seeds) / sizeof(seeds[0]); i++) {
        uint8_t bytes[SEED_MAX];
        struct bytes_file file = {.bytes = bytes, .size = read_seed(seeds[i].path, bytes)};
        struct boot_image kernel = bytes_image("kernel", &file);
        struct boot_request request = {
            .memory = fuzz_memory(), .cpus = 1, .cmdline = "", .kernel = &kernel};
        struct boot_failure failure = {{0}};
        struct boot_state state;
        int error = boot_load(&request, &state, &failure);

        if ((error == 0) != seeds[i].bootable)
            fail_msg("%s: %d %s", seeds[i].path, error, failure.text);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(seeds_reach_the_end_of_the_loader),
        cmocka_unit_test(promises_hold_for_changed_kernels),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
