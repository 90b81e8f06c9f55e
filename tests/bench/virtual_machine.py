# SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
"""One run of a VM: starts it, waits with a limit for what the guest prints, and ends it."""

import json
import os
import select
import signal
import subprocess
import time

INIT = "BULKHEAD-INIT"
IDLE = "BULKHEAD-IDLE"


class Failed(Exception):
    """The VM did not do what it was started for; the text says what it printed."""


class VirtualMachine:
    """with VirtualMachine(command, limit) as vm: vm.wait_for(INIT); …; vm.wait_for_end()

    limit: seconds for each wait, by the host's clock. `began`, and what wait_for returns, are
    nanoseconds of CLOCK_MONOTONIC. Whatever is left of the VM at the end is killed."""

    def __init__(self, command, limit, serial=None):
        self.command, self.limit, self.serial = command, limit, serial
        self.output = b""

    def __enter__(self):
        self.began = time.monotonic_ns()
        self.process = subprocess.Popen(
            self.command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        return self

    def __exit__(self, *_):
        # At SIGINT a VMM ends itself, and Bulkhead its other processes; SIGTERM asks the guest.
        for number in (signal.SIGINT, signal.SIGKILL):
            if self.process.poll() is None:
                self.process.send_signal(number)
                try:
                    self.process.wait(timeout=self.limit)
                except subprocess.TimeoutExpired:
                    pass
        self.process.stdout.close()

    @property
    def pid(self):
        return self.process.pid

    def fail(self, what):
        text = self.output.decode(errors="replace")[-2000:]
        raise Failed(f"{self.command[0]}: {what}; it printed:\n{text}")

    def read_more(self, deadline):
        """False at the end of the output."""
        left = deadline - time.monotonic()
        if left <= 0 or not select.select([self.process.stdout], [], [], left)[0]:
            self.fail(f"nothing more for {self.limit} s")
        got = os.read(self.process.stdout.fileno(), 65536)
        self.output += got
        return bool(got)

    def wait_for(self, marker):
        deadline = time.monotonic() + self.limit
        while marker.encode() not in self.output:
            if not self.read_more(deadline):
                self.fail(f"it ended without {marker}")
        return time.monotonic_ns()

    def wait_for_end(self):
        deadline = time.monotonic() + self.limit
        while self.read_more(deadline):
            pass
        self.process.wait(timeout=self.limit)

    def results(self):
        """What guest_io printed: a list of dictionaries."""
        text = self.output
        if self.serial:
            with open(self.serial, "rb") as serial:
                text = serial.read()
        lines = text.decode(errors="replace").splitlines()
        found = [json.loads(line) for line in lines if line.startswith('{"workload"')]
        if not found or any(result["errors"] for result in found):
            self.output = text
            self.fail("a workload failed")
        return found
