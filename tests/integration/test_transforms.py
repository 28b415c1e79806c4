# SPDX-License-Identifier: Apache-2.0
"""Converters, transforms and predicates by their Java class names, in running connectors.

Lines of a file become messages as they are; `show-sink` writes what arrives behind converter and
transforms, with kinds and schemas. Expected values are what the Java runtime makes, but where the
documentation of a transform says otherwise.
"""
import json
import random
import struct

import pytest
from conftest import BUILD, FILE_SINK, FILE_SOURCE, wait_until

SHOW = BUILD / "tests/plugins/show.so"
TROUBLE = BUILD / "tests/plugins/trouble.so"

CONVERTERS = "org.apache.rocketmq.connect.runtime.converter.record."
JSON = CONVERTERS + "json.JsonConverter"
STRING = CONVERTERS + "StringConverter"
TRANSFORMS = "org.apache.rocketmq.connect.transforms."
KAFKA = "org.apache.kafka.connect.transforms."

PLAIN = {"value__converter": JSON, "value__converter__schemas__enable": "false"}
ENVELOPE = {"value__converter": JSON}


class Pipe:
    """in.txt -> topic t -> show-sink; the source converts lines as text."""

    def __init__(self, worker):
        self.worker = worker
        self.input = worker.folder / "in.txt"
        self.shown = worker.folder / "show.txt"

    def source(self, topic="t", **keys):
        answer = self.worker.create("lines", connector__class=FILE_SOURCE,
                                    filename=str(self.input), connect__topicname=topic,
                                    **{"value__converter": STRING, **keys})
        assert answer.status == 200, answer
        return self

    def show(self, topic="t", **keys):
        """The answer of creating the sink."""
        return self.worker.create("show", connector__class="show-sink", connect__topicnames=topic,
                                  path=str(self.shown), **keys)

    def write(self, *lines):
        with open(self.input, "a", encoding="utf-8") as file:
            for line in lines:
                file.write((line if isinstance(line, str) else json.dumps(line)) + "\n")

    def texts(self, count):
        def there():
            if "FAILED" in self.worker.states("show")[1]:
                pytest.fail(self.worker.status("show")["tasks"][0]["trace"])
            lines = self.shown.read_text("utf-8").splitlines() if self.shown.exists() else []
            return lines if len(lines) >= count else None
        lines = wait_until(f"{count} records", there)
        assert len(lines) == count, lines
        return lines

    def records(self, count):
        return [json.loads(line) for line in self.texts(count)]

    def through(self, lines, count=None, **keys):
        """Writes lines, runs them through a sink with the keys, returns what it got."""
        self.write(*lines)
        self.source()
        answer = self.show(**keys)
        assert answer.status == 200, answer
        return self.records(len(lines) if count is None else count)


@pytest.fixture
def pipe(make_worker):
    return Pipe(make_worker(pluginPaths=f"{SHOW},{TROUBLE}").start())


def chain(name, class_name, **keys):
    """Keys of one transform."""
    return {"transforms": name, f"transforms__{name}__class": class_name,
            **{f"transforms__{name}__{k}": v for k, v in keys.items()}}


def envelope(fields, payload, **more):
    return {"schema": {"type": "struct", "optional": False, "fields": fields, **more},
            "payload": payload}


# ---- converters -------------------------------------------------------------------------------


def test_json_without_envelope(pipe):
    one, two, three, four = pipe.through(
        ['{"a":1,"b":[true,null,"x"],"c":{"d":"e"}}', '"text"', "[1,2]", "null"], **PLAIN)
    assert one["type"] == "map" and "schema" not in one
    assert one["value"] == {"a": 1, "b": [True, None, "x"], "c": {"d": "e"}}
    assert (two["type"], two["value"]) == ("string", "text")
    assert (three["type"], three["value"]) == ("array", [1, 2])
    assert (four["type"], four["value"]) == ("null", None)


@pytest.mark.parametrize("text", [
    "1.10", "1e400", "12345678901234567890", "-0", "0.1", "1E5", "1.0", "9007199254740993",
    "123456789012345678901234567890.123456789012345678901234567890"])
