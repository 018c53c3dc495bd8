import { describe, expect, it } from '@jest/globals';
import * as fc from 'fast-check';
import { isObject, type JsonObject, jsonPatch, type PatchStep } from './json-patch.ts';

/** Applies a patch as the API server does: a path leads through objects, "~1" is a slash and "~0" a tilde. */
function apply(document: JsonObject, patch: readonly PatchStep[]): JsonObject {
  const result = structuredClone(document) as Record<string, unknown>;
  for (const step of patch) {
    const keys = step.path
      .split('/')
      .slice(1)
      .map((key) => key.replaceAll('~1', '/').replaceAll('~0', '~'));
    const last = keys.pop() ?? '';
    let parent: Record<string, unknown> = result;
    for (const key of keys) {
      const child = parent[key];
      if (!isObject(child)) throw new Error(`${step.path} leads nowhere`);
      parent = child;
    }
    if (step.op !== 'add' && !Object.hasOwn(parent, last)) throw new Error(`${step.path} is not there`);
    if (step.op === 'remove') delete parent[last];
    else parent[last] = step.value;
  }
  return result;
}

describe('a JSON patch', () => {
  it('replaces fields of metadata and spec, and nothing that is the same', () => {
    const before = {
      kind: 'SpiderIPPool',
      metadata: { name: 'a', labels: { x: '1' } },
      spec: { subnet: '10.0.0.0/8' },
    };
    const after = {
      kind: 'SpiderIPPool',
      metadata: { name: 'a', labels: { x: '1', 'ipam.spidernet.io/ippool-cidr': '10-0-0-0-8' }, finalizers: ['f'] },
      spec: { subnet: '10.0.0.0/8', ipVersion: 4 },
    };
    expect(jsonPatch(before, after)).toEqual([
      { op: 'replace', path: '/metadata/labels', value: after.metadata.labels },
      { op: 'add', path: '/metadata/finalizers', value: ['f'] },
      { op: 'add', path: '/spec/ipVersion', value: 4 },
    ]);
    expect(jsonPatch(after, after)).toEqual([]);
  });

  it('writes "~" and "/" of a key as RFC 6901 says', () => {
    expect(jsonPatch({ spec: { 'a/b~c': 1 } }, { spec: {} })).toEqual([{ op: 'remove', path: '/spec/a~1b~0c' }]);
  });

  it('makes the one of the other, whatever they are', () => {
    const key = fc.constantFrom('metadata', 'spec', 'status', 'a/b', '~1', '~', '');
    const json = fc.dictionary(
      key,
      fc.oneof(fc.jsonValue(), fc.dictionary(key, fc.jsonValue(), { noNullPrototype: true })),
      { noNullPrototype: true },
    ) as fc.Arbitrary<JsonObject>;
    fc.assert(
      fc.property(json, json, (before, after) => {
        expect(apply(before, jsonPatch(before, after))).toEqual(after);
      }),
    );
  });
});
