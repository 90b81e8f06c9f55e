# SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
#
# One non-recursive Makefile; everything it makes is below build/. `make help` lists the targets.
MAKEFLAGS += --no-builtin-rules --no-print-directory
.SUFFIXES:
.DELETE_ON_ERROR:
SHELL := /bin/bash

CC ?= gcc
ifeq ($(CC),cc)
CC := gcc
endif
SAN ?=
# V=1 shows the commands.
Q := $(if $(V),,@)
say := @printf '  %-5s %s\n'
PREFIX ?= /usr/local
DESTDIR ?=
VERSION := 0.1.0

# A sanitizer or coverage build has a tree of its own, since its objects are others.
comma := ,
B := build$(if $(SAN),/san-$(subst $(comma),-,$(SAN)))$(if $(COVERAGE),/coverage)

CPPFLAGS := -I. -I$(B)/gen -D_GNU_SOURCE -DBULKHEAD_VERSION='"$(VERSION)"' \
	-DBULKHEAD_LIBEXEC='"$(PREFIX)/libexec/bulkhead"'
WARN := -Wall -Wextra -Werror -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wvla -Wformat=2 \
	-Wundef -Wpointer-arith -Wwrite-strings -Wno-unused-parameter
HARDEN := -fstack-protector-strong -fstack-clash-protection -fcf-protection=full \
	-D_FORTIFY_SOURCE=2
# clang 14 has this flag behind another that it calls perilous.
HARDEN += $(if $(findstring clang,$(CC)),,-ftrivial-auto-var-init=zero)
CFLAGS := -std=gnu11 -O2 -g -fPIE -ffunction-sections -fdata-sections -fno-strict-aliasing -fno-common \
	$(WARN) $(HARDEN)
LDFLAGS := -Wl,-z,relro,-z,now,-z,noexecstack,--gc-sections,--as-needed
ifneq ($(SAN),)
# Sanitizers need a dynamic program and memory of their own after lock-down: see jail/.
CFLAGS := $(filter-out -D_FORTIFY_SOURCE=2,$(CFLAGS)) -fsanitize=$(SAN) -fno-omit-frame-pointer -O1
CPPFLAGS += -DBULKHEAD_SANITIZE
LDFLAGS += -fsanitize=$(SAN)
STATIC := -pie
else
STATIC := -static-pie
endif
ifneq ($(COVERAGE),)
CFLAGS := $(filter-out -O2,$(CFLAGS)) -O1 --coverage
LDFLAGS += --coverage
endif

PROTOS := device warden
GEN_H := $(PROTOS:%=$(B)/gen/proto/%.pb.h)

# Libraries: each folder is one archive.
LIBDIRS := ipc memory jail jail/policy vcpu vcpu/x86_64 main/machine main/boot main/config
src = $(wildcard $(1)/*.c)
obj = $(patsubst %.c,$(B)/obj/%.o,$(1))
lib = $(B)/lib/$(subst /,_,$(1)).a
PROTO_LIB := $(B)/lib/proto.a

# Programs.
WARDEN_SRC := $(wildcard main/bulkhead.c main/cmd_*.c main/warden*.c main/policy/*.c main/process_*.c) devices/registry.c
COORDINATOR_SRC := $(wildcard main/coordinator*.c main/supervisor*.c) devices/registry.c
DEVICE_DIRS := $(patsubst %/,%,$(dir $(wildcard devices/*/*.c)))
DEVICES := $(sort $(notdir $(DEVICE_DIRS)))
# What a jailed process applies to itself.
LOCKDOWN := $(B)/obj/jail/lockdown.o $(B)/obj/jail/startup_pages.o \
	$(if $(SAN),$(B)/obj/jail/sanitizer_options.o)
LIBEXEC := coordinator loader $(DEVICES)
PROGRAMS := $(B)/bulkhead $(LIBEXEC:%=$(B)/libexec/%)

.SECONDARY:
.PHONY: all help
all: $(PROGRAMS)
help:
	@sed -n 's/^## //p' Makefile

## make               build everything below build/
## make demo          boot a real Debian guest on jailed devices and show it
## make demo-shell    the same with a login shell in this terminal
## make check         all tests (check-unit check-device check-vm), lint included
## make check-fresh   the README's commands in a minimal Debian root
## make fuzz          every fuzz target, FUZZ_SECONDS=60 each (clang)
## make lint          format, static analysis and the project's own rules
## make bench         figures beside QEMU and fio, in counted time (bench-quick: ordinary time)
## make install       PREFIX=/usr/local DESTDIR=
## make clean         remove build/ but its cache of packages and images