def test_numbers_keep_their_text(pipe, text):
    pipe.write(text, f'{{"n":{text},"list":[{text}]}}')
    pipe.source()
    assert pipe.show(**PLAIN).status == 200
    lines = pipe.texts(2)
    assert f'"value":{text},' in lines[0], lines[0]
    assert f'"value":{{"n":{text},"list":[{text}]}},' in lines[1], lines[1]
    # And into a file, where the value is the number itself.
    out = pipe.worker.folder / "out.txt"
    assert pipe.worker.create("file", connector__class=FILE_SINK, filename=str(out),
                              connect__topicnames="t", errors__tolerance="all",
                              **PLAIN).status == 200
    wait_until("the number", lambda: out.exists() and out.read_text() == text + "\n")


def test_doubles_of_an_envelope_keep_their_text(pipe):
    schema = '{"type":"struct","fields":[{"field":"d","type":"double"},{"field":"l","type":"int64"}]}'
    pipe.write(f'{{"schema":{schema},"payload":{{"d":1.10,"l":9223372036854775807}}}}')
    pipe.source()
    assert pipe.show(**ENVELOPE).status == 200
    assert '"value":{"d":1.10,"l":9223372036854775807}' in pipe.texts(1)[0]


def test_json_with_envelope(pipe):
    record, = pipe.through([envelope(
        [{"field": "id", "type": "int32", "optional": False},
         {"field": "name", "type": "string", "optional": True},
         {"field": "raw", "type": "bytes", "optional": True},
         {"field": "size", "type": "int64", "default": 7}],
        {"id": 5, "name": "x", "raw": "AP8="}, name="row")], **ENVELOPE)
    assert record["type"] == record["schema"] == "struct"
    assert record["optional"] is False
    assert record["fields"] == {"id": "int32", "name": "string", "raw": "bytes", "size": "int64"}
    assert record["value"] == {"id": 5, "name": "x", "raw": {"hex": "00ff"}, "size": 7}


def test_json_without_the_envelope_it_should_have(pipe):
    pipe.write({"id": 5})
    pipe.source()
    assert pipe.show(**ENVELOPE).status == 200
    wait_until("FAILED", lambda: pipe.worker.states("show")[1] == ["FAILED"])
    trace = pipe.worker.status("show")["tasks"][0]["trace"]
    assert "value.converter.schemas.enable=false" in trace and "offset 0" in trace


def test_a_source_writes_the_envelope_java_writes(pipe):
    """Of a line as text: schema string, payload the line."""
    pipe.write('say "hi"')
    pipe.source(value__converter=JSON)
    assert pipe.show(value__converter=STRING).status == 200
    text = json.loads(pipe.records(1)[0]["value"])
    assert text["payload"] == 'say "hi"'
    assert text["schema"]["type"] == "string"
    # It comes back as the same text.
    assert pipe.worker.create("back", connector__class="show-sink", connect__topicnames="t",
                              path=str(pipe.worker.folder / "back.txt"),
                              value__converter=JSON).status == 200
    back = pipe.worker.folder / "back.txt"
    wait_until("the line", lambda: back.exists() and back.read_text().endswith("\n"))
    record = json.loads(back.read_text())
    assert record["value"] == 'say "hi"' and record["schema"] == "string"


def test_bytes_pass_through(pipe):
    lines = [bytes(range(1, 10)), b"\xff\xfe\x80 not UTF-8", bytes(range(11, 256)), b""]
    pipe.input.write_bytes(b"".join(line + b"\n" for line in lines))
    out = pipe.worker.folder / "out.bin"
    converter = CONVERTERS + "ByteArrayConverter"
    pipe.source(value__converter=STRING)
    assert pipe.worker.create("file", connector__class=FILE_SINK, filename=str(out),
                              connect__topicnames="t", value__converter=converter).status == 200
    assert pipe.show(value__converter=converter).status == 200
    assert [r["value"]["hex"] for r in pipe.records(4)] == [line.hex() for line in lines]
    wait_until("the bytes", lambda: out.exists() and
               out.read_bytes() == pipe.input.read_bytes())


@pytest.mark.parametrize("tail", [b"", b"\n", b"\r\n", b"\r"], ids=["none", "lf", "crlf", "cr"])
def test_a_binary_file_arrives_byte_for_byte(pipe, tail):
    content = random.Random(5).randbytes(300000) + tail
    pipe.input.write_bytes(content)
    out = pipe.worker.folder / "out.bin"
    pipe.source(value__converter=STRING, line__terminator="keep", bounded="true")
    assert pipe.worker.create("file", connector__class=FILE_SINK, filename=str(out),
                              connect__topicnames="t", append__newline="false",
                              value__converter=CONVERTERS + "ByteArrayConverter").status == 200
    wait_until("all bytes", lambda: out.exists() and out.stat().st_size >= len(content))
    assert out.read_bytes() == content


