#!/usr/bin/env node
// SPDX-License-Identifier: Apache-2.0
// A connector host in Node, written from docs/host-protocol.md alone; it shares no code with others.
// Node has one thread, and its connectors never block it: so PING is answered at any time.
'use strict';

const net = require('node:net');
const { setTimeout: sleep } = require('node:timers/promises');
const { TYPE, OPTIONAL, REPLY, Out, In, Channel } = require('./wire.js');
const { plugins } = require('./connectors.js');

const VERSION = '1.0.0';
const CAN = 0x01 | 0x02 | 0x20 | 0x40; // sources, sinks, many connectors, SCAN
const instances = new Map();
const channel = new Channel(new net.Socket({ fd: 0, readable: true, writable: true }), take,
  () => process.exit(0)); // the worker is gone

function named(name) {
  const plugin = plugins.find((p) => p.name_ === name);
  if (plugin === undefined) throw Object.assign(new Error(`there is no class ${name}`), { code: 2 });
  return plugin;
}

/** A connector or a task. Its frames are worked off one after another. */
class Instance {
  constructor(frame) {
    const r = new In(frame.payload);
    this.number = frame.instance;
    this.isTask = frame.type === TYPE.TASK_START;
    this.kind = r.u8();
    this.class = r.str();
    r.str(), r.str();
    this.config = r.kv();
    r.u16(), r.str(), r.u32(), r.u32(), r.u8();
    this.recordsMax = r.u32();
    this.bytesMax = r.u32();
    this.schemas = new Map();
    this.work = Promise.resolve();
    this.asked = new Map(); // our open requests
    this.lastRequest = 0;
    this.call = null;
    this.stopping = false;
  }

  /** Runs `step` behind what came before; an error of it answers the frame. */
  later(frame, step) {
    this.work = this.work.then(() => step(new In(frame.payload, this.schemas)))
      .catch((error) => fail(0, this.number, frame.request, error));
  }

  reply(frame, payload) { channel.send(frame.type, this.number, frame.request, payload, REPLY); }

  ask(type, payload) {
    const request = ++this.lastRequest;
    channel.send(type, this.number, request, payload);
    return new Promise((resolve) => this.asked.set(request, resolve));
  }

  async readOffset(partition) {
    const r = new In(await this.ask(TYPE.OFFSET_READ, new Out().u32(1).map(partition).done()));
    r.u32();
    return r.u8() === 1 ? r.map() : null;
  }

  async timed(call, run) {
    this.call = call;
    this.since = Date.now();
    try {
      return await run();
    } finally {
      this.call = null;
    }
  }

  begin(frame) {
    this.later(frame, async () => {
      const plugin = named(this.class);
      if (this.isTask) {
        this.task = new plugin(this.config);
        await this.timed('start', () => this.task.start((p) => this.readOffset(p)));
      }
      this.reply(frame);
      if (this.isTask && this.kind === 1) this.running = this.pump();
    });
  }

  take(frame) {
    if (frame.type === TYPE.STOP) {
      this.stopping = true;
      this.wake?.();
    }
    this.later(frame, (r) => this.handle(frame, r));
  }

  async handle(frame, r) {
    switch (frame.type) {
      case TYPE.TASK_CONFIGS: return this.reply(frame, new Out().u32(1).kv({}).done());
      case TYPE.SCHEMAS: return r.defineSchemas();
      case TYPE.CREDIT:
        this.records += Number(r.u64());
        this.bytes += Number(r.u64());
        return this.wake?.();
      case TYPE.OPEN: case TYPE.CLOSE: return this.reply(frame);
      case TYPE.PUT: return this.put(frame, r);
      case TYPE.PRECOMMIT: // all that was put is durable: the same offsets
        await this.timed('flush', () => this.task.flush());
        return this.reply(frame, frame.payload);
      case TYPE.STOP:
        await this.running;
        await this.timed('stop', async () => this.task?.stop());
        instances.delete(this.number);
        return this.reply(frame);
      default: return undefined; // ACK, COMMIT: lines need no receipts
    }
  }

  /** A PUT behind one that failed is not for the plugin: it comes again. */
  async put(frame, r) {
    const number = r.u64();
    if (this.failed !== undefined && number !== this.failed)
      throw Object.assign(new Error('a put before it failed'), { code: 10, retriable: true });
    try {
      await this.timed('put', () => this.task.put(r.records()));
      this.failed = undefined;
    } catch (error) {
      this.failed = number;
      throw error;
    }
    this.reply(frame);
  }

  records = 0;
  bytes = 0;

  /** The source's own loop: polls while there is credit. */
  async pump() {
    let seq = 1n;
    try {
      while (!this.stopping) {
        if (this.records <= 0 || this.bytes <= 0) {
          await new Promise((resolve) => { this.wake = resolve; });
          continue;
        }
        const lines = await this.timed('poll', () => this.task.poll(this.recordsMax));
        if (lines === null) return channel.send(TYPE.FINISHED, this.number, 0);
        if (lines.length === 0) await sleep(20);
        seq = await this.send(lines, seq);
      }
    } catch (error) {
      fail(1, this.number, 0, error);
    }
    return undefined;
  }