# --- generated code ---------------------------------------------------------------------------
$(B)/gen/proto/%.pb.c $(B)/gen/proto/%.pb.h &: proto/%.proto proto/%.options
	@mkdir -p $(B)/gen/proto
	$(say) GEN $@
	$(Q)cd proto && protoc --nanopb_out="-I . -D ../$(B)/gen/proto:../$(B)/gen/proto" $*.proto

$(B)/obj/gen/%.o: $(B)/gen/%.c
	@mkdir -p $(@D)
	$(say) CC $<
	$(Q)$(CC) $(CPPFLAGS) $(CFLAGS) -MMD -MP -c $< -o $@

$(PROTO_LIB): $(PROTOS:%=$(B)/obj/gen/proto/%.pb.o)
	@mkdir -p $(@D)
	@rm -f $@
	$(Q)ar crs $@ $^

# Names that policies may use; then the policies themselves, each with the filter that it compiles to.
POLICY_TABLES := $(B)/gen/policy_constants.inc $(B)/gen/policy_calls.inc
POLICIES := $(sort $(wildcard policies/x86_64/*.policy))
$(POLICY_TABLES) &: jail/policy/constants.sh jail/policy/constants.list
	$(say) GEN $@
	$(Q)jail/policy/constants.sh $(B)/gen
$(B)/obj/jail/policy/constants.o $(B)/obj/jail/policy/names.o: $(POLICY_TABLES)
$(B)/tools/policy_embed: $(B)/obj/jail/policy/embed/embed.o \
		$(filter-out %/builtin.o,$(call obj,$(call src,jail/policy)))
	@mkdir -p $(@D)
	$(say) LD $@
	$(Q)$(CC) $(CFLAGS) $(LDFLAGS) -pie $^ -lseccomp -o $@
$(B)/gen/policy_builtin.inc: $(B)/tools/policy_embed $(POLICIES)
	$(say) GEN $@
	$(Q)$(B)/tools/policy_embed $@ $(POLICIES)
$(B)/obj/jail/policy/builtin.o: $(B)/gen/policy_builtin.inc

# --- objects and libraries --------------------------------------------------------------------
$(B)/obj/%.o: %.c | $(GEN_H)
	@mkdir -p $(@D)
	$(say) CC $<
	$(Q)$(CC) $(CPPFLAGS) $(CFLAGS) -MMD -MP -c $< -o $@

define library
$(call lib,$(1)): $(call obj,$(call src,$(1)))
	@mkdir -p $$(@D)
	@rm -f $$@
	$(Q)ar crs $$@ $$^
endef
$(foreach dir,$(LIBDIRS),$(eval $(call library,$(dir))))

libs = $(foreach dir,$(1),$(call lib,$(dir))) $(PROTO_LIB)

# --- programs ---------------------------------------------------------------------------------
WARDEN_LIBS := $(call libs,main/config jail jail/policy memory ipc)
$(B)/bulkhead: $(call obj,$(WARDEN_SRC)) $(WARDEN_LIBS)
	$(say) LINK $@
	$(Q)$(CC) $(CFLAGS) $(LDFLAGS) -pie $(filter %.o,$^) -Wl,--start-group $(filter %.a,$^) -Wl,--end-group \
		-lprotobuf-nanopb -lseccomp -lcyaml -lyaml -o $@

COORDINATOR_LIBS := $(call libs,main/machine vcpu vcpu/x86_64 memory ipc)
$(B)/libexec/coordinator: $(call obj,$(COORDINATOR_SRC)) $(LOCKDOWN) $(COORDINATOR_LIBS)
	@mkdir -p $(@D)
	$(say) LINK $@
	$(Q)$(CC) $(CFLAGS) $(LDFLAGS) $(STATIC) $(filter %.o,$^) -Wl,--start-group $(filter %.a,$^) -Wl,--end-group \
		-lprotobuf-nanopb -pthread -o $@

LOADER_LIBS := $(call libs,main/boot memory ipc)
$(B)/libexec/loader: $(LOCKDOWN) $(LOADER_LIBS)
	@mkdir -p $(@D)
	$(say) LINK $@
	$(Q)$(CC) $(CFLAGS) $(LDFLAGS) $(STATIC) -Wl,--whole-archive $(call lib,main/boot) -Wl,--no-whole-archive \
		$(filter %.o,$^) -Wl,--start-group $(filter %.a,$^) -Wl,--end-group -lprotobuf-nanopb -o $@

# The shared liburing 2.3 does not export all that its header declares.
LIBS_block := -l:liburing.a -pthread
define device
$(B)/libexec/$(1): $(call obj,$(wildcard devices/$(1)/*.c) devices/device_main.c devices/device_transport.c devices/terminal.c \
		devices/registry.c) \
		$(LOCKDOWN) $(call libs,memory ipc)
	@mkdir -p $$(@D)
	$(say) LINK $$@
	$(Q)$$(CC) $$(CFLAGS) $$(LDFLAGS) $$(STATIC) $$(filter %.o,$$^) -Wl,--start-group $$(filter %.a,$$^) -Wl,--end-group \
		$$(LIBS_$(1)) -lprotobuf-nanopb -o $$@
endef
$(foreach name,$(DEVICES),$(eval $(call device,$(name))))

-include $(shell find $(B)/obj -name '*.d' 2>/dev/null)

# --- tests ------------------------------------------------------------------------------------
TEST_LIBS := $(call libs,main/machine main/boot main/config vcpu vcpu/x86_64 jail jail/policy memory ipc)
TEST_LINK := -lcmocka -lprotobuf-nanopb -lseccomp -lcyaml -lyaml -luring -pthread
UNIT_TESTS := $(patsubst tests/unit/%.c,$(B)/test/unit/%,$(wildcard tests/unit/test_*.c))
DEVICE_TESTS := $(patsubst tests/device/%.c,$(B)/test/device/%,$(wildcard tests/device/test_*.c))
VM_TESTS := $(wildcard tests/vm/test_*)
UNIT_SHARED := $(B)/obj/tests/unit/scripted_hypervisor.o $(B)/obj/devices/registry.o \
	$(B)/obj/devices/terminal.o $(call obj,$(wildcard main/process_filter*.c))
DEVICE_SHARED := $(call obj,$(filter-out tests/device/test_%.c,$(wildcard tests/device/*.c)))

$(B)/test/jail_probe: $(B)/obj/tests/unit/jail_probe.o $(LOCKDOWN)
	@mkdir -p $(@D)
	$(say) LINK $@
	$(Q)$(CC) $(CFLAGS) $(LDFLAGS) $(STATIC) $^ -pthread -o $@

$(B)/test/unit/%: $(B)/obj/tests/unit/%.o $(UNIT_SHARED) $(TEST_LIBS)
	@mkdir -p $(@D)
	$(say) LINK $@
	$(Q)$(CC) $(CFLAGS) $(LDFLAGS) -pie $(filter %.o,$^) -Wl,--start-group $(filter %.a,$^) -Wl,--end-group \
		$(TEST_LINK) -o $@

$(B)/test/device/%: $(B)/obj/tests/device/%.o $(DEVICE_SHARED) $(TEST_LIBS)
	@mkdir -p $(@D)
	$(say) LINK $@
	$(Q)$(CC) $(CFLAGS) $(LDFLAGS) -pie $(filter %.o,$^) -Wl,--start-group $(filter %.a,$^) -Wl,--end-group \
		$(TEST_LINK) -o $@

# Micro guests on a real KVM; tests/vm/test_vcpu runs them.
VM_PROGRAMS := $(B)/test/guest/kvm_smoke
$(B)/test/guest/kvm_smoke: $(call obj,$(wildcard tests/guest/*.c)) $(TEST_LIBS)
	@mkdir -p $(@D)
	$(say) LINK $@
	$(Q)$(CC) $(CFLAGS) $(LDFLAGS) -pie $(filter %.o,$^) -Wl,--start-group $(filter %.a,$^) -Wl,--end-group \
		$(TEST_LINK) -o $@

.PHONY: check check-unit check-device check-vm check-fresh lint install clean demo demo-shell \
	bench bench-quick packages-build packages-test packages-demo packages-bench
packages-build:
	@./install-packages build
packages-test: packages-build
	@./install-packages test guest bench
packages-demo: packages-build
	@./install-packages guest
packages-bench: packages-build
	@./install-packages guest bench

# Packages first, in a make of its own: what they bring is looked for when the Makefile is read.
demo demo-shell: packages-demo
	@$(MAKE) all
	@demo/run $(if $(filter demo-shell,$@),--shell)

check: packages-test
	@$(MAKE) all
	@tests/check

check-unit: $(UNIT_TESTS) $(B)/test/jail_probe $(B)/bulkhead
	@tests/run $(B)/log/unit $(UNIT_TESTS)
check-device: all $(DEVICE_TESTS)
	@tests/run $(B)/log/device $(DEVICE_TESTS)
check-vm: all $(VM_PROGRAMS)
	@tests/run $(B)/log/vm $(VM_TESTS)
lint: all
	@tests/run $(B)/log/lint tests/lint/run
check-fresh:
	@tests/run $(B)/log/fresh tests/fresh/run

bench bench-quick: packages-bench
	@$(MAKE) all
	@tests/bench/run $(if $(filter bench-quick,$@),--quick)

MANUALS := $(wildcard docs/*.1 docs/*.5)
install: all
	install -d $(DESTDIR)$(PREFIX)/bin $(DESTDIR)$(PREFIX)/libexec/bulkhead \
		$(DESTDIR)$(PREFIX)/share/man/man1 $(DESTDIR)$(PREFIX)/share/man/man5 \
		$(DESTDIR)$(PREFIX)/share/bulkhead/policies
	install -m 755 $(B)/bulkhead $(DESTDIR)$(PREFIX)/bin/
	install -m 755 $(LIBEXEC:%=$(B)/libexec/%) $(DESTDIR)$(PREFIX)/libexec/bulkhead/
	install -m 644 $(POLICIES) $(DESTDIR)$(PREFIX)/share/bulkhead/policies/
	install -m 644 $(filter %.1,$(MANUALS)) $(DESTDIR)$(PREFIX)/share/man/man1/
	install -m 644 $(filter %.5,$(MANUALS)) $(DESTDIR)$(PREFIX)/share/man/man5/

clean:
	rm -rf $(filter-out build/cache,$(wildcard build/*))
# --- fuzz targets ---------------------------------------------------------------------------------
# make fuzz builds them all with clang; FUZZ_SECONDS=60 runs each so long from its corpus.
FUZZ := $(patsubst tests/fuzz/%.c,%,$(wildcard tests/fuzz/fuzz_*.c))
FUZZ_SAN := fuzzer-no-link,address,undefined
FUZZ_block := $(call obj,devices/block/block.c devices/block/request.c)
FUZZ_console := $(call obj,$(wildcard devices/console/*.c) devices/terminal.c)
FUZZ_serial := $(call obj,devices/serial/serial.c devices/terminal.c)
FUZZ_channel := $(call obj,devices/rng/rng.c main/supervisor.c main/supervisor_posts.c main/warden_life.c)
FUZZ_SHARED := $(B)/obj/tests/unit/scripted_hypervisor.o $(B)/obj/devices/registry.o
FUZZ_DEVICE := $(B)/obj/devices/device_transport.o
$(B)/fuzz/fuzz_%: $(B)/obj/tests/fuzz/fuzz_%.o $(FUZZ_SHARED) $(FUZZ_DEVICE) $(TEST_LIBS) \
		$(FUZZ_block) $(FUZZ_console) $(FUZZ_serial) $(FUZZ_channel)
	@mkdir -p $(@D)
	$(say) LINK $@
	$(Q)$(CC) -g -pie -fsanitize=fuzzer,address,undefined $< $(FUZZ_SHARED) $(if $(FUZZ_$*),$(FUZZ_DEVICE)) $(FUZZ_$*) \
		-Wl,--start-group $(TEST_LIBS) -Wl,--end-group $(filter-out -lcmocka,$(TEST_LINK)) -o $@

.PHONY: fuzz fuzz-all
fuzz:
	@$(MAKE) CC=clang SAN=$(FUZZ_SAN) fuzz-all
fuzz-all: $(FUZZ:%=$(B)/fuzz/%)
	@for target in $(if $(FUZZ_SECONDS),$(FUZZ:fuzz_%=%)); do \
		mkdir -p $(B)/fuzz/corpus/$$target && \
		$(B)/fuzz/fuzz_$$target -close_fd_mask=3 -timeout=20 -max_total_time=$(FUZZ_SECONDS) \
			$(B)/fuzz/corpus/$$target tests/fuzz/corpus/$$target || exit 1; \
	done
