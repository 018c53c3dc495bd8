/**
 * The frames between the CNI executable and the node worker, on their unix socket. All integers are u32, little endian.
 *
 *     request = version | environment length | stdin length | nonce length | environment | stdin | nonce
 *     reply   = version | exit code | stdout length | stdout
 *
 * The environment is a list of `KEY=VALUE`, each ended by a NUL. A connection carries one request and its reply. A DEL that found
 * no worker waits on disk as exactly its request frame, in a file named by {@link queueFileName}.
 * The other end of this contract is plugins/shim/shim.c.
 */
export const FRAME_VERSION = 1;

/** Largest parts of a frame. A larger stdin is answered by the executable itself, with CNI error 6. */
export const frameLimits = { environmentBytes: 64 << 10, stdinBytes: 512 << 10, stdoutBytes: 1 << 20 } as const;

/** One CNI call as it left the container runtime: untrusted input, not yet validated beyond the frame itself. */
export interface RequestFrame {
  /**
   * `CNI_COMMAND`, `CNI_CONTAINERID`, `CNI_NETNS`, `CNI_IFNAME`, `CNI_ARGS`, `CNI_PATH` and `TRACEPARENT`, as far as they were set, and
   * `ORBWEAVER_PLUGIN`: the name by which the executable was called. Bytes that are not UTF-8 read as U+FFFD.
   */
  readonly environment: ReadonlyMap<string, string>;
  /** The network configuration, as bytes: it may be anything. */
  readonly stdin: Uint8Array;
  /** Identity of the call, the same in every reconnection: 32 lower-case hexadecimal digits. */
  readonly nonce: string;
}

/** The worker's answer to one call: what the executable prints and how it exits. */
export interface ReplyFrame {
  /** 0 to 255; anything but 0 is a failure to the container runtime. */
  readonly exitCode: number;
  readonly stdout: Uint8Array;
}

/** Bytes that are no frame of this contract. Whoever sent them gets no answer but a closed connection. */
export class FrameError extends Error {
  override readonly name = 'FrameError';
}

const requestHeaderBytes = 16;
const replyHeaderBytes = 12;
const nonceBytes = 32;
const noncePattern = /^[0-9a-f]{32}$/;
const utf8 = new TextEncoder();
const text = new TextDecoder('utf-8', { ignoreBOM: true });

/** Writes one request. Throws {@link FrameError} for what {@link decodeRequest} would not read back. */
export function encodeRequest({ environment, stdin, nonce }: RequestFrame): Uint8Array {
  const entries = [...environment].map(([key, value]) => {
    if (!/^[^=\0]+$/.test(key) || value.includes('\0'))
      throw new FrameError(`Environment variable "${key}" cannot be sent`);
    return `${key}=${value}\0`;
  });
  const encoded = utf8.encode(entries.join(''));
  within('environment', encoded.length, frameLimits.environmentBytes);
  within('stdin', stdin.length, frameLimits.stdinBytes);
  return concatenate([
    integers(FRAME_VERSION, encoded.length, stdin.length, nonceBytes),
    encoded,
    stdin,
    utf8.encode(checkedNonce(nonce)),
  ]);
}

/** Reads one request from all bytes that came so far. Throws {@link FrameError} as soon as they cannot become a request. */
export function decodeRequest(bytes: Uint8Array): RequestFrame | 'incomplete' {
  const header = readHeader(bytes, requestHeaderBytes);
  if (header === 'incomplete') return header;
  const [environmentLength, stdinLength, nonceLength] = header;
  within('environment', environmentLength, frameLimits.environmentBytes);
  within('stdin', stdinLength, frameLimits.stdinBytes);
  if (nonceLength !== nonceBytes) throw new FrameError(`A nonce has ${nonceBytes} bytes, not ${nonceLength}`);
  const stdinStart = requestHeaderBytes + environmentLength;
  const nonceStart = stdinStart + stdinLength;
  if (isIncomplete(bytes, nonceStart + nonceLength)) return 'incomplete';
  return {
    environment: readEnvironment(bytes.subarray(requestHeaderBytes, stdinStart)),
    stdin: bytes.slice(stdinStart, nonceStart),
    nonce: checkedNonce(text.decode(bytes.subarray(nonceStart))),
  };
}

/** Writes one reply. Throws {@link FrameError} for what {@link decodeReply} would not read back. */
export function encodeReply({ exitCode, stdout }: ReplyFrame): Uint8Array {
  within('stdout', stdout.length, frameLimits.stdoutBytes);
  return concatenate([integers(FRAME_VERSION, checkedExitCode(exitCode), stdout.length), stdout]);
}

