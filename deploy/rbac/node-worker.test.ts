import { readFileSync } from 'node:fs';
import { expect, it } from '@jest/globals';
import { loadAll } from 'js-yaml';

interface Rule {
  readonly apiGroups: readonly string[];
  readonly resources: readonly string[];
  readonly verbs: readonly string[];
}

const documents = loadAll(readFileSync('deploy/rbac/node-worker.yaml', 'utf8')) as readonly {
  readonly kind: string;
  readonly rules?: readonly Rule[];
}[];

it('§12.2 #14: a node worker writes claims and events, and nothing else', () => {
  const rules = documents.flatMap(({ rules = [] }) => rules);
  const writes = rules.flatMap(({ resources, verbs }) =>
    verbs
      .filter((verb) => !['get', 'list', 'watch'].includes(verb))
      .flatMap((verb) => resources.map((resource) => `${verb} ${resource}`)),
  );
  expect(writes.toSorted()).toEqual([
    'create events',
    'create ipclaims',
    'delete ipclaims',
    'patch events',
    'update ipclaims',
  ]);
  expect(rules.flatMap(({ apiGroups, resources }) => [...apiGroups, ...resources])).not.toContain('*');
});
