import { describe, expect, it } from '@jest/globals';
import { SharedRead } from './shared-read.ts';

/** Reads that end when the test says so, on a clock that only the test moves. */
class World {
  now = 100;
  readonly began: number[] = [];
  readonly #ends: ((error?: Error) => void)[] = [];
  readonly shared = new SharedRead(
    () =>
      new Promise<number>((resolve, reject) => {
        const began = this.now;
        this.began.push(began);
        this.#ends.push((error) => (error ? reject(error) : resolve(began)));
      }),
    () => this.now,
  );

  async end(error?: Error): Promise<void> {
    this.#ends.shift()?.(error);
    await new Promise(setImmediate);
  }
}

describe('a shared read', () => {
  it('serves everybody who asked before it began', async () => {
    const world = new World();
    const readings = [90, 95, 99].map((instant) => world.shared.begunAfter(instant));
    await world.end();
    expect(await Promise.all(readings)).toEqual([100, 100, 100].map((value) => ({ value, beganAtMs: 100 })));
    expect(world.began).toEqual([100]);
  });

  it('is followed by one more for all who came while it ran', async () => {
    const world = new World();
    const first = world.shared.begunAfter(99);
    world.now = 110;
    const late = [105, 110].map((instant) => world.shared.begunAfter(instant));
    world.now = 120;
    expect(world.began).toEqual([100]);
    await world.end();
    expect(world.began).toEqual([100, 120]);
    await world.end();
    expect((await first).value).toBe(100);
    expect((await Promise.all(late)).map(({ value }) => value)).toEqual([120, 120]);
  });

  it('does not take a read of the same millisecond for one that began later', async () => {
    const world = new World();
    void world.shared.begunAfter(99);
    const sameMillisecond = world.shared.begunAfter(100);
    world.now = 101;
    await world.end();
    await world.end();
    expect((await sameMillisecond).value).toBe(101);
  });

  it('is remembered as long as it is new enough', async () => {
    const world = new World();
    const first = world.shared.begunAfter(99);
    await world.end();
    await first;
    world.now = 200;
    expect((await world.shared.begunAfter(99)).value).toBe(100);
    const next = world.shared.begunAfter(100);
    await world.end();
    expect((await next).value).toBe(200);
  });

  it('tells a failure to those who shared it, and the next one reads again', async () => {
    const world = new World();
    const shared = [world.shared.begunAfter(90), world.shared.begunAfter(95)];
    const waiting = world.shared.begunAfter(100);
    world.now = 110;
    const settled = Promise.allSettled(shared);
    await world.end(new Error('away'));
    expect((await settled).map(({ status }) => status)).toEqual(['rejected', 'rejected']);
    await world.end();
    expect((await waiting).value).toBe(110);
  });
});
