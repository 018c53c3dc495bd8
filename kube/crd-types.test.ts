import { describe, expect, it } from '@jest/globals';
import type { IPClaim } from '../contracts/crds/ipclaim.ts';
import type { ClaimHolder, ClaimPhase } from '../contracts/ip-claim.ts';
import { crdTypes, type Schema } from './crd-types.ts';

const generate = (properties: Readonly<Record<string, Schema>>, required: readonly string[] = []): string =>
  crdTypes(
    {
      spec: {
        group: 'orbweaver.io',
        names: { kind: 'Thing' },
        versions: [
          {
            name: 'v1',
            schema: {
              openAPIV3Schema: {
                type: 'object',
                description: 'A thing.',
                required: ['spec'],
                properties: { apiVersion: { type: 'string' }, spec: { type: 'object', properties, required } },
              },
            },
          },
        ],
      },
    },
    'deploy/crds/thing.yaml',
  );

describe('types of a custom resource', () => {
  it('are readonly to the last field, say what is required, and carry the descriptions', () => {
    const text = generate(
      {
        size: { type: 'integer', description: 'How much.' },
        mode: { type: 'string', enum: ['a', 'b'] },
        versions: { type: 'array', items: { type: 'integer', enum: [4, 6] } },
        labels: { type: 'object', additionalProperties: { type: 'string' } },
        routes: {
          type: 'array',
          items: { type: 'object', required: ['dst'], properties: { dst: { type: 'string' } } },
        },
      },
      ['size'],
    );
    expect(text).toBe(`// Generated from deploy/crds/thing.yaml by kube/generate-types.ts: edit that and run it again.

import type { ObjectMeta } from './object-meta.ts';

/** A thing. */
export interface Thing {
  readonly apiVersion: 'orbweaver.io/v1';
  readonly kind: 'Thing';
  readonly metadata: ObjectMeta;
  readonly spec: ThingSpec;
}

export interface ThingSpec {
  /** How much. */
  readonly size: number;
  readonly mode?: 'a' | 'b';
  readonly versions?: readonly (4 | 6)[];
  readonly labels?: Readonly<Record<string, string>>;
  readonly routes?: readonly {
    readonly dst: string;
  }[];
}
`);
  });

  it('break long descriptions, and no description ends a comment early', () => {
    const text = generate({ a: { type: 'string', description: `${'word '.repeat(40)}*/ end` } });
    expect(text.split('\n').every((line) => line.length <= 120)).toBe(true);
    expect(text.match(/\*\//g)).toHaveLength(2);
  });

  it('agree with what the contracts say by hand', () => {
    // Either line fails to compile when one side has a field or a value that the other has not.
    const holder = (generated: IPClaim['spec']['holders'][number]): ClaimHolder => generated;
    const generated = (byHand: ClaimHolder): IPClaim['spec']['holders'][number] => byHand;
    const phase = (one: IPClaim['spec']['phase']): ClaimPhase => one;
    const back = (one: ClaimPhase): IPClaim['spec']['phase'] => one;
    expect([holder, generated, phase, back]).toHaveLength(4);
  });
});