@pytest.mark.parametrize("name,layout,kind,number", [
    ("ShortConverter", ">h", "int16", 1234), ("IntegerConverter", ">i", "int32", -5),
    ("LongConverter", ">q", "int64", 9007199254740993),
    ("FloatConverter", ">f", "float", 1.5), ("DoubleConverter", ">d", "double", 0.1)])
def test_primitives_are_big_endian(pipe, name, layout, kind, number):
    pipe.input.write_bytes(struct.pack(layout, number) + b"\n")
    pipe.source()
    assert pipe.show(value__converter=CONVERTERS + name).status == 200
    record, = pipe.records(1)
    assert (record["type"], record["value"]) == (kind, number)
    # A body of another length fails with the length it should have.
    pipe.write("x" * 9)
    wait_until("FAILED", lambda: pipe.worker.states("show")[1] == ["FAILED"])
    trace = pipe.worker.status("show")["tasks"][0]["trace"]
    assert "offset 1" in trace and str(struct.calcsize(layout)) in trace and "9" in trace, trace


def test_unknown_options_of_a_converter_are_refused(pipe):
    answer = pipe.show(value__converter=STRING, value__converter__schemas__enable="false")
    assert answer.status == 400 and "schemas.enable" in answer.json["message"]
    answer = pipe.show(value__converter="org.example.Nothing")
    assert answer.status == 400 and "org.example.Nothing" in answer.json["message"]


# ---- the seven transforms -----------------------------------------------------------------------

ROW = [{"field": "user_name", "type": "string"}, {"field": "user_age", "type": "int32"}]


def test_change_case(pipe):
    record, = pipe.through([envelope(ROW, {"user_name": "Ann", "user_age": 7})], **ENVELOPE,
                           **chain("c", TRANSFORMS + "ChangeCase$Value", to="UPPER_CAMEL",
                                   **{"from": "LOWER_UNDERSCORE"}))
    assert record["value"] == {"UserName": "Ann", "UserAge": 7}
    assert record["fields"] == {"UserName": "string", "UserAge": "int32"}


def test_extract_nested_field(pipe):
    inner = {"field": "who", "type": "struct", "fields": [{"field": "name", "type": "string"}]}
    record, = pipe.through(
        [envelope([inner, {"field": "n", "type": "int32"}], {"who": {"name": "Ann"}, "n": 1})],
        **ENVELOPE, **chain("x", TRANSFORMS + "ExtractNestedField$Value",
                            input__outer__field__name="who", input__inner__field__name="name",
                            output__field__name="name"))
    assert record["value"] == {"who": {"name": "Ann"}, "n": 1, "name": "Ann"}
    assert record["fields"]["name"] == "string"


def test_pattern_filter(pipe):
    records = pipe.through([{"level": "DEBUG"}, {"level": "INFO"}, {"other": "DEBUG"},
                            {"level": "DEBUGGING"}], 3, **PLAIN,
                           **chain("f", TRANSFORMS + "PatternFilter$Value", pattern="DEBUG",
                                   fields="level"))
    assert [r["value"] for r in records] == [{"level": "INFO"}, {"other": "DEBUG"},
                                             {"level": "DEBUGGING"}]
    metrics = pipe.worker.get("/metrics").text
    assert 'records_filtered_total{connector="show",task="0",type="sink"} 1\n' in metrics


def test_pattern_rename(pipe):
    records = pipe.through(
        [{"pre_a": 1, "b": 2}, envelope(ROW, {"user_name": "Ann", "user_age": 7})][:1], **PLAIN,
        **chain("r", TRANSFORMS + "PatternRename$Value", field__pattern="^pre_(.*)$",
                field__replacement="$1_post"))
    assert records[0]["value"] == {"a_post": 1, "b": 2}


def test_regex_router(pipe):
    pipe.write("a line")
    pipe.source("orders-eu", **chain("route", TRANSFORMS + "RegexRouter", regex="orders-(.*)",
                                     replacement="sales-$1"))
    assert pipe.show("sales-eu").status == 200
    record, = pipe.records(1)
    assert (record["topic"], record["value"]) == ("sales-eu", "a line")


