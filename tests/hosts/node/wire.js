// SPDX-License-Identifier: Apache-2.0
// Frames and values of the connector host protocol, version 1: docs/host-protocol.md.
'use strict';

const TYPE = {
  HELLO: 0x01, WELCOME: 0x02, ERROR: 0x03, PING: 0x04, LOG: 0x05, METRICS: 0x06, SHUTDOWN: 0x07,
  SCAN: 0x10, VALIDATE: 0x12,
  CONNECTOR_START: 0x20, TASK_CONFIGS: 0x21, TASK_START: 0x22, STOP: 0x24, SCHEMAS: 0x27,
  CREDIT: 0x30, BATCH: 0x31, ACK: 0x32, COMMIT: 0x33, OFFSET_READ: 0x34, FINISHED: 0x35,
  OPEN: 0x40, CLOSE: 0x41, PUT: 0x42, PRECOMMIT: 0x43,
};
const OPTIONAL = 1, REPLY = 2, NONE = 0xffffffff;

/** Grows as it is written; everything little-endian. */
class Out {
  constructor(size = 256) {
    this.buffer = Buffer.allocUnsafe(size);
    this.length = 0;
  }

  room(n) {
    if (this.length + n > this.buffer.length) {
      const bigger = Buffer.allocUnsafe(Math.max(this.buffer.length * 2, this.length + n));
      this.buffer.copy(bigger, 0, 0, this.length);
      this.buffer = bigger;
    }
    const at = this.length;
    this.length += n;
    return at;
  }

  u8(v) { const at = this.room(1); this.buffer[at] = v; return this; }
  u16(v) { const at = this.room(2); this.buffer.writeUInt16LE(v, at); return this; }
  u32(v) { const at = this.room(4); this.buffer.writeUInt32LE(v, at); return this; }
  i32(v) { const at = this.room(4); this.buffer.writeInt32LE(v, at); return this; }
  u64(v) { const at = this.room(8); this.buffer.writeBigUInt64LE(BigInt(v), at); return this; }
  i64(v) { const at = this.room(8); this.buffer.writeBigInt64LE(BigInt(v), at); return this; }

  bytes(raw) {
    this.u32(raw.length);
    const at = this.room(raw.length);
    raw.copy(this.buffer, at);
    return this;
  }

  str(text) {
    const size = Buffer.byteLength(text);
    this.u32(size);
    const at = this.room(size);
    this.buffer.write(text, at);
    return this;
  }

  strOrNone(text) { return text === null ? this.u32(NONE) : this.str(text); }

  kv(pairs) {
    this.u32(Object.keys(pairs).length);
    for (const [key, value] of Object.entries(pairs)) this.str(key).str(value);
    return this;
  }

  /** A value of the kinds that our connectors have: STRING, INT64, BYTES. */
  value(v) {
    if (typeof v === 'string') return this.u8(8).str(v);
    if (typeof v === 'bigint') return this.u8(4).i64(v);
    return this.u8(9).bytes(v);
  }

  map(entries) {
    this.u32(Object.keys(entries).length);
    for (const [key, value] of Object.entries(entries)) this.value(key).value(value);
    return this;
  }

  sized(write) {
    const at = this.room(4);
    write(this);
    this.buffer.writeUInt32LE(this.length - at - 4, at);
    return this;
  }

  done() { return this.buffer.subarray(0, this.length); }
}

/** Reads what Out writes. Buffer's own checks catch a payload that is too short. */
class In {
  constructor(raw, schemas = new Map()) {
    this.raw = raw;
    this.at = 0;
    this.schemas = schemas; // id -> count of fields
  }

  step(n) { const at = this.at; this.at += n; return at; }
  u8() { return this.raw.readUInt8(this.step(1)); }
  u16() { return this.raw.readUInt16LE(this.step(2)); }
  u32() { return this.raw.readUInt32LE(this.step(4)); }
  i32() { return this.raw.readInt32LE(this.step(4)); }
  u64() { return this.raw.readBigUInt64LE(this.step(8)); }
  i64() { return this.raw.readBigInt64LE(this.step(8)); }

  bytesOrNone() {
    const size = this.u32();
    return size === NONE ? null : this.raw.subarray(this.step(size), this.at);
  }

  str() { const raw = this.bytesOrNone(); return raw === null ? null : raw.toString(); }

