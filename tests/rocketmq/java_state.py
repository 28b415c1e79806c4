# SPDX-License-Identifier: Apache-2.0
"""The Java runtime's way of reading its config and status topics, for a checker that shares nothing
with our code: the rules of its JsonConverter, AbstractConfigManagementService,
AbstractStateManagementService and ConnAndTaskStatus, with their names. Message properties other
than KEYS do not exist here, as they do not for Java.

    state = JavaState()
    state.config(keys, body)     state.status(keys, body)      one record each, in order of the log
    state.connectors             {name: {"properties", "target", "epoch"}}
    state.states                 {(name, task or -1): {"state", "trace", "worker", "generation"}}

A record that Java could not read raises Unreadable; one that it logs and drops is in `dropped`.
"""
import base64
import json

STATES = ("UNASSIGNED", "RUNNING", "PAUSED", "FAILED", "DESTROYED")
TARGETS = ("STARTED", "PAUSED")
PLAIN = {"string": str, "boolean": bool, "int64": int, "int32": int, "int16": int, "int8": int,
         "float32": float, "float64": float}


class Unreadable(Exception):
    """Java's converter or its cast would have thrown."""


def _schema(node, top=False):
    """Checks a schema as JsonConverter.asConnectSchema does, and returns it as (type, optional,
    name, version, doc, parts): what Schema.equals compares."""
    if not isinstance(node, dict) or not isinstance(node.get("type"), str):
        raise Unreadable(f"schema {node!r} has no type")
    kind = node["type"]
    optional = node.get("optional", False)
    if not isinstance(optional, bool):
        raise Unreadable("'optional' is no boolean")
    parts = ()
    if kind == "struct":
        if not isinstance(node.get("fields"), list):
            raise Unreadable("a struct without fields")
        for field in node["fields"]:
            if not isinstance(field.get("field"), str):
                raise Unreadable("a field without a name")
        parts = tuple((f["field"], _schema(f)) for f in node["fields"])
    elif kind == "map":
        parts = (_schema(node["keys"]), _schema(node["values"]))
    elif kind == "array":
        parts = (_schema(node["items"]),)
    elif kind not in PLAIN and kind != "bytes":
        raise Unreadable(f"unknown schema type '{kind}'")
    return kind, optional, node.get("name"), node.get("version"), node.get("doc"), parts


def _value(schema, node):
    kind, optional, _, _, _, parts = schema
    if node is None:
        if not optional:
            raise Unreadable("null where the schema is not optional")
        return None
    if kind == "struct":
        if not isinstance(node, dict):
            raise Unreadable(f"{node!r} is no struct")
        return {name: _value(part, node.get(name)) for name, part in parts}
    if kind == "map":
        if not isinstance(node, dict) or parts[0][0] != "string":
            raise Unreadable(f"{node!r} is no map with texts as keys")
        return {k: _value(parts[1], v) for k, v in node.items()}
    wanted = PLAIN.get(kind)
    if wanted is None or not isinstance(node, wanted) or (wanted is int and isinstance(node, bool)):
        raise Unreadable(f"{node!r} is no {kind}")
    return node


def convert(body):
    """(schema, value) of JsonConverter.toConnectData with schemas.enable=true."""
    try:
        tree = json.loads(body)
    except ValueError as why:
        raise Unreadable(f"no JSON: {why}") from why
    if not isinstance(tree, dict) or set(tree) != {"schema", "payload"}:
        raise Unreadable("an envelope has exactly the members schema and payload")
    if tree["schema"] is None:
        return None, tree["payload"]
    schema = _schema(tree["schema"])
    return schema, _value(schema, tree["payload"])


def _field(name, kind):
    return name, (kind, True, None, None, None, ())


DELETE_V1 = ("struct", True, None, None, None,
             (_field("epoch", "int64"), _field("deleted", "boolean")))


def key_of(keys):
    return base64.b64decode(keys, validate=True).decode("utf-8")


class JavaState:
    def __init__(self):
        self.connectors, self.states, self.dropped = {}, {}, []

    # ---- AbstractConfigManagementService.process ----

    def config(self, keys, body):
        key = key_of(keys)
        schema, value = convert(body)
        for prefix, read in (("target-state-", self._target), ("connector-", self._connector),
                             ("task-", None), ("delete-", self._delete)):
            if key.startswith(prefix):
                name = key[len(prefix):]
                if prefix == "target-state-" and schema == DELETE_V1:
                    read = self._delete
                if read is None:
                    return "task"
                read(name, value)
                return prefix + ("deleted" if read == self._delete else "")
        if key != "start-signal":
            self.dropped.append(key)
        return key.split("-")[0]

    def _struct(self, value, **types):
        for name, kind in types.items():
            if not isinstance(value, dict) or not isinstance(value.get(name), kind):
                raise Unreadable(f"{name} is {value!r}")

    def _connector(self, name, value):
        self._struct(value, state=str, epoch=int, properties=dict)
        if value["state"] not in TARGETS:
            raise Unreadable(f"TargetState.valueOf({value['state']})")
        new = {"properties": value["properties"], "target": value["state"],
               "epoch": value["epoch"]}
        old = self.connectors.get(name)
        if old is None or (old["properties"] != new["properties"] and new["epoch"] > old["epoch"]):
            self.connectors[name] = new

    def _target(self, name, value):
        if name not in self.connectors:
            return
        self._struct(value, state=str, epoch=int)
        if value["epoch"] > self.connectors[name]["epoch"]:
            if value["state"] not in TARGETS:
                raise Unreadable(f"TargetState.valueOf({value['state']})")
            self.connectors[name]["target"] = value["state"]

    def _delete(self, name, value):
        if name not in self.connectors:
            return
        self._struct(value, epoch=int)
        if value["epoch"] > self.connectors[name]["epoch"]:
            del self.connectors[name]

    # ---- AbstractStateManagementService ----

    def status(self, keys, body):
        key = key_of(keys)
        schema, value = convert(body)
        if key.startswith("status-connector-"):
            name, task = key[len("status-connector-"):], -1
        elif key.startswith("status-task-"):
            parts = key.split("-")
            if len(parts) < 4 or not parts[-1].isdigit():
                raise Unreadable(f"key '{key}'")
            name, task = "-".join(parts[2:-1]), int(parts[-1])
        else:
            if key != "start-signal":
                self.dropped.append(key)
            return
        if schema is None or schema[0] != "struct":
            raise Unreadable("a status that is no struct")
        self._struct(value, state=str, worker_id=str, generation=int)
        if value["state"] not in STATES:
            raise Unreadable(f"State.valueOf({value['state']})")
        if value["state"] == "DESTROYED":
            self.states = {k: v for k, v in self.states.items() if k[0] != name}
            return
        old = self.states.get((name, task))
        if old is None or value["generation"] > old["generation"]:
            self.states[name, task] = {"state": value["state"], "trace": value.get("trace"),
                                       "worker": value["worker_id"],
                                       "generation": value["generation"]}
