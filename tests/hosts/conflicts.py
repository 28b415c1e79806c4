# SPDX-License-Identifier: Apache-2.0
"""Makes connectors that bring a library of the same name and class, and of different versions: in
each version only one method is there, so that whoever gets the other's fails at once."""
import os
import pathlib
import shutil
import tempfile

import hosts_kit

TEMPLATE = pathlib.Path(__file__).resolve().parent / "conflict/Source.java.in"
WORDS = """package org.shared;

public final class Words {{
    private Words() {{}}

    public static String {method}() {{
        return "{method}";
    }}
}}
"""


def jar(work, name, version, classes):
    (work / "manifest").write_text(f"Implementation-Version: {version}\n", "ascii")
    hosts_kit.sh("jar", "cfm", work / name, work / "manifest", "-C", work / "classes", *classes)


def build(plugins, name, version, method):
    """Puts NAME.jar and words.jar, its library, into PLUGINS/NAME, in place of older ones."""
    place = pathlib.Path(plugins) / name
    place.mkdir(parents=True, exist_ok=True)
    api = next(hosts_kit.JAR.parent.glob("lib/openmessaging-connector-*.jar")).parent / "*"
    work = pathlib.Path(tempfile.mkdtemp(dir=place.parent.parent))
    source = TEMPLATE.read_text("ascii")
    for old, new in (("@name@", name), ("@Name@", name.capitalize()), ("@method@", method)):
        source = source.replace(old, new)
    (work / f"{name.capitalize()}Source.java").write_text(source, "ascii")
    (work / "Words.java").write_text(WORDS.format(method=method), "ascii")
    hosts_kit.sh("javac", "-nowarn", "-cp", api, "-d", work / "classes", *work.glob("*.java"))
    jar(work, f"{name}.jar", version, [name])
    jar(work, "words.jar", version, ["org"])
    for file in (f"{name}.jar", "words.jar"):
        os.replace(work / file, place / file)  # who has the old one open keeps it
    shutil.rmtree(work)
