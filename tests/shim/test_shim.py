#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The shim itself: what was synced stays, what was not is gone. Usage: test_shim.py BUILD_FOLDER

Each case is a small program that runs under the shim and kills itself; what lies in the folder
after forget-undo is compared with what POSIX promises after a power cut.
"""
import os
import sqlite3
import subprocess
import sys
import tempfile
import unittest

BUILD = sys.argv.pop(1) if len(sys.argv) > 1 and os.path.isdir(sys.argv[1]) else "."

PROLOGUE = """
import os, signal, sqlite3, sys, threading
os.chdir(sys.argv[1])
def put(name, data, flags=os.O_WRONLY | os.O_CREAT):
    fd = os.open(name, flags, 0o644)
    os.write(fd, data)
    return fd
def sync(fd): os.fsync(fd)
def sync_dir(name="."):
    fd = os.open(name, os.O_RDONLY); os.fsync(fd); os.close(fd)
"""
EPILOGUE = "\nos.kill(os.getpid(), signal.SIGKILL)\n"


class Shim(unittest.TestCase):
    def after(self, program, before=None, seed=None):
        """What the folder holds after the program and a power cut: {name: content}."""
        with tempfile.TemporaryDirectory(dir="/var/tmp") as top:
            watched, journal = os.path.join(top, "w"), os.path.join(top, "j")
            os.mkdir(watched)
            os.mkdir(journal)
            for name, data in (before or {}).items():
                with open(os.path.join(watched, name), "wb") as f:
                    f.write(data)
            env = dict(os.environ, LD_PRELOAD=os.path.join(BUILD, "forget.so"),
                       FORGET_DIR=watched, FORGET_JOURNAL=journal)
            done = subprocess.run([sys.executable, "-c", PROLOGUE + program + EPILOGUE, watched],
                                  env=env, capture_output=True, text=True, check=False)
            self.assertEqual(done.returncode, -9, done.stderr)
            subprocess.run([os.path.join(BUILD, "forget-undo"), watched, journal]
                           + ([str(seed)] if seed is not None else []),
                           check=True, stdout=subprocess.DEVNULL)
            self.assertEqual(os.listdir(journal), [])
            found = {}
            for folder, _, names in os.walk(watched):
                for name in names:
                    path = os.path.join(folder, name)
                    with open(path, "rb") as f:
                        found[os.path.relpath(path, watched)] = f.read()
            return found

    def test_content(self):
        old = {"f": b"0123456789"}
        cases = [
            ("put('f', b'ABC')", b"0123456789"),
            ("sync(put('f', b'ABC'))", b"ABC3456789"),
            ("fd = put('f', b'ABC'); sync(fd); os.write(fd, b'DEF')", b"ABC3456789"),
            ("fd = put('f', b'ABC'); os.write(fd, b'D'); os.pwrite(fd, b'xx', 1)", b"0123456789"),
            ("fd = put('f', b'ABC', os.O_WRONLY | os.O_APPEND)", b"0123456789"),
            ("fd = put('f', b'ABC', os.O_WRONLY | os.O_APPEND); os.fdatasync(fd); "
             "os.write(fd, b'D')", b"0123456789ABC"),
            ("fd = os.open('f', os.O_RDWR); os.ftruncate(fd, 3)", b"0123456789"),
            ("fd = os.open('f', os.O_RDWR); os.ftruncate(fd, 3); sync(fd)", b"012"),
            ("fd = os.open('f', os.O_RDWR); os.ftruncate(fd, 99)", b"0123456789"),
            ("fd = os.open('f', os.O_RDWR); os.ftruncate(fd, 3); os.pwrite(fd, b'zz', 8)",
             b"0123456789"),
            ("put('f', b'new', os.O_WRONLY | os.O_TRUNC)", b"0123456789"),
            ("fd = os.open('f', os.O_RDWR); os.writev(fd, [b'ab', b'cd'])", b"0123456789"),
            ("fd = os.open('f', os.O_RDWR); os.posix_fallocate(fd, 0, 99)", b"0123456789"),
            # Synced through another descriptor of the same file.
            ("put('f', b'ABC'); fd = os.open('f', os.O_RDWR); sync(fd)", b"ABC3456789"),
        ]
        for program, want in cases:
            with self.subTest(program):
                self.assertEqual(self.after(program, old), {"f": want})

    def test_names(self):
        cases = [
            ("sync(put('n', b'x'))", {"f": b"old"}),
            ("sync(put('n', b'x')); sync_dir()", {"f": b"old", "n": b"x"}),
            ("put('n', b'x'); sync_dir()", {"f": b"old", "n": b""}),
            ("os.unlink('f')", {"f": b"old"}),
            ("os.unlink('f'); sync_dir()", {}),
            ("put('f', b'NEW'); os.unlink('f')", {"f": b"old"}),
            ("os.unlink('f'); sync(put('f', b'again'))", {"f": b"old"}),
            ("os.rename('f', 'g')", {"f": b"old"}),
            ("os.rename('f', 'g'); sync_dir()", {"g": b"old"}),
            ("sync(put('t', b'new')); os.rename('t', 'f')", {"f": b"old"}),
            ("sync(put('t', b'new')); os.rename('t', 'f'); sync_dir()", {"f": b"new"}),
            ("put('t', b'new'); os.rename('t', 'f'); sync_dir()", {"f": b""}),
            ("os.mkdir('d'); sync(put('d/x', b'1')); sync_dir('d')", {"f": b"old"}),
            ("os.mkdir('d'); sync(put('d/x', b'1')); sync_dir('d'); sync_dir()",
             {"f": b"old", "d/x": b"1"}),
        ]
        for program, want in cases:
            with self.subTest(program):
                self.assertEqual(self.after(program, {"f": b"old"}), want)

    def test_sqlite(self):
        """A committed transaction of SQLite stays with FULL, and goes with OFF."""
        program = """
