// A client in JavaScript: docs/protocol.md over WebSocket, with JSON bodies. No dependencies.
//
//   const client = await Client.connect("ws://localhost:1234/_rpc_");
//   const product = await client.call("Arith.Multiply", { a: 7, b: 8 });
//   for await (const item of client.serverStream("Table.Row", 7)) { if (item > 70) break; }
//
// What fails throws a Status. JSON in JavaScript keeps integers up to 2^53 exact.

const [REQUEST, RESPONSE, STATUS, CANCEL, DATA, END, CREDIT, PING, PONG, GO_AWAY] = [1, 2, 3, 4, 5, 6, 7, 8, 9, 10];
const [METADATA, MORE, NAME] = [0x01, 0x04, 0x08];
// What a server may send, and with which flags.
const FLAGS = {
  [RESPONSE]: METADATA | MORE, [STATUS]: METADATA, [DATA]: 0, [END]: METADATA,
  [CREDIT]: 0, [PING]: 0, [PONG]: 0, [GO_AWAY]: 0,
};

// A page cannot set headers, so the limits are those of a handshake without any.
const MAX_FRAME = 4_194_304, MAX_CALLS = 1024, MAX_STREAMS = 256, WINDOW = 524_288;
const ITEM_COST = 32; // of the credit, beside the item's length
const MESSAGE = 65_536; // Where WebSocket messages end means nothing; a server takes 1 MiB in one.

const CODES = [
  "", "Cancelled", "Unknown", "InvalidArgument", "DeadlineExceeded", "NotFound", "AlreadyExists", "PermissionDenied",
  "ResourceExhausted", "FailedPrecondition", "Aborted", "OutOfRange", "Unimplemented", "Internal", "Unavailable",
  "DataLoss", "Unauthenticated",
];
const EXECUTED = ["No", "Maybe", "Yes"];

const encoder = new TextEncoder(), decoder = new TextDecoder();

/** Why a call failed. `executed` tells whether its handler may have run: with "No" it is safe to call again. */
export class Status extends Error {
  constructor(code, message, executed = "Maybe") {
    super(message);
    this.name = code;
    this.code = code;
    this.executed = executed;
  }
}

export class Client {
  #socket;
  #input = new Input();
  #calls = new Map(); // by id, until their terminal frame
  #counter = 0;
  #slots = []; // that were in use and are free
  #streams = 0;
  #last = null; // the last call that the server takes, once it goes away
  #refused = null; // why no call can be opened any longer

  /** Ends with a text that says why, when the connection does. */
  closed;

  static connect(url) {
    return new Promise((resolve, reject) => {
      const socket = new WebSocket(url, "rpc.json");
      socket.binaryType = "arraybuffer";
      socket.onopen = () => resolve(new Client(socket));
      // A page is not told why: it could find out about networks that are not its own.
      socket.onclose = () => reject(new Status("Unavailable", `${url} does not let this page in`, "No"));
    });
  }

  constructor(socket) {
    this.#socket = socket;
    socket.onmessage = ({ data }) => this.#read(data);
    this.closed = new Promise((resolve) => {
      socket.onclose = ({ code, reason }) => {
        const why = this.#refused?.message ?? `the connection was closed (${code} ${reason})`;
        this.#fail(new Status("Unavailable", why), [...this.#calls.keys()]);
        resolve(why);
      };
    });
  }

  /** One answer. `signal` gives the call up, and the server drops its handler. */
  call(method, args = null, { signal } = {}) {
    return new Promise((resolve, reject) => {
      signal?.throwIfAborted();
      const id = this.#open(method, args, 0, { resolve, reject });
      signal?.addEventListener("abort", () => {
        reject(signal.reason);
        this.#giveUp(id);
      }, { once: true });
    });
  }

