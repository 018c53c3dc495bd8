import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { ThreadPool } from './thread-pool.ts';

const program = new URL('./testing/failing-thread.ts', import.meta.url);

describe('the threads', () => {
  let deaths: string[];
  let pool: ThreadPool;
  beforeEach(() => {
    deaths = [];
    pool = new ThreadPool(program, 2, { hostNetns: undefined }, (error) => deaths.push(error.message));
  });
  afterEach(() => pool.close());

  it('do every task and answer each with its own result', async () => {
    const names = Array.from({ length: 30 }, (_, index) => `task ${index}`);
    const results = Promise.all(names.map((name) => pool.run('inspect', name)));
    expect(pool.waiting).toBe(28);
    expect(await results).toEqual(names);
    expect(pool.waiting).toBe(0);
  });

  it('hand over a refusal with its type and remedy', async () => {
    await expect(pool.run('inspect', 'refuse')).rejects.toMatchObject({
      type: 'KernelRefused',
      message: 'no',
      remedy: 'yes',
    });
  });

  it.each([
    ['exit', 'exit code 3'],
    ['throw', 'thrown outside a task'],
  ])('are replaced when one dies of %s, and the others’ tasks are done', async (cause, message) => {
    const results = await Promise.allSettled(
      [cause, 'a', 'b', cause, 'c', 'd'].map((name) => pool.run('inspect', name)),
    );
    expect(results.map(({ status }) => status)).toEqual([
      'rejected',
      'fulfilled',
      'fulfilled',
      'rejected',
      'fulfilled',
      'fulfilled',
    ]);
    expect(results[0]).toMatchObject({
      reason: { type: 'Internal', message: expect.stringContaining('its kernel thread died') },
    });
    expect(deaths).toEqual([expect.stringContaining(message), expect.stringContaining(message)]);
    expect(await pool.run('inspect', 'e')).toBe('e');
  });

  it('that cannot start cost a task each and are not started over and over', async () => {
    const missing = new ThreadPool(
      new URL('./testing/absent.ts', import.meta.url),
      2,
      { hostNetns: undefined },
      (error) => deaths.push(error.message),
    );
    const results = await Promise.allSettled(['a', 'b', 'c'].map((name) => missing.run('inspect', name)));
    expect(results.map(({ status }) => status)).toEqual(['rejected', 'rejected', 'rejected']);
    await missing.close();
    expect(deaths).toHaveLength(3);
  });

  it('finish what was accepted before they end, and accept nothing after', async () => {
    const accepted = Promise.all(['a', 'b', 'c', 'd'].map((name) => pool.run('inspect', name)));
    const closed = pool.close();
    await expect(pool.run('inspect', 'late')).rejects.toMatchObject({ type: 'Internal' });
    expect(await accepted).toEqual(['a', 'b', 'c', 'd']);
    await closed;
  });
});