db = sqlite3.connect('t.db', isolation_level=None)
db.execute('pragma journal_mode=wal'); db.execute('pragma synchronous=%s')
db.execute('create table t(x)'); sync_dir()
for i in range(100): db.execute('insert into t values(?)', (i,))
"""
        for mode, want in (("full", 100), ("off", 0)):
            with self.subTest(mode), tempfile.TemporaryDirectory() as top:
                for name, data in self.after(program % mode).items():
                    with open(os.path.join(top, name), "wb") as f:
                        f.write(data)
                db = sqlite3.connect(os.path.join(top, "t.db"))
                try:
                    rows = db.execute("select count(*) from t").fetchone()[0]
                except sqlite3.OperationalError:
                    rows = 0
                db.close()
                self.assertEqual(rows, want)

    def test_threads(self):
        """Writes of other threads during a sync are not covered by it, those before are."""
        program = """
fd = os.open('f', os.O_RDWR | os.O_CREAT); sync_dir()
def many(i):
    for k in range(200): os.pwrite(fd, b'%04d' % (k + 1), i * 4)
all = [threading.Thread(target=many, args=(i,)) for i in range(4)]
for t in all: t.start()
for _ in range(50): sync(fd)
for t in all: t.join()
sync(fd)
os.pwrite(fd, b'XXXX', 0)
"""
        self.assertEqual(self.after(program), {"f": b"0200" * 4})

    def test_tossed(self):
        """With a seed some files keep everything: both outcomes come up, each for a whole file."""
        seen = set()
        for seed in range(12):
            got = self.after("put('f', b'A'); put('f', b'AB')", {"f": b"old"}, seed)["f"]
            self.assertIn(got, (b"old", b"ABd"))
            seen.add(got)
        self.assertEqual(len(seen), 2)


if __name__ == "__main__":
    unittest.main()
