// SPDX-License-Identifier: Apache-2.0
// The connectors of this host: lines of a file as records, and values of records as lines.
'use strict';

const fs = require('node:fs/promises');

/** An error as the protocol has it; anything else thrown counts as a bug. */
class Problem extends Error {
  constructor(code, retriable, message) {
    super(message);
    this.code = code;
    this.retriable = retriable;
  }
}

/** Gives lines; the position of one is the byte where the next begins. */
class LineSource {
  static kind = 1;
  static name_ = 'node.LineSource';
  static doc = 'Lines of a file, each a record.';
  static flags = 1; // continues exactly after any position
  static options = [
    { name: 'file', type: 1, flags: 1, default: null, doc: 'File to read.' },
    { name: 'follow', type: 2, flags: 0, default: 'false', doc: 'Whether to wait for more lines.' },
  ];

  static async validate(config) {
    try {
      await fs.access(config.file, fs.constants.R_OK);
      return [];
    } catch (error) {
      return [{ key: 'file', value: config.file, text: `cannot be read: ${error.code}` }];
    }
  }

  constructor(config) {
    this.config = config;
    this.partition = { file: config.file };
  }

  async start(readOffset) {
    const offset = await readOffset(this.partition);
    this.file = await fs.open(this.config.file);
    this.at = offset === null ? 0 : Number(offset.get('byte')); // numbers come back as text
    this.rest = Buffer.alloc(0);
    this.readAt = this.at;
  }

  /** Up to `max` lines as {value, byte}; null at the end, [] when there is nothing now. */
  async poll(max) {
    const lines = [];
    if (this.rest.indexOf(10) < 0) {
      const { bytesRead, buffer } = await this.file.read(Buffer.alloc(1 << 18), 0, 1 << 18, this.readAt);
      this.readAt += bytesRead;
      this.rest = Buffer.concat([this.rest, buffer.subarray(0, bytesRead)]);
      if (bytesRead === 0) return this.config.follow === 'true' ? lines : null;
    }
    for (let end; lines.length < max && (end = this.rest.indexOf(10)) >= 0;) {
      this.at += end + 1;
      lines.push({ value: this.rest.toString('utf8', 0, end), byte: BigInt(this.at) });
      this.rest = this.rest.subarray(end + 1);
    }
    return lines;
  }

  async stop() { await this.file?.close(); }
}

/** Appends values as lines; durable with pre-commit. */
class LineSink {
  static kind = 2;
  static name_ = 'node.LineSink';
  static doc = 'Values of records, a line each.';
  static flags = 0;
  static options = [{ name: 'file', type: 1, flags: 1, default: null, doc: 'File to append to.' }];

  static async validate() { return []; }

  constructor(config) { this.config = config; }

  async start() { this.file = await fs.open(this.config.file, 'a'); }

  async put(records) {
    try {
      await this.file.appendFile(records.map((r) => `${r.value}\n`).join(''));
    } catch (error) {
      throw new Problem(6, true, `cannot write to ${this.config.file}: ${error.message}`);
    }
  }

  async flush() { await this.file.datasync(); }
  async stop() { await this.file?.close(); }
}

module.exports = { Problem, plugins: [LineSource, LineSink] };