  /** Items, as they are asked for: whoever stops taking them stops the server, and leaving the loop ends the call. */
  async *serverStream(method, args = null, { signal } = {}) {
    signal?.throwIfAborted();
    const items = new Items();
    const id = this.#open(method, args, MORE, items);
    this.#send(END, 0, id); // of this side's items: there are none
    const abort = () => items.end(signal.reason, true);
    signal?.addEventListener("abort", abort);
    try {
      for (;;) {
        const item = await items.next();
        if (!item) return;
        const credit = items.consume(item.cost);
        if (credit && this.#calls.has(id)) this.#send(CREDIT, 0, id, uint32(credit));
        yield parse(item.bytes);
      }
    } finally {
      signal?.removeEventListener("abort", abort);
      items.drop();
      this.#giveUp(id);
    }
  }

  /** Calls in flight fail. */
  close() {
    this.#refused ??= new Status("Unavailable", "this client was closed", "No");
    this.#socket.close();
  }

  #open(method, args, flags, call) {
    if (this.#refused) throw this.#refused;
    if (this.#calls.size >= MAX_CALLS || (call instanceof Items && this.#streams >= MAX_STREAMS)) {
      throw new Status("ResourceExhausted", "as many calls are in flight as the server takes", "No");
    }
    const name = encoder.encode(method);
    // Index 0: the name stands in this frame and is not remembered. The fingerprint 0 is unknown.
    const body = join([new Uint8Array(10), Uint8Array.of(name.length), name, encoder.encode(JSON.stringify(args))]);
    if (name.length > 255) throw new Status("InvalidArgument", "the method's name is over 255 bytes", "No");
    if (10 + body.length > MAX_FRAME) throw new Status("ResourceExhausted", "the arguments are over 4 MiB", "No");
    const slot = this.#slots.pop() ?? this.#calls.size;
    const id = (BigInt(++this.#counter) << 16n) | BigInt(slot);
    this.#calls.set(id, call);
    this.#streams += call instanceof Items;
    this.#send(REQUEST, NAME | flags, id, body);
    return id;
  }

  /** Asks the server to stop. Its terminal frame still comes, and until then the call counts. */
  #giveUp(id) {
    if (this.#calls.has(id)) this.#send(CANCEL, 0, id);
  }

  /** Forgets a call whose terminal frame has come, or never will. */
  #end(id) {
    this.#streams -= this.#calls.get(id) instanceof Items;
    this.#calls.delete(id);
    this.#slots.push(Number(id & 0xffffn));
    if (this.#last !== null && this.#calls.size === 0) this.#socket.close();
  }

  #fail(status, ids) {
    this.#refused ??= new Status(status.code, status.message, "No");
    for (const id of ids) {
      const call = this.#calls.get(id);
      this.#end(id);
      call.reject(status);
    }
  }

  #send(kind, flags, id, body = new Uint8Array(0)) {
    const header = new DataView(new ArrayBuffer(14));
    header.setUint32(0, 10 + body.length);
    header.setUint8(4, kind);
    header.setUint8(5, flags);
    header.setBigUint64(6, id);
    const frame = join([new Uint8Array(header.buffer), body]);
    for (let at = 0; at < frame.length; at += MESSAGE) this.#socket.send(frame.subarray(at, at + MESSAGE));
  }

  #read(data) {
    if (this.#socket.readyState !== WebSocket.OPEN) return;
    try {
      if (typeof data === "string") throw new Error("text, where only binary messages are taken");
      this.#input.push(new Uint8Array(data));
      for (let frame; (frame = this.#input.next()); ) this.#receive(frame);
    } catch (error) {
      // The server broke the protocol: nothing that follows can be trusted.
      const why = `the server broke the protocol: ${error.message}`;
      this.#refused ??= new Status("Internal", why, "No");
      this.#send(GO_AWAY, 0, 0n, join([Uint8Array.of(1), encoder.encode(why)]));
      this.#socket.close();
    }
  }

  #receive({ kind, flags, id, body }) {
    if (!(kind in FLAGS)) {
      if (kind & 0x80) return;
      throw new Error(`a frame of kind ${kind}`);
    }
    if (flags & ~FLAGS[kind]) throw new Error(`flags ${flags} on a frame of kind ${kind}`);
    if (kind === PING) return this.#send(PONG, 0, id);
    if (kind === PONG) return;
    if (kind === GO_AWAY) return this.#goAway(id, body);

    const call = this.#calls.get(id);
    if (!call) throw new Error(`a frame of kind ${kind} for a call that is not open`);
    const isStream = call instanceof Items;
    if (kind === RESPONSE && flags & MORE) {
      if (isStream) return call.begin();
      call.reject(new Status("Internal", "items came where one answer was expected"));
      // What comes for it from here on is dropped, under the rules for items.
      const dropped = new Items();
      dropped.begin();
      dropped.drop();
      this.#calls.set(id, dropped);
      this.#streams += 1;
      return this.#giveUp(id);
    }
    if (kind === RESPONSE) {
      const answer = behindMetadata(flags, body);
      this.#end(id);
      if (isStream) return call.reject(new Status("Internal", "one answer came where items were expected", "Yes"));
      try {
        return call.resolve(parse(answer));
      } catch (status) {
        return call.reject(status);
      }
    }
    if (kind === STATUS) {
      const status = readStatus(behindMetadata(flags, body));
      this.#end(id);
      return call.reject(status);
    }
    if (!isStream) throw new Error(`a frame of kind ${kind} for a call without a stream`);
    if (kind === DATA) return call.receive(body);
    if (kind === END) {
      call.finish();
      return this.#end(id);
    }
    // Credit, for items that this side does not send.
    if (new DataView(body.buffer).getUint32(0) === 0) throw new Error("a Credit of nothing");
  }

  #goAway(last, body) {
    if (this.#last !== null && last > this.#last) throw new Error("a second GoAway that takes more calls");
    this.#last = last;
    const status = new Status("Unavailable", `the server goes away: ${decoder.decode(body.subarray(1))}`, "No");
    this.#refused ??= status;
    if (this.#calls.size === 0) this.#socket.close();
    this.#fail(status, [...this.#calls.keys()].filter((id) => id > last));
  }
}

/** Bytes that have come, as frames. */
class Input {
  #bytes = new Uint8Array(MESSAGE);
  #from = 0;
  #to = 0;

  push(more) {
    if (this.#to + more.length > this.#bytes.length) {
      const kept = this.#bytes.subarray(this.#from, this.#to);
      const needed = kept.length + more.length;
      const bytes = needed > this.#bytes.length ? new Uint8Array(2 * needed) : this.#bytes;
      bytes.set(kept);
      [this.#bytes, this.#from, this.#to] = [bytes, 0, kept.length];
    }
    this.#bytes.set(more, this.#to);
    this.#to += more.length;
  }

  next() {
    if (this.#to - this.#from < 4) return null;
    const view = new DataView(this.#bytes.buffer, this.#from, this.#to - this.#from);
    const length = view.getUint32(0);
    if (length < 10 || length > MAX_FRAME) throw new Error(`a frame of ${length} bytes`);
    if (view.byteLength < 4 + length) return null;
    const start = this.#from + 14;
    this.#from += 4 + length;
    const body = this.#bytes.slice(start, this.#from); // a copy: the buffer is used again
    return { kind: view.getUint8(4), flags: view.getUint8(5), id: view.getBigUint64(6), body };
  }
}

/** The items of one stream that have come and were not taken yet. */
class Items {
  #begun = false;
  #credit = WINDOW; // how much the server may still send
  #consumed = 0; // and was not told of
  #part = null; // an item that has not come whole
  #queue = [];
  #dropping = false;
  #over = null; // or `{ error }`, where none is a good end
  #wake = () => {};

  /** The next one, or nothing at the end. */
  async next() {
    while (this.#queue.length === 0 && !this.#over) await new Promise((resolve) => (this.#wake = resolve));
    const item = this.#queue.shift();
    if (!item && this.#over.error) throw this.#over.error;
    return item;
  }

  /** The credit to give back, in steps of half a window. */
  consume(cost) {
    this.#consumed += cost;
    if (this.#consumed < WINDOW / 2) return 0;
    const credit = this.#consumed;
    this.#credit += credit;
    this.#consumed = 0;
    return credit;
  }

  drop() {
    this.#dropping = true;
    this.#queue = [];
  }

  begin() {
    if (this.#begun) throw new Error("a second head of an answer");
    this.#begun = true;
  }

  /** A Data frame: items, or parts of them. */
  receive(body) {
    if (!this.#begun) throw new Error("items before the head of their answer");
    if (body.length === 0) throw new Error("a Data frame without items");
    for (let at = 0; at < body.length; ) {
      if (!this.#part) {
        const length = new DataView(body.buffer).getUint32(at); // A length is never cut.
        at += 4;
        if (this.#credit <= 0) throw new Error("an item beyond the credit");
        this.#credit -= length + ITEM_COST;
        this.#part = { cost: length + ITEM_COST, missing: length, chunks: [] };
        if (length > MAX_FRAME) {
          this.end(new Status("ResourceExhausted", `an item of ${length} bytes is too large`, "Yes"));
          this.#dropping = true;
        }
      }
      const chunk = body.subarray(at, at + this.#part.missing);
      at += chunk.length;
      this.#part.missing -= chunk.length;
      if (!this.#dropping) this.#part.chunks.push(chunk);
      if (this.#part.missing === 0) {
        if (!this.#dropping) this.#queue.push({ cost: this.#part.cost, bytes: join(this.#part.chunks) });
        this.#part = null;
        this.#wake();
      }
    }
  }

  /** The server's End. */
  finish() {
    if (!this.#begun) throw new Error("an End before the head of its answer");
    if (this.#part) throw new Error("an End inside an item");
    this.end(null);
  }

  reject(status) {
    this.end(status);
  }

  /** Nothing follows; what has come is taken first, unless it is to end `now`. */
  end(error, now = false) {
    this.#over ??= { error };
    if (now) this.drop();
    this.#wake();
  }
}

function readStatus(body) {
  const view = new DataView(body.buffer, body.byteOffset, body.length);
  const length = view.getUint32(2);
  if (6 + length > body.length) throw new Error("a Status that is cut");
  const message = decoder.decode(body.subarray(6, 6 + length));
  return new Status(CODES[body[0]] || "Unknown", message, EXECUTED[body[1]] ?? "Maybe");
}

function behindMetadata(flags, body) {
  if (!(flags & METADATA)) return body;
  const length = new DataView(body.buffer).getUint16(0);
  if (2 + length > body.length) throw new Error("metadata that is cut");
  return body.subarray(2 + length);
}

function parse(bytes) {
  try {
    return JSON.parse(decoder.decode(bytes));
  } catch (error) {
    throw new Status("Internal", `what the server answered is no JSON: ${error.message}`, "Yes");
  }
}

function uint32(number) {
  const bytes = new Uint8Array(4);
  new DataView(bytes.buffer).setUint32(0, number);
  return bytes;
}

function join(parts) {
  const all = new Uint8Array(parts.reduce((length, part) => length + part.length, 0));
  let at = 0;
  for (const part of parts) {
    all.set(part, at);
    at += part.length;
  }
  return all;
}
