import { describe, expect, it } from '@jest/globals';
import * as fc from 'fast-check';
import { exitCodes } from './cli-error.ts';
import { checkNamespace, checkObjectName, checkSandbox, parsePodName } from './pod-name.ts';

describe('the name of a pod', () => {
  it('is namespace and name', () => {
    expect(parsePodName('pay/api-0')).toEqual({ namespace: 'pay', name: 'api-0' });
    expect(parsePodName('kube-system/a.b-1')).toEqual({ namespace: 'kube-system', name: 'a.b-1' });
  });

  it.each([
    '',
    'api-0',
    '/api-0',
    'pay/',
    'pay/api/0',
    'Pay/api-0',
    'pay/api_0',
    'pay/-a',
    "pay/a' OR '1'='1",
    `${'n'.repeat(64)}/a`,
    `n/${'a'.repeat(254)}`,
  ])('is not "%s"', (text) => {
    expect(() => parsePodName(text)).toThrow(expect.objectContaining({ exitCode: exitCodes.usage }));
  });

  it('never carries a quote into a query', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), fc.string({ unit: 'binary' }), (namespace, name) => {
        const outcome = accepted(`${namespace}/${name}`);
        expect(outcome).toMatch(/^([-a-z0-9]+\/[-a-z0-9.]+|refused)$/);
      }),
    );
  });
});

function accepted(text: string): string {
  try {
    const { namespace, name } = parsePodName(text);
    return `${namespace}/${name}`;
  } catch {
    return 'refused';
  }
}

it('says where the right names are', () => {
  expect(() => checkNamespace('Pay!')).toThrow('"Pay!" is not a namespace');
  expect(() => checkObjectName('pool', 'a b')).toThrow('"a b" is not the name of a pool');
  expect(() => checkSandbox('../x')).toThrow('"../x" is not a container ID');
  expect(checkSandbox('5b1d')).toBe('5b1d');
});
