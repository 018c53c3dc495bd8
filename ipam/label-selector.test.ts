import { describe, expect, it } from '@jest/globals';
import * as fc from 'fast-check';
import { formatRequirements, readSelector, type SelectorObject, selects } from './label-selector.ts';
import type { Labels } from './pool-request.ts';

function doesSelect(selector: SelectorObject, labels: Labels): boolean {
  const reading = readSelector(selector);
  if (reading.outcome === 'invalid') throw new Error(reading.problem);
  return selects(reading.requirements, labels);
}
function textOf(selector: SelectorObject): string {
  const reading = readSelector(selector);
  return reading.outcome === 'invalid' ? reading.problem : formatRequirements(reading.requirements);
}
const only = (key: string, operator: string, values?: readonly string[]): SelectorObject => ({
  matchExpressions: [{ key, operator, ...(values && { values }) }],
});

describe('a label selector', () => {
  it('selects everything when it asks for nothing', () => {
    expect(doesSelect({}, {})).toBe(true);
    expect(doesSelect({ matchLabels: {}, matchExpressions: [] }, { zone: 'a' })).toBe(true);
  });

  it('selects what meets all of its requirements', () => {
    const selector: SelectorObject = {
      matchLabels: { zone: 'a' },
      matchExpressions: [{ key: 'topology.kubernetes.io/rack', operator: 'In', values: ['r7', 'r8'] }],
    };
    expect(doesSelect(selector, { zone: 'a', 'topology.kubernetes.io/rack': 'r8' })).toBe(true);
    expect(doesSelect(selector, { zone: 'a' })).toBe(false);
    expect(doesSelect(selector, { zone: 'b', 'topology.kubernetes.io/rack': 'r8' })).toBe(false);
  });

  it('takes NotIn as met where the label is missing', () => {
    expect(doesSelect(only('zone', 'NotIn', ['a']), {})).toBe(true);
    expect(doesSelect(only('zone', 'NotIn', ['a']), { zone: 'b' })).toBe(true);
    expect(doesSelect(only('zone', 'NotIn', ['a']), { zone: 'a' })).toBe(false);
  });

  it('tells an empty value from a missing label', () => {
    expect(doesSelect({ matchLabels: { spare: '' } }, { spare: '' })).toBe(true);
    expect(doesSelect({ matchLabels: { spare: '' } }, {})).toBe(false);
    expect(doesSelect(only('spare', 'Exists'), { spare: '' })).toBe(true);
  });

  it('finds no label that objects merely inherit', () => {
    expect(doesSelect(only('constructor', 'Exists'), {})).toBe(false);
    expect(doesSelect(only('constructor', 'DoesNotExist'), {})).toBe(true);
  });

  it.each<[string, SelectorObject]>([
    ['operator "Equals" is none of In, NotIn, Exists, DoesNotExist', only('zone', 'Equals', ['a'])],
    ['operator "in" is none of In, NotIn, Exists, DoesNotExist', only('zone', 'in', ['a'])],
    ['operator In of "zone" has no values', only('zone', 'In')],
    ['operator NotIn of "zone" has no values', only('zone', 'NotIn', [])],
    ['operator Exists of "zone" takes no values', only('zone', 'Exists', ['a'])],
    ['operator DoesNotExist of "zone" takes no values', only('zone', 'DoesNotExist', ['a'])],
    ['"" is not a label key', only('', 'Exists')],
    ['"a/b/c" is not a label key', only('a/b/c', 'Exists')],
    ['"/name" is not a label key', only('/name', 'Exists')],
    ['"Example.com/name" is not a label key', only('Example.com/name', 'Exists')],
    ['"-zone" is not a label key', { matchLabels: { '-zone': 'a' } }],
    ['"north east" is not a label value', { matchLabels: { zone: 'north east' } }],
    [`"${'a'.repeat(64)}" is not a label value`, only('zone', 'In', ['a', 'a'.repeat(64)])],
  ])('is invalid: %s', (problem, selector) => {
    expect(readSelector(selector)).toEqual({ outcome: 'invalid', problem });
  });

  it('prints as kubectl writes it', () => {
    expect(textOf({ matchLabels: { zone: 'a' }, ...only('spare', 'DoesNotExist') })).toBe('zone=a, !spare');
    expect(textOf(only('zone', 'In', ['a', 'b']))).toBe('zone in (a,b)');
    expect(textOf(only('zone', 'NotIn', ['a']))).toBe('zone!=a');
    expect(textOf(only('zone', 'NotIn', ['a', 'b']))).toBe('zone notin (a,b)');
    expect(textOf(only('zone', 'Exists'))).toBe('zone');
  });

  it('selects as its definition says, for all labels', () => {
    const [keys, values] = [fc.constantFrom('a', 'b', 'x.io/c'), fc.constantFrom('', '1', '2')];
    const labels = fc.dictionary(keys, values, { maxKeys: 3 });
    const expression = fc.oneof(
      fc.record({
        key: keys,
        operator: fc.constantFrom('In', 'NotIn'),
        values: fc.uniqueArray(values, { minLength: 1 }),
      }),
      fc.record({ key: keys, operator: fc.constantFrom('Exists', 'DoesNotExist') }),
    );
    const selectors: fc.Arbitrary<SelectorObject> = fc.record(
      { matchLabels: labels, matchExpressions: fc.array<SelectorExpression>(expression, { maxLength: 4 }) },
      { requiredKeys: [] },
    );
    fc.assert(
      fc.property(selectors, labels, (selector, labels) => {
        const has = new Map(Object.entries(labels));
        const expected =
          Object.entries(selector.matchLabels ?? {}).every(([key, value]) => has.get(key) === value) &&
          (selector.matchExpressions ?? []).every(({ key, operator, values = [] }) => {
            if (operator === 'Exists') return has.has(key);
            if (operator === 'DoesNotExist') return !has.has(key);
            return values.includes(has.get(key) ?? 'missing') === (operator === 'In');
          });
        expect(doesSelect(selector, labels)).toBe(expected);
      }),
    );
  });

  it('is read or told what is wrong, whatever the texts', () => {
    const text = fc.oneof(fc.string({ unit: 'binary' }), fc.constantFrom('In', 'Exists', 'zone'));
    const selectors = fc.record(
      {
        matchLabels: fc.dictionary(text, text),
        matchExpressions: fc.array(fc.record({ key: text, operator: text, values: fc.array(text) })),
      },
      { requiredKeys: [] },
    );
    fc.assert(
      fc.property(selectors, fc.dictionary(text, text), (selector, labels) => {
        const reading = readSelector(selector);
        if (reading.outcome === 'selector') expect([true, false]).toContain(selects(reading.requirements, labels));
        else expect(reading.problem).not.toBe('');
      }),
    );
  });
});

type SelectorExpression = NonNullable<SelectorObject['matchExpressions']>[number];
