import { afterEach, beforeEach, describe, expect, it, jest } from '@jest/globals';
import { Breaker } from './breaker.ts';

const never = <T>(): Promise<T> => new Promise(() => undefined);
const away = () => new Error('away');
const hopeless = () => true;

beforeEach(() => void jest.useFakeTimers());
afterEach(() => void jest.useRealTimers());

function watched(probe: () => Promise<unknown>) {
  const states: string[] = [];
  const breaker = new Breaker({ probe, onChange: (state) => states.push(state) });
  return { breaker, states };
}

/** What a call came to while this much time passed. */
async function after<T>(durationMs: number, call: Promise<T>): Promise<T | string> {
  let outcome: T | string = 'pending';
  call.then(
    (value) => void (outcome = value),
    (error: unknown) => void (outcome = String(error)),
  );
  await jest.advanceTimersByTimeAsync(durationMs);
  return outcome;
}

describe('a closed breaker', () => {
  it('settles as the call does, without a probe when that is quick', async () => {
    const probe = jest.fn(() => Promise.resolve());
    const { breaker } = watched(probe);
    await expect(breaker.run(() => Promise.resolve(7), hopeless, away)).resolves.toBe(7);
    await expect(breaker.run(() => Promise.reject(new Error('refused')), hopeless, away)).rejects.toThrow('refused');
    await jest.advanceTimersByTimeAsync(5000);
    expect(probe).not.toHaveBeenCalled();
  });

  it('waits for a slow call as long as the other side answers probes', async () => {
    const { breaker, states } = watched(() => Promise.resolve());
    expect(
      await after(
        60_000,
        breaker.run(() => never(), hopeless, away),
      ),
    ).toBe('pending');
    expect(states).toEqual([]);
  });

  it.each([
    ['refuses', () => Promise.reject(new Error('refused'))],
    ['does not answer', () => never()],
  ])('gives a call up within 3 s when the other side %s', async (_, probe) => {
    const { breaker, states } = watched(probe);
    const call = breaker.run(() => never(), hopeless, away);
    expect(await after(1600, call)).toBe('pending'); // one late probe is no proof
    expect(await after(1400, call)).toBe('Error: away');
    expect(states).toEqual(['open']);
    breaker.close();
  });

  it('does not open for one late probe between two that answer', async () => {
    let count = 0;
    const { breaker, states } = watched(() => (count++ % 2 === 0 ? never() : Promise.resolve()));
    expect(
      await after(
        30_000,
        breaker.run(() => never(), hopeless, away),
      ),
    ).toBe('pending');
    expect(states).toEqual([]);
  });

  it('shares one probe among all calls that wait', async () => {
    const probe = jest.fn(() => never());
    const { breaker } = watched(probe);
    for (let index = 0; index < 50; index += 1) breaker.run(() => never(), hopeless, away).catch(() => undefined);
    await jest.advanceTimersByTimeAsync(1000);
    expect(probe).toHaveBeenCalledTimes(1);
    breaker.close();
  });
});

describe('an open breaker', () => {
  it('refuses new calls at once, without making them', async () => {
    const { breaker } = watched(() => never());
    breaker.trip();
    const call = jest.fn(() => Promise.resolve());
    await expect(breaker.run(call, hopeless, away)).rejects.toThrow('away');
    expect(call).not.toHaveBeenCalled();
    breaker.close();
  });

  it('lets a call go on whose answer no longer depends on the other side', async () => {
    const { breaker } = watched(() => never());
    const { promise, resolve } = Promise.withResolvers<string>();
    const call = breaker.run(
      () => promise,
      () => false,
      away,
    );
    expect(await after(10_000, call)).toBe('pending');
    expect(breaker.isOpen).toBe(true);
    resolve('answered in the process');
    await expect(call).resolves.toBe('answered in the process');
    breaker.close();
  });

  it('gives such a call up as soon as it is hopeless', async () => {
    const { breaker } = watched(() => never());
    let isHopeless = false;
    const call = breaker.run(
      () => never(),
      () => isHopeless,
      away,
    );
    expect(await after(10_000, call)).toBe('pending');
    isHopeless = true;
    expect(await after(2000, call)).toBe('Error: away');
    breaker.close();
  });

  it('probes each second and closes with the first answer', async () => {
    let isBack = false;
    const { breaker, states } = watched(() => (isBack ? Promise.resolve() : never()));
    breaker.trip();
    await jest.advanceTimersByTimeAsync(10_000);
    expect(breaker.isOpen).toBe(true);
    isBack = true;
    await jest.advanceTimersByTimeAsync(1600);
    expect(breaker.isOpen).toBe(false);
    expect(states).toEqual(['open', 'closed']);
    await expect(breaker.run(() => Promise.resolve(7), hopeless, away)).resolves.toBe(7);
  });

  it('tells its state once, however often it is tripped', () => {
    const { breaker, states } = watched(() => never());
    breaker.trip();
    breaker.trip();
    expect(states).toEqual(['open']);
    breaker.close();
  });

  it('probes no more once it is closed for good', async () => {
    const probe = jest.fn(() => never());
    const { breaker } = watched(probe);
    breaker.trip();
    breaker.close();
    await jest.advanceTimersByTimeAsync(10_000);
    expect(probe).not.toHaveBeenCalled();
    expect(jest.getTimerCount()).toBe(0);
  });
});
