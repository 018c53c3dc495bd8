import { describe, expect, it } from '@jest/globals';
import { failures, isFailureType, ProvisionError, toFailure } from './failures.ts';

describe('the failure table', () => {
  it("uses only codes of the CNI specification, libcni's 8, and ours from 100 on", () => {
    const foreign = Object.entries(failures).filter(
      ([, { cniCode }]) => ![1, 4, 5, 6, 7, 8, 11].includes(cniCode) && cniCode < 100,
    );
    expect(foreign).toEqual([]);
  });

  it('knows its own types and nothing that objects inherit', () => {
    expect(Object.keys(failures).every(isFailureType)).toBe(true);
    for (const other of ['toString', '__proto__', 'Error', '', undefined, 7, null])
      expect(isFailureType(other)).toBe(false);
  });
});

describe('toFailure', () => {
  const exhausted = new ProvisionError({ type: 'PoolExhausted', message: 'all 3 are in use', remedy: 'extend it' });

  it('tells our failure as it is', () => {
    expect(toFailure(exhausted)).toEqual({ type: 'PoolExhausted', message: 'all 3 are in use', remedy: 'extend it' });
  });

  it('finds it under errors that wrap it', () => {
    const wrapped = new Error('update failed', { cause: new Error('activity failed', { cause: exhausted }) });
    expect(toFailure(wrapped).type).toBe('PoolExhausted');
  });

  it('leaves a remedy out that nobody gave', () => {
    expect(toFailure(new ProvisionError({ type: 'Cancelled', message: 'stopped' }))).toEqual({
      type: 'Cancelled',
      message: 'stopped',
    });
  });

  it.each([
    [new TypeError('x is not a function'), 'x is not a function'],
    ['a text', 'a text'],
    [undefined, 'undefined'],
    [{ code: 7 }, '[object Object]'],
  ])('calls %p Internal, so that nothing is reported without a code', (thrown, message) => {
    expect(toFailure(thrown)).toEqual({ type: 'Internal', message });
  });
});
