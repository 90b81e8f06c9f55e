// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//
// A small assembler for seccomp filters. Programs are written backwards, last instruction first,
// because classic BPF only jumps forwards: every target is known when a jump to it is written.
#pragma once

#include "jail/policy/model.h"

struct emitter {
    struct sock_filter *code; // reversed
    size_t count, capacity;
    int error; // -ENOMEM, or -E2BIG beyond BPF_MAXINSNS
};

// A place in the program: the number of instructions from there to its end.
typedef size_t place;

void emitter_clear(struct emitter *emitter);
// Writes one instruction without jumps; returns its place.
place emit(struct emitter *emitter, uint16_t code, uint32_t k);
// Writes a conditional jump with targets at any distance; returns the place where it begins.
place emit_branch(struct emitter *emitter, uint16_t code, uint32_t k, place if_true,
                  place if_false);
// Writes the test of one atom or expression; returns where it begins.
place emit_atom(struct emitter *emitter, const struct atom *atom, place if_true, place if_false);
place emit_expression(struct emitter *emitter, const struct policy *policy, uint32_t root,
                      place if_true, place if_false);
