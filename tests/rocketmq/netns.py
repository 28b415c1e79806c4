# SPDX-License-Identifier: Apache-2.0
"""Network namespaces for shows: each worker has one cable to the brokers and one to the workers.

    netns.enter()                     # once, first of all: this process gets a network of its own
    net = netns.Net(3)
    member.prefix = net.prefix(0)     # a command that runs in the namespace of worker 0
    net.cut(0, "brokers"); net.heal(0)

The brokers and the program itself are at net.host, worker i is called at net.address(i). A cut
drops everything and tells nobody: connections stay open at both ends.
"""
import os
import subprocess
import sys

PLANES = {"brokers": 1, "workers": 2}
MARK = "RC_OWN_NETWORK"


def _ip(*words, inside=None):
    command = ["nsenter", "-t", str(inside), "-n"] if inside else []
    subprocess.run([*command, "ip", *map(str, words)], check=True, capture_output=True, text=True)


def enter():
    """Starts this program again in a network and mounts of its own. False: that is not allowed."""
    if os.environ.get(MARK):
        return True
    trial = subprocess.run(["unshare", "--net", "--mount", "ip", "link", "add", "rc0", "type",
                            "bridge"], capture_output=True, check=False)
    if trial.returncode:
        return False
    sys.stdout.flush()
    os.environ[MARK] = "1"
    os.execvp("unshare", ["unshare", "--net", "--mount", sys.executable, *sys.argv])


class Net:
    def __init__(self, workers):
        self.host = "10.77.1.254"
        self.holders = []
        _ip("link", "set", "lo", "up")
        for plane in PLANES.values():
            _ip("link", "add", f"rc{plane}", "type", "bridge")
            _ip("addr", "add", f"10.77.{plane}.254/24", "dev", f"rc{plane}")
            _ip("link", "set", f"rc{plane}", "up")
        for number in range(workers):
            self._worker(number)

    def _worker(self, number):
        holder = subprocess.Popen(["unshare", "--net", "sh", "-c", "echo; read x"],
                                  stdout=subprocess.PIPE, stdin=subprocess.PIPE)
        holder.stdout.readline()  # it is there now, and ends with this process
        self.holders.append(holder)
        _ip("link", "set", "lo", "up", inside=holder.pid)
        for plane in PLANES.values():
            here, there = f"rc{plane}w{number}", f"w{plane}"
            _ip("link", "add", here, "type", "veth", "peer", "name", there, "netns", holder.pid)
            _ip("link", "set", here, "master", f"rc{plane}", "up")
            _ip("addr", "add", f"10.77.{plane}.{number + 1}/24", "dev", there, inside=holder.pid)
            _ip("link", "set", there, "up", inside=holder.pid)

    def prefix(self, number):
        return ("nsenter", "-t", str(self.holders[number].pid), "-n")

    def address(self, number):
        return f"10.77.2.{number + 1}"

    def cut(self, number, *planes):
        for plane in planes:
            _ip("link", "set", f"rc{PLANES[plane]}w{number}", "down")

    def heal(self, number):
        for plane in PLANES.values():
            _ip("link", "set", f"rc{plane}w{number}", "up")

    def close(self):
        for holder in self.holders:
            holder.stdin.close()
            holder.wait()
            holder.stdout.close()