  list(read) {
    const out = [];
    for (let n = this.u32(); n > 0; n--) out.push(read());
    return out;
  }

  sized(read) {
    const end = this.u32() + this.at;
    const got = read();
    this.at = end;
    return got;
  }

  kv() { return Object.fromEntries(this.list(() => [this.str(), this.str()])); }
  map() { return new Map(this.list(() => [this.value(), this.value()])); }

  value() {
    const tag = this.u8();
    const v = this.body(tag & 0x7f);
    if (tag & 0x80) this.str(); // the text a number was read from
    return v;
  }

  body(kind) {
    switch (kind) {
      case 0: return null;
      case 1: return this.raw.readInt8(this.step(1));
      case 2: return this.raw.readInt16LE(this.step(2));
      case 3: return this.i32();
      case 4: case 12: return this.i64();
      case 5: return this.raw.readFloatLE(this.step(4));
      case 6: return this.raw.readDoubleLE(this.step(8));
      case 7: return this.u8() === 1;
      case 8: case 14: return this.str();
      case 9: return this.bytesOrNone();
      case 10: return this.list(() => this.value());
      case 11: return this.map();
      case 13: {
        const fields = [];
        for (let n = this.schemas.get(this.u32()); n > 0; n--) fields.push(this.value());
        return fields;
      }
      default: throw new Error(`unknown tag ${kind}`);
    }
  }

  /** SCHEMAS: of a schema only its fields matter here, for the reading of structs. */
  defineSchemas() {
    this.list(() => this.sized(() => {
      const id = this.u32();
      this.u8(), this.u8(), this.i32(), this.str(), this.str(), this.kv();
      this.schemas.set(id, this.list(() => [this.str(), this.u32()]).length);
    }));
  }

  /** Records with what a sink here looks at: topic, queue, key, value. */
  records() {
    const maps = [], texts = [];
    const reference = (known, read) => {
      const number = this.u32();
      if (number === known.length) known.push(read());
      return known[number];
    };
    return this.list(() => {
      const fields = this.u16();
      const has = (bit, read) => (fields & bit ? read() : null);
      const record = {};
      record.timestamp = has(0x1, () => this.i64());
      has(0x2, () => this.u32());
      has(0x4, () => this.u32());
      record.key = has(0x8, () => this.value());
      record.value = has(0x10, () => this.value());
      has(0x20, () => reference(maps, () => this.map()));
      has(0x40, () => reference(maps, () => this.map()));
      record.offset = has(0x80, () => [reference(texts, () => this.str()), this.i64()]);
      has(0x100, () => this.kv());
      has(0x200, () => this.kv());
      record.topic = has(0x400, () => reference(texts, () => this.str()));
      record.queue = has(0x800, () => this.i32());
      has(0x1000, () => this.i32());
      has(0x2000, () => this.i64());
      return record;
    });
  }
}

/** The socket: whole frames out and in. */
class Channel {
  constructor(socket, take, ended) {
    this.socket = socket;
    this.parts = [];
    this.have = 0;
    this.take = take;
    socket.on('data', (part) => this.fed(part));
    socket.on('end', ended);
    socket.on('error', ended);
  }

  send(type, instance, request, payload = Buffer.alloc(0), flags = 0) {
    const head = Buffer.alloc(12);
    head.writeUInt32LE(payload.length, 0);
    head.writeUInt8(type, 4);
    head.writeUInt8(flags, 5);
    head.writeUInt16LE(instance, 6);
    head.writeUInt32LE(request, 8);
    this.socket.write(head);
    if (payload.length > 0) this.socket.write(payload);
  }

  fed(part) {
    this.parts.push(part);
    this.have += part.length;
    if (this.have < 12) return;
    let all = this.parts.length === 1 ? part : Buffer.concat(this.parts);
    while (all.length >= 12 && all.length >= 12 + all.readUInt32LE(0)) {
      const end = 12 + all.readUInt32LE(0);
      this.take({
        type: all[4], flags: all[5], instance: all.readUInt16LE(6), request: all.readUInt32LE(8),
        payload: all.subarray(12, end),
      });
      all = all.subarray(end);
    }
    this.parts = all.length > 0 ? [all] : [];
    this.have = all.length;
  }
}

module.exports = { TYPE, OPTIONAL, REPLY, Out, In, Channel };