def test_set_maximum_precision(pipe):
    decimal = {"field": "d", "type": "bytes", "name":
               "io.openmessaging.connector.api.data.logical.Decimal", "version": 1,
               "parameters": {"scale": "2", "connect.decimal.precision": "50"}}
    record, = pipe.through([envelope([decimal], {"d": "AJw="})], **ENVELOPE,
                           **chain("p", TRANSFORMS + "SetMaximumPrecision$Value",
                                   precision__max="10"))
    assert record["value"] == {"d": {"hex": "009c"}}


def test_set_null(pipe):
    records = pipe.through(["a", "b"], value__converter=STRING,
                           **chain("n", TRANSFORMS + "SetNull$Value"))
    assert [r["value"] for r in records] == [None, None]
    assert "schema" not in records[0]


def test_set_null_of_keys(pipe):
    assert pipe.worker.create("keys", connector__class="trouble-source", connect__topicname="t",
                              count="2", key="true").status == 200
    assert pipe.show(**chain("n", TRANSFORMS + "SetNull$Key")).status == 200
    assert [(r["key"], r["value"]) for r in pipe.records(2)] == [
        (None, "trouble-0"), (None, "trouble-1")]


def test_transforms_apply_in_order(pipe):
    keys = {**PLAIN, **chain("a", TRANSFORMS + "PatternRename$Value", field__pattern="^x$",
                             field__replacement="some_name"),
            **chain("b", TRANSFORMS + "ChangeCase$Value", to="LOWER_CAMEL",
                    **{"from": "LOWER_UNDERSCORE"})}
    keys["transforms"] = "a,b"
    record, = pipe.through([{"x": 1}], **keys)
    assert record["value"] == {"someName": 1}


# ---- predicates ---------------------------------------------------------------------------------


@pytest.mark.parametrize("negate,kept", [("false", ["kept-0"]), ("true", ["moved-0"])])
def test_a_predicate_chooses_records(pipe, negate, kept):
    """Two topics, one sink; a Filter for one of them, or for all but that one."""
    for topic in ("kept", "moved"):
        assert pipe.worker.create(topic, connector__class="trouble-source", count="1",
                                  connect__topicname=topic, text=topic).status == 200
    assert pipe.show("kept;moved", **chain("drop", KAFKA + "Filter", predicate="p", negate=negate),
                     predicates="p", predicates__p__class=KAFKA + "predicates.TopicNameMatches",
                     predicates__p__pattern="mov.*").status == 200
    assert [r["value"] for r in pipe.records(1)] == kept
    wait_until("the other to be dropped", lambda: 'records_filtered_total{connector="show",task='
               '"0",type="sink"} 1\n' in pipe.worker.get("/metrics").text)


# ---- refusals: nothing is created, all problems are told -----------------------------------------


@pytest.mark.parametrize("keys,parts", [
    (chain("x", TRANSFORMS + "NoSuch"), ["transforms.x.class", "NoSuch"]),
    ({"transforms": "x"}, ["transforms.x.class"]),
    (chain("x", TRANSFORMS + "PatternRename$Value", field__pattern="(", field__replacement="a"),
     ["transforms.x.field.pattern", "x"]),
    (chain("x", TRANSFORMS + "RegexRouter", regex="a"), ["transforms.x.replacement"]),
    (chain("x", TRANSFORMS + "RegexRouter", regex="(a)", replacement="$7"),
     ["transforms.x.replacement"]),
    (chain("x", TRANSFORMS + "ChangeCase$Value", to="UPPER", **{"from": "nothing"}),
     ["transforms.x.to", "transforms.x.from", "LOWER_CAMEL"]),
    (chain("x", TRANSFORMS + "SetMaximumPrecision$Value", precision__max="many"),
     ["transforms.x.precision.max", "many"]),
    (chain("x", KAFKA + "Filter", predicate="p"), ["transforms.x.predicate", "'p'"]),
    (chain("x", TRANSFORMS + "RegexRouter", regx="a", replacement="b"),
     ["transforms.x.regx", "regex"]),
], ids=["class", "no-class", "regex", "missing", "group", "choices", "number", "predicate", "typo"])
def test_a_transform_that_cannot_be_set_up_is_refused(pipe, keys, parts):
    answer = pipe.show(**keys)
    assert answer.status == 400, answer
    for part in parts:
        assert part in answer.json["message"], answer
    assert pipe.worker.get("/connectors/show/status").status == 404
