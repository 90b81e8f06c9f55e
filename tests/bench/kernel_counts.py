# SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
"""Counts of kernel events by the kernel itself: histograms of trace events, exact and cheap.

They live in a tracing instance of their own, so that nothing is disturbed that others trace.
"""

import os
import re

TRACING = "/sys/kernel/tracing"
INSTANCE = f"{TRACING}/instances/bulkhead-bench"

ENTRY = re.compile(r"\{(.*?)\}\s*hitcount:\s*(\d+)")
KEY = re.compile(r"\s*([a-z_]+):\s*(.*?)\s*(?:,|$)")


def available():
    return os.geteuid() == 0 and os.path.isdir(f"{TRACING}/instances")


def number(text):
    """A key's value; where the kernel adds a name ("sys_read [  0]") the name."""
    name = re.match(r"(\S+)\s+\[\s*(\d+)\]$", text)
    if name:
        return name.group(1)
    return int(text, 0) if re.match(r"(0x)?[0-9a-f]+$", text) else text


class Counts:
    """with Counts({"sched/sched_wakeup": "pid"}) as counts: …; counts.read("sched/sched_wakeup")"""

    def __init__(self, keys):
        self.keys = keys

    def __enter__(self):
        if os.path.isdir(INSTANCE):
            os.rmdir(INSTANCE)
        os.mkdir(INSTANCE)
        for event, keys in self.keys.items():
            self.write(f"events/{event}/trigger", f"hist:keys={keys}:size=8192")
        return self

    def __exit__(self, *_):
        for event, keys in self.keys.items():
            self.write(f"events/{event}/trigger", f"!hist:keys={keys}:size=8192")
        os.rmdir(INSTANCE)

    @staticmethod
    def write(file, text):
        with open(f"{INSTANCE}/{file}", "w", encoding="ascii") as to:
            to.write(text)

    @staticmethod
    def read(event):
        """A list of ({key: value}, count)."""
        with open(f"{INSTANCE}/events/{event}/hist", encoding="ascii") as hist:
            text = hist.read()
        dropped = re.search(r"Dropped:\s*(\d+)", text)
        if dropped and int(dropped.group(1)) > 0:
            raise RuntimeError(f"the histogram of {event} was too small")
        return [
            ({key: number(value) for key, value in KEY.findall(keys)}, int(count))
            for keys, count in ENTRY.findall(text)
        ]
