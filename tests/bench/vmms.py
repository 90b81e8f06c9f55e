# SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
"""The virtual machine monitors that the bench compares, and how each is started.

All get the same kernel (the ELF vmlinux, entered through PVH), initrd, kernel command line, memory,
one vCPU with all features of the host's, and an image that is reached through the page cache with
write-back. QEMU is started in more than one way: as its documentation advises, and as measured to be
better here. describe() says all of them, to be printed beside the figures.
"""

import dataclasses
import os

MEMORY_MIB = 256


@dataclasses.dataclass(frozen=True)
class Files:
    """What a VM is made of: paths on the host that runs it."""

    bulkhead: str
    kernel: str
    initrd: str
    disk: str


@dataclasses.dataclass(frozen=True)
class Guest:
    """What is asked of a VM. `serial` is a file, or "stdio"."""

    words: str = ""  # for the kernel's command line: bench.…
    disk: bool = False
    console: bool = False
    rng: bool = False
    serial: str = "stdio"


def command_line(guest):
    # quiet: the log is no part of a start. devkmsg: the workload kmsg may write as much as it will.
    return f"console=ttyS0 quiet panic=-1 printk.devkmsg=on {guest.words}".strip()


def bulkhead(files, guest):
    command = [files.bulkhead, "run", "--name", "bench", "--cpus", "1"]
    command += ["--memory", f"{MEMORY_MIB}M", "--kernel", files.kernel, "--initrd", files.initrd]
    command += ["--cmdline", command_line(guest), "--on-reset", "exit"]
    command += ["--serial", guest.serial if guest.serial == "stdio" else f"file={guest.serial}"]
    if guest.disk:
        command += ["--disk", f"path={files.disk}"]
    if guest.console:
        command += ["--console", "null"]
    if guest.rng:
        command += ["--rng"]
    if "landlock" not in open("/sys/kernel/security/lsm", encoding="ascii").read():
        command += ["--allow-missing", "landlock"]
    return command


def qemu(files, guest, machine, bus, aio="threads", iothread=""):
    command = ["qemu-system-x86_64", "-enable-kvm", "-cpu", "host", "-m", str(MEMORY_MIB)]
    command += ["-M", machine, "-name", "bench,debug-threads=on", "-nodefaults"]
    command += ["-no-user-config", "-display", "none", "-no-reboot"]
    command += ["-kernel", files.kernel, "-initrd", files.initrd, "-append", command_line(guest)]
    command += ["-serial", guest.serial if guest.serial == "stdio" else f"file:{guest.serial}"]
    if guest.disk:
        command += ["-object", f"iothread,id=io{iothread}"]
        command += ["-drive", f"if=none,id=disk,format=raw,cache=writeback,aio={aio},file={files.disk}"]
        command += ["-device", f"virtio-blk-{bus},drive=disk,iothread=io"]
    if guest.console:
        command += ["-device", f"virtio-serial-{bus}", "-chardev", "null,id=console"]
        command += ["-device", "virtconsole,chardev=console"]
    if guest.rng:
        command += ["-device", f"virtio-rng-{bus}"]
    return command


def microvm(files, guest):
    return qemu(files, guest, "microvm,x-option-roms=off,pit=off,pic=off,rtc=off", "device")


def microvm_rtc(files, guest):
    # Debian's kernel looks for a clock that QEMU's documentation advises to leave out, and waits.
    return qemu(files, guest, "microvm,x-option-roms=off,pit=off,pic=off,rtc=on", "device")


def q35_threads(files, guest):
    return qemu(files, guest, "q35", "pci")


def q35_io_uring(files, guest):
    return qemu(files, guest, "q35", "pci", aio="io_uring")


def q35_unpolled(files, guest):
    return qemu(files, guest, "q35", "pci", aio="io_uring", iothread=",poll-max-ns=0")


VMMS = {
    "bulkhead": bulkhead,
    "microvm": microvm,
    "microvm-rtc": microvm_rtc,
    "q35-threads": q35_threads,
    "q35-io_uring": q35_io_uring,
    "q35-unpolled": q35_unpolled,
}

# QEMU in each of the ways that may be the best: the best one is what is compared with.
MICROVM = [name for name in VMMS if name.startswith("microvm")]
Q35 = [name for name in VMMS if name.startswith("q35-")]


def describe():
    """Each VMM's command line, with names in place of the host's paths."""
    files = Files("bulkhead", "vmlinux", "bench-initrd", "disk.img")
    guest = Guest(disk=True, console=True, rng=True)
    return {name: " ".join(start(files, guest)) for name, start in VMMS.items()}


def executable(name, files):
    command = VMMS[name](files, Guest())[0]
    return command if os.path.isabs(command) else None