/** Reads one reply from all bytes that came so far. Throws {@link FrameError} as soon as they cannot become a reply. */
export function decodeReply(bytes: Uint8Array): ReplyFrame | 'incomplete' {
  const header = readHeader(bytes, replyHeaderBytes);
  if (header === 'incomplete') return header;
  const [exitCode, stdoutLength] = header;
  checkedExitCode(exitCode);
  within('stdout', stdoutLength, frameLimits.stdoutBytes);
  if (isIncomplete(bytes, replyHeaderBytes + stdoutLength)) return 'incomplete';
  return { exitCode, stdout: bytes.slice(replyHeaderBytes) };
}

/** Collects the chunks of one connection: call it with each chunk, until it gives the frame or throws {@link FrameError}. */
export function fromChunks<Frame>(decode: (bytes: Uint8Array) => Frame | 'incomplete'): typeof decode {
  let bytes: Uint8Array = new Uint8Array(0);
  return (chunk) => {
    bytes = concatenate([bytes, chunk]);
    return decode(bytes);
  };
}

/**
 * Name of a DEL in the queue directory: sorted by name, the oldest comes first. It is written under `.tmp-<nonce>` beside it (by a
 * worker under `.tmp-worker-…`), synced, renamed, and the directory synced; so a file with this name is whole.
 */
export const queueFileName = (unixNanoseconds: bigint, nonce: string): string =>
  `${unixNanoseconds.toString().padStart(20, '0')}-${checkedNonce(nonce)}.frame`;

/** Recognises a name made by {@link queueFileName}; any other file in the queue directory is not a DEL. */
export const QUEUE_FILE_NAME = /^(?<unixNanoseconds>\d{20})-(?<nonce>[0-9a-f]{32})\.frame$/;

type RequestHeader = [environmentLength: number, stdinLength: number, nonceLength: number];
type ReplyHeader = [exitCode: number, stdoutLength: number];

function readHeader(bytes: Uint8Array, length: typeof requestHeaderBytes): RequestHeader | 'incomplete';
function readHeader(bytes: Uint8Array, length: typeof replyHeaderBytes): ReplyHeader | 'incomplete';
function readHeader(bytes: Uint8Array, length: number): number[] | 'incomplete' {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (bytes.length >= 4 && view.getUint32(0, true) !== FRAME_VERSION) {
    throw new FrameError(`Frame version ${view.getUint32(0, true)} is not ${FRAME_VERSION}`);
  }
  if (bytes.length < length) return 'incomplete';
  return Array.from({ length: length / 4 - 1 }, (_, index) => view.getUint32(4 + 4 * index, true));
}

function isIncomplete(bytes: Uint8Array, frameLength: number): boolean {
  if (bytes.length > frameLength) throw new FrameError(`${bytes.length - frameLength} bytes follow the frame`);
  return bytes.length < frameLength;
}

function readEnvironment(bytes: Uint8Array): Map<string, string> {
  const entries = text.decode(bytes).split('\0');
  if (entries.pop() !== '') throw new FrameError('The last environment variable does not end with a NUL');
  const environment = new Map<string, string>();
  for (const entry of entries) {
    const equals = entry.indexOf('=');
    if (equals < 1) throw new FrameError(`Environment variable "${entry.slice(0, 99)}" has no name`);
    const key = entry.slice(0, equals);
    if (environment.has(key)) throw new FrameError(`Environment variable "${key.slice(0, 99)}" comes twice`);
    environment.set(key, entry.slice(equals + 1));
  }
  return environment;
}

function within(part: string, length: number, limit: number): void {
  if (length > limit) throw new FrameError(`The ${part} has ${length} bytes, ${limit} are allowed`);
}

function checkedNonce(nonce: string): string {
  if (!noncePattern.test(nonce)) throw new FrameError('A nonce has 32 lower-case hexadecimal digits');
  return nonce;
}

function checkedExitCode(exitCode: number): number {
  if (!Number.isInteger(exitCode) || exitCode < 0 || exitCode > 255) {
    throw new FrameError(`Exit code ${exitCode} is not between 0 and 255`);
  }
  return exitCode;
}

function integers(...values: readonly number[]): Uint8Array {
  const view = new DataView(new ArrayBuffer(4 * values.length));
  for (const [index, value] of values.entries()) view.setUint32(4 * index, value, true);
  return new Uint8Array(view.buffer);
}

function concatenate(parts: readonly Uint8Array[]): Uint8Array {
  const whole = new Uint8Array(parts.reduce((length, part) => length + part.length, 0));
  let start = 0;
  for (const part of parts) {
    whole.set(part, start);
    start += part.length;
  }
  return whole;
}
