import { expect, it } from '@jest/globals';
import { inTurn } from './in-turn.ts';

it('runs what shares a key one after another, and other keys meanwhile', async () => {
  const oneAtATime = inTurn();
  const order: string[] = [];
  const step = (name: string, turns: number) => async (): Promise<string> => {
    order.push(`${name} begins`);
    for (let turn = 0; turn < turns; turn += 1) await Promise.resolve();
    order.push(`${name} ends`);
    return name;
  };
  const runs = [
    oneAtATime('a', step('first', 9)),
    oneAtATime('a', step('second', 1)),
    oneAtATime('b', step('other', 1)),
  ];
  expect(await Promise.all(runs)).toEqual(['first', 'second', 'other']);
  expect(order.filter((line) => !line.startsWith('other'))).toEqual([
    'first begins',
    'first ends',
    'second begins',
    'second ends',
  ]);
  expect(order.indexOf('other ends')).toBeLessThan(order.indexOf('first ends'));
});

it('goes on after a failure', async () => {
  const oneAtATime = inTurn();
  const failing = oneAtATime('a', async () => Promise.reject(new Error('no')));
  const next = oneAtATime('a', async () => 'yes');
  await expect(failing).rejects.toThrow('no');
  expect(await next).toBe('yes');
});