  /** One poll as batches of at most bytesMax; each waits for credit. */
  async send(lines, seq) {
    let from = 0;
    while (from < lines.length && !this.stopping) {
      if (this.records <= 0 || this.bytes <= 0) {
        await new Promise((resolve) => { this.wake = resolve; });
        continue;
      }
      const out = new Out(1 << 16);
      out.u64(seq).u32(0);
      let n = 0;
      for (; from + n < lines.length && (n === 0 || out.length + lines[from + n].value.length * 3 + 64 <
        this.bytesMax); n++) this.record(out, lines[from + n], n === 0);
      out.buffer.writeUInt32LE(n, 8);
      channel.send(TYPE.BATCH, this.number, 0, out.done());
      this.records -= n;
      this.bytes -= out.length;
      seq += BigInt(n);
      from += n;
    }
    return seq;
  }

  /** value, partition, and the offset as one counter: maps and names are written once a frame. */
  record(out, line, first) {
    out.u16(0x10 | 0x20 | 0x80).value(line.value).u32(0);
    if (first) out.map(this.task.partition);
    out.u32(0);
    if (first) out.str('byte');
    out.i64(line.byte);
  }
}

/** ERROR: scope 0 answers a request, 1 is of an instance. */
function fail(scope, instance, request, error) {
  const code = Number.isInteger(error.code) ? error.code : 16;
  const out = new Out().u8(scope).u16(code).u16(error.retriable ? 1 : 0).i64(-1)
    .str(error.constructor.name).str(String(error.message).slice(0, 900)).str(error.stack ?? '');
  channel.send(TYPE.ERROR, instance, request, out.done(), scope === 0 ? REPLY : 0);
}

function describe(out, plugin, location) {
  return out.sized((o) => {
    o.u8(plugin.kind).u32(plugin.flags).str(plugin.name_).str(location).str(VERSION).str(plugin.doc);
    o.u32(plugin.options.length);
    for (const option of plugin.options)
      o.sized(() => o.str(option.name).u8(option.type).u32(option.flags).strOrNone(option.default)
        .str(option.doc).i64(0).i64(0).str('').strOrNone(null).u8(0));
  });
}

async function validate(frame) {
  const r = new In(frame.payload);
  r.u8();
  const plugin = named(r.str());
  r.str();
  const problems = await plugin.validate(r.kv());
  const out = new Out().u32(problems.length);
  for (const p of problems) out.u8(0).str(p.key).str(p.value).str(p.text);
  channel.send(TYPE.VALIDATE, 0, frame.request, out.done(), REPLY);
}

function pong(frame) {
  const busy = [...instances.values()].filter((i) => i.call !== null);
  const out = new Out().u64(new In(frame.payload).u64());
  const heap = process.memoryUsage();
  out.u64(heap.heapUsed).u64(heap.heapTotal).u32(busy.length);
  for (const i of busy)
    out.sized((o) => o.u16(i.number).u32(Date.now() - i.since).str(i.call));
  channel.send(TYPE.PING, 0, frame.request, out.done(), REPLY);
}

function scan(frame) {
  const paths = new In(frame.payload);
  const location = paths.list(() => paths.str())[0];
  const out = new Out().u32(plugins.length);
  for (const plugin of plugins) describe(out, plugin, location);
  channel.send(TYPE.SCAN, 0, frame.request, out.u32(0).done(), REPLY);
}

/** Frames of the host as a whole. */
function takeOwn(frame) {
  switch (frame.type) {
    case TYPE.PING: return pong(frame);
    case TYPE.SCAN: return scan(frame);
    case TYPE.VALIDATE: return validate(frame).catch((error) => fail(0, 0, frame.request, error));
    case TYPE.SHUTDOWN:
      channel.send(TYPE.SHUTDOWN, 0, frame.request, undefined, REPLY);
      return channel.socket.end(() => process.exit(0));
    case TYPE.WELCOME: return undefined;
    default:
      if (frame.flags & OPTIONAL) return undefined;
      console.error(`unknown frame ${frame.type}`);
      return process.exit(1);
  }
}

function take(frame) {
  const instance = instances.get(frame.instance);
  if (frame.instance === 0) {
    takeOwn(frame);
  } else if (frame.flags & REPLY) {
    instance?.asked.get(frame.request)?.(frame.payload);
    instance?.asked.delete(frame.request);
  } else if (frame.type === TYPE.CONNECTOR_START || frame.type === TYPE.TASK_START) {
    const made = new Instance(frame);
    instances.set(made.number, made);
    made.begin(frame);
  } else {
    instance?.take(frame);
  }
}

channel.send(TYPE.HELLO, 0, 0, new Out().u32(0x31504843).u16(1).u16(1).u32(process.pid).u64(CAN)
  .u32(16 << 20).str('node-host').str(VERSION).str(`Node ${process.version}`).kv({}).done());
