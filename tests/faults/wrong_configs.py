# SPDX-License-Identifier: Apache-2.0
"""Fifty configurations that are wrong, each with what its message must name.

CONNECTORS: (what, "source" or "sink", changes of a good configuration, words of the message).
A change to None takes the key away. PIPELINES: (what, text of a pipeline file, words). Every word
is a regular expression, without case, that must match the message: the key or file, and the cure.
Most are refused before anything starts; what can only be seen by the task fails it at once.
"""
FILE_SOURCE = "org.apache.rocketmq.connect.file.FileSourceConnector"
STRING = "org.apache.rocketmq.connect.runtime.converter.record.StringConverter"

CONNECTORS = [
    ("no class", "source", {"connector.class": None}, ["connector.class", "name the connector"]),
    ("unknown class", "source", {"connector.class": "org.acme.Kafka"},
     ["org.acme.Kafka", "available connectors"]),
    ("class misspelt", "source", {"connector.class": "file-surce"},
     ["file-surce", "did you mean.*file-source"]),
    ("sink's class is a converter", "sink", {"connector.class": STRING},
     ["StringConverter", "connector|converter"]),
    ("no file", "source", {"filename": None}, ["filename", "required|set|missing"]),
    ("empty file", "source", {"filename": ""}, ["filename"]),
    ("unknown key", "source", {"filenam": "x"}, ["filenam", "did you mean.*filename"]),
    ("unknown key, nothing like it", "sink", {"zzz.zzz": "1"}, ["zzz.zzz", "unknown|not a"]),
    ("key with wrong case", "source", {"Bounded": "true"}, ["Bounded", "did you mean.*bounded"]),
    ("no topic", "source", {"connect.topicname": None}, ["connect.topicname", "set|required"]),
    ("no topics", "sink", {"connect.topicnames": None}, ["connect.topicnames", "name the topics"]),
    ("bad topic", "source", {"connect.topicname": "a/b c"}, ["connect.topicname|topic", "a/b c"]),
    ("bad topics", "sink", {"connect.topicnames": "ok,b@d"}, ["connect.topicnames|topic", "b@d"]),
    ("topic too long", "source", {"connect.topicname": "t" * 300}, ["topic", "127"]),
    ("number is a word", "source", {"max.tasks": "many"}, ["max.tasks", "many", "number|integer"]),
    ("number too small", "source", {"max.tasks": "0"}, ["max.tasks", "1"]),
    ("number too large", "sink", {"max.tasks": "99999999999999999999"}, ["max.tasks"]),
    ("negative size", "source", {"line.max.bytes": "-1"}, ["line.max.bytes"]),
    ("size with a wrong unit", "source", {"line.max.bytes": "10 parsecs"},
     ["line.max.bytes", "10 parsecs", "64KiB|1MiB|MiB"]),
    ("size too large", "source", {"line.max.bytes": "10GiB"}, ["line.max.bytes", "4032KiB|4128768"]),
    ("duration with a wrong unit", "source", {"rotate.wait": "5 weeks"},
     ["rotate.wait", "5 weeks", "250ms|3s|5m"]),
    ("duration too long", "source", {"rotate.wait": "2d"}, ["rotate.wait", "1h|3600000"]),
    ("not a boolean", "source", {"bounded": "maybe"}, ["bounded", "maybe", "true"]),
    ("not a choice", "source", {"start": "middle"}, ["start", "middle", "beginning.*end"]),
    ("not a choice, nearly", "sink", {"fsync": "comit"}, ["fsync", "comit", "commit"]),
    ("choice of the sink", "sink", {"null.value": "drop"}, ["null.value", "drop", "skip"]),
    ("tolerance", "sink", {"errors.tolerance": "some"}, ["errors.tolerance", "none.*all"]),
    ("retry timeout", "sink", {"errors.retry.timeout": "soon"}, ["errors.retry.timeout", "soon"]),
    ("dead-letter topic", "sink", {"errors.deadletterqueue.topic.name": "no/slash"},
     ["errors.deadletterqueue.topic.name|topic", "no/slash"]),
    ("unknown converter", "source", {"value.converter": "org.acme.Avro"},
     ["value.converter", "org.acme.Avro"]),
    ("converter is a connector", "source", {"value.converter": FILE_SOURCE}, ["value.converter"]),
    ("transform without class", "source", {"transforms": "t"}, ["transforms.t.class|'t'", "set|class"]),
    ("transform with unknown class", "source", {"transforms": "t", "transforms.t.class": "Nope"},
     ["transforms.t|'t'", "Nope"]),
    ("predicate that is not there", "source",
     {"transforms": "t", "transforms.t.class": "set-null-value", "transforms.t.predicate": "p"},
     ["'?p'?", "predicate"]),
    ("bad regular expression", "source",
     {"transforms": "t", "transforms.t.class":
      "org.apache.rocketmq.connect.transforms.PatternRename$Value",
      "transforms.t.field.pattern": "(", "transforms.t.field.replacement": "x"},
     ["transforms.t|'t'", r"\("]),
]

SOURCE = "source: {class: file-source, filename: in.txt, bounded: true}\n"
SINK = "sink: {class: file-sink, filename: out.txt}\n"

PIPELINES = [
    ("no YAML at all", "source: {class: [\n", ["bad.yaml:[0-9]+", "brackets"]),
    ("a tab as indent", "source:\n\tclass: file-source\n" + SINK, ["bad.yaml:2", "not tabs"]),
    ("empty file", "", ["bad.yaml", "source|empty"]),
    ("no sink", SOURCE, ["bad.yaml", "sink"]),
    ("no source", SINK, ["bad.yaml", "source"]),
    ("unknown section", SOURCE + SINK + "sinks: {}\n", ["bad.yaml:3", "sinks", "known|did you mean"]),
    ("source is a list", "source: [a, b]\n" + SINK, ["bad.yaml:1", "source", "class|map|key"]),
    ("key twice", SOURCE + SOURCE + SINK, ["bad.yaml:2", "source", "twice|already|again"]),
    ("unknown class", SOURCE + "sink: {class: file-sonk, filename: o}\n",
     ["file-sonk", "did you mean.*file-sink"]),
    ("no file name", SOURCE + "sink: {class: file-sink}\n", ["filename", "required|set|missing"]),
    ("misspelt key", SOURCE + "sink: {class: file-sink, filname: out.txt}\n",
     ["bad.yaml:2", "filname", "did you mean.*filename"]),
    ("bad value", "source: {class: file-source, filename: i, bounded: perhaps}\n" + SINK,
     ["bad.yaml:1", "bounded", "perhaps", "true"]),
    ("bad keep", SOURCE + SINK + "log: {keep: much}\n", ["bad.yaml:3", "keep", "much", "GiB"]),
    ("bad name", "name: a/b\n" + SOURCE + SINK, ["bad.yaml", "name", "a/b", "letters"]),
    ("folder is missing", SOURCE + "sink: {class: file-sink, filename: no/such/out.txt}\n",
     ["no/such", "[Cc]reate|filename"]),
]
