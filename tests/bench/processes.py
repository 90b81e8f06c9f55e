# SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
"""The processes and threads of a VM, and their memory beyond the guest's, read from /proc."""

import json
import os
import re
import subprocess

MAPPING = re.compile(r"^[0-9a-f]+-[0-9a-f]+ \S{4} [0-9a-f]+ \S+ \d+ *(.*)$")


def parents():
    found = {}
    for name in os.listdir("/proc"):
        if not name.isdigit():
            continue
        try:
            with open(f"/proc/{name}/stat", encoding="utf-8", errors="replace") as stat:
                found[int(name)] = int(stat.read().rpartition(")")[2].split()[1])
        except OSError:
            pass  # it has ended
    return found


def family(pid):
    """The process and all of its descendants."""
    of = parents()
    members = [pid]
    for member in members:
        members += sorted(child for child, parent in of.items() if parent == member)
    return members


def threads(pid):
    """{thread id: name}; the first is the process's main thread."""
    names = {}
    for thread in sorted(map(int, os.listdir(f"/proc/{pid}/task"))):
        with open(f"/proc/{pid}/task/{thread}/comm", encoding="utf-8", errors="replace") as comm:
            names[thread] = comm.read().strip()
    return names


def bulkhead_rows(program, pid):
    """What `bulkhead ps` says of one VM: a list of processes and threads."""
    done = subprocess.run(
        [program, "ps", "--json", str(pid)], stdout=subprocess.PIPE, check=True, timeout=120
    )
    return json.loads(done.stdout)[0]["processes"]


def bulkhead_names(program, pid):
    """{thread id: role} of all threads; those of one process share its role but for vCPUs."""
    roles = {row.get("thread", row["pid"]): row["role"] for row in bulkhead_rows(program, pid)}
    names = {}
    for process in family(pid):
        for thread, name in threads(process).items():
            names[thread] = roles.get(thread) or roles.get(process) or name
    return names


def qemu_names(pid):
    return {
        thread: "main" if thread == pid else name
        for process in family(pid)
        for thread, name in threads(process).items()
    }


def mappings(pid):
    """A list of {"name": …, "Size": KiB, "Pss": KiB, "Pss_Anon": …, …}."""
    found = []
    with open(f"/proc/{pid}/smaps", encoding="utf-8", errors="replace") as smaps:
        for line in smaps:
            header = MAPPING.match(line)
            if header:
                found.append({"name": header.group(1)})
            elif line.endswith(" kB\n"):
                key, _, value = line.partition(":")
                found[-1][key] = int(value.split()[0])
    return found


def is_guest_memory(mapping, guest_kib):
    """Bulkhead's is a memfd of that name; QEMU's the one anonymous mapping of just that size."""
    if mapping["name"].startswith("/memfd:guest-memory"):
        return True
    return mapping["name"] == "" and mapping["Size"] == guest_kib


def kind_of(mapping, guest_kib, images):
    name = mapping["name"]
    if is_guest_memory(mapping, guest_kib) or name in images:
        return "guest"
    if name.startswith(("/memfd:", "/dev/zero", "anon_inode:")):
        return "shared"
    return "file" if name.startswith("/") else "anonymous"


def memory(pid, guest_kib, images):
    """KiB of proportional set size by kind of mapping. "guest" is the guest's memory and, where a
    VMM leaves them mapped, its kernel and initrd; "own" is all the rest."""
    use = {"anonymous": 0, "file": 0, "shared": 0, "guest": 0}
    for mapping in mappings(pid):
        use[kind_of(mapping, guest_kib, images)] += mapping.get("Pss", 0)
    use["own"] = use["anonymous"] + use["file"] + use["shared"]
    return use
