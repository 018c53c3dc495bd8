import { NLA_TYPE_MASK, NLMSG_ALIGNTO } from './netlink-constants.ts';

/**
 * Netlink attributes (struct nlattr, include/uapi/linux/netlink.h): length and type as u16, payload, padding to four bytes.
 * Integers are in the machine's order: little-endian on the x86-64 and arm64 that we run on.
 */
const headerBytes = 4;

export const align = (bytes: number): number => (bytes + NLMSG_ALIGNTO - 1) & ~(NLMSG_ALIGNTO - 1);

export function attribute(type: number, payload: Uint8Array): Buffer {
  const bytes = Buffer.alloc(align(headerBytes + payload.length));
  bytes.writeUInt16LE(headerBytes + payload.length, 0);
  bytes.writeUInt16LE(type, 2);
  bytes.set(payload, headerBytes);
  return bytes;
}

export const u8Attribute = (type: number, value: number): Buffer => attribute(type, Uint8Array.of(value));

export function u16Attribute(type: number, value: number): Buffer {
  const payload = Buffer.alloc(2);
  payload.writeUInt16LE(value);
  return attribute(type, payload);
}

export function u32Attribute(type: number, value: number): Buffer {
  const payload = Buffer.alloc(4);
  payload.writeUInt32LE(value);
  return attribute(type, payload);
}

/** NLA_NUL_STRING: names that the kernel looks up. */
export const nameAttribute = (type: number, text: string): Buffer => attribute(type, Buffer.from(`${text}\0`));

/** NLA_STRING: the length says where it ends. */
export const textAttribute = (type: number, text: string): Buffer => attribute(type, Buffer.from(text));

export const nestedAttribute = (type: number, ...inside: readonly Uint8Array[]): Buffer =>
  attribute(type, Buffer.concat(inside));

/** The attributes of a message body from `offset` on, by type. A length that points outside ends the reading. */
export function readAttributes(body: Buffer, offset = 0): Attributes {
  const payloads = new Map<number, Buffer>();
  for (let at = offset; at + headerBytes <= body.length; ) {
    const length = body.readUInt16LE(at);
    if (length < headerBytes || at + length > body.length) break;
    payloads.set(body.readUInt16LE(at + 2) & NLA_TYPE_MASK, body.subarray(at + headerBytes, at + length));
    at += align(length);
  }
  return new Attributes(payloads);
}

export class Attributes {
  readonly #payloads: ReadonlyMap<number, Buffer>;

  constructor(payloads: ReadonlyMap<number, Buffer>) {
    this.#payloads = payloads;
  }

  /** Types that are there, each once. */
  get types(): number[] {
    return [...this.#payloads.keys()];
  }

  bytes(type: number): Buffer | undefined {
    return this.#payloads.get(type);
  }

  /** Those of a list, whose types only number them. */
  payloads(): Iterable<Buffer> {
    return this.#payloads.values();
  }

  u8(type: number): number | undefined {
    return this.#payloads.get(type)?.[0];
  }

  u16(type: number): number | undefined {
    const payload = this.#payloads.get(type);
    return payload === undefined || payload.length < 2 ? undefined : payload.readUInt16LE(0);
  }

  u32(type: number): number | undefined {
    const payload = this.#payloads.get(type);
    return payload === undefined || payload.length < 4 ? undefined : payload.readUInt32LE(0);
  }

  text(type: number): string | undefined {
    return this.#payloads.get(type)?.toString('utf8').replace(/\0$/, '');
  }

  nested(type: number): Attributes {
    return readAttributes(this.#payloads.get(type) ?? Buffer.alloc(0));
  }
}
