import { describe, expect, it } from '@jest/globals';
import { failures } from './failures.ts';
import { controlMetrics, ipamErrors, nodeMetrics } from './metrics.ts';
import { agentMetrics, controllerMetrics } from './testing/spiderpool-metrics.ts';

describe.each([
  ['the node worker', nodeMetrics, agentMetrics],
  ['the control worker', controlMetrics, controllerMetrics],
] as const)('metrics of %s', (_, ours, documented) => {
  const typeOf = (name: string): string | undefined => Object.entries(ours).find(([known]) => known === name)?.[1].type;

  it.each([...documented])('§12.3 #29: have %s as a %s', (name, type) => {
    expect(typeOf(name)).toBe(type);
  });

  it('have no name of Spiderpool that its documentation does not know, but for the collected sandboxes of a node', () => {
    const invented = Object.keys(ours).filter((name) => name.startsWith('spiderpool_') && !documented.has(name));
    expect(invented.filter((name) => !/^spiderpool_ip_gc_(failure_)?counts$/.test(name))).toEqual([]);
  });

  it('have names that Prometheus takes', () => {
    for (const [name, { help, labels = [] }] of Object.entries(ours)) {
      expect(name).toMatch(/^[a-z][a-z0-9_]*$/);
      expect(help).toMatch(/^[A-Z1]/);
      for (const label of labels) expect(label).toMatch(/^[A-Za-z_]\w*$/);
    }
  });
});

describe('a failed call', () => {
  it('has a place among the errors, whatever its failure', () => {
    expect(Object.keys(ipamErrors).sort()).toEqual(Object.keys(failures).sort());
  });

  it('that is the fault of its annotations is none of exhausted retries', () => {
    expect(ipamErrors.InvalidAnnotation).toBe('wrong_input');
    expect(Object.entries(ipamErrors).filter(([, error]) => error === 'retries_exhausted')).toEqual([
      ['ApiServerUnavailable', 'retries_exhausted'],
      ['CallerGone', 'retries_exhausted'],
      ['Cancelled', 'retries_exhausted'],
    ]);
  });
});
