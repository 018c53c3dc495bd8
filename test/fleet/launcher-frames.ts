/**
 * The frames between a runner and its launcher, on the launcher's stdin and stdout. Integers are little endian, u32 unless it says u64.
 *
 *     request = id | kill after ms | watches memory | path length | environment length | stdin length | path | environment | stdin
 *     answer  = id | ending | code | peak RSS KiB | text length | duration ns (u64) | spawn ns (u64) | started ns (u64) | text
 *
 * The path and each `KEY=VALUE` of the environment are ended by a NUL, which their lengths count. "Never" is the largest u32. The text
 * of an answer is what the executable wrote to stdout, or why it was not started. The other end is launcher.c.
 */
export interface LaunchRequest {
  readonly id: number;
  readonly path: string;
  /** The whole environment. */
  readonly env: Readonly<Record<string, string>>;
  readonly stdin: string;
  /** SIGKILL this long after the start. */
  readonly killAfterMs?: number;
  readonly watchesMemory?: boolean;
}

/** How an executable ended; `code` is its exit code, the signal's number, or the errno for which it was not started. */
export interface LaunchAnswer {
  readonly id: number;
  readonly ending: LaunchEnding;
  readonly code: number;
  readonly text: string;
  /** From just before posix_spawn until the launcher saw the end. */
  readonly durationMs: number;
  /** How long posix_spawn held the launcher: vfork and exec. */
  readonly spawnMs: number;
  /** Unix time. */
  readonly startedAtMs: number;
  /** Largest VmHWM that was seen; absent when it was not watched or too short to be seen. */
  readonly peakRssKiB?: number;
}

export type LaunchEnding = (typeof endings)[number];

const endings = ['exited', 'killed', 'not started'] as const; // by their numbers
const never = 0xffff_ffff;
const answerHeaderBytes = 5 * 4 + 3 * 8;

/** @throws {RangeError} for a text with a NUL where one would end it. */
export function encodeRequest({ id, path, env, stdin, killAfterMs, watchesMemory }: LaunchRequest): Buffer {
  const entries = Object.entries(env).map(([key, value]) => ended(`${key}=${value}`));
  const parts = [ended(path), entries.join(''), stdin].map((text) => Buffer.from(text));
  const header = Uint32Array.of(
    id,
    killAfterMs ?? never,
    watchesMemory === true ? 1 : 0,
    ...parts.map(({ length }) => length),
  );
  return Buffer.concat([new Uint8Array(header.buffer), ...parts]);
}

function ended(text: string): string {
  if (text.includes('\0')) throw new RangeError(`Cannot be sent, it holds a NUL: ${JSON.stringify(text)}`);
  return `${text}\0`;
}

/** Reads answers from a stream: gives those that are whole with each chunk, in their order. */
export class AnswerReader {
  #pending = Buffer.alloc(0);

  read(chunk: Uint8Array): LaunchAnswer[] {
    this.#pending = Buffer.concat([this.#pending, chunk]);
    const answers: LaunchAnswer[] = [];
    for (;;) {
      if (this.#pending.length < answerHeaderBytes) return answers;
      const end = answerHeaderBytes + this.#pending.readUInt32LE(16);
      if (this.#pending.length < end) return answers;
      answers.push(decodeAnswer(this.#pending.subarray(0, end)));
      this.#pending = this.#pending.subarray(end);
    }
  }
}

function decodeAnswer(frame: Buffer): LaunchAnswer {
  const ending = endings[frame.readUInt32LE(4)];
  if (ending === undefined) throw new RangeError(`The launcher names an unknown ending: ${frame.readUInt32LE(4)}`);
  const peakRssKiB = frame.readUInt32LE(12);
  const milliseconds = (offset: number): number => Number(frame.readBigUInt64LE(offset)) / 1e6;
  return {
    id: frame.readUInt32LE(0),
    ending,
    code: frame.readUInt32LE(8),
    text: frame.toString('utf8', answerHeaderBytes),
    durationMs: milliseconds(20),
    spawnMs: milliseconds(28),
    startedAtMs: milliseconds(36),
    ...(peakRssKiB === 0 ? {} : { peakRssKiB }),
  };
}
