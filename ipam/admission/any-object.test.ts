import { expect, it } from '@jest/globals';
import * as fc from 'fast-check';
import { entryFor } from './address-space.ts';
import {
  judgeNarrowing,
  mutatePool,
  narrowedBy,
  validatePoolCreate,
  validatePoolDelete,
  validatePoolUpdate,
} from './pool-rules.ts';
import { mutateReservedIP, validateReservedIPCreate, validateReservedIPUpdate } from './reserved-ip-rules.ts';
import { mutateSubnet, validateSubnetCreate, validateSubnetDelete, validateSubnetUpdate } from './subnet-rules.ts';
import { pool, subnet, world } from './testing/objects.ts';

/** Almost an object of ours: the right fields, with the right values, wrong ones, and ones that nobody expects. */
const texts = fc.oneof(
  fc.constantFrom(
    '10.1.0.0/16',
    'fd00:1::/64',
    '10.1.0.1-10.1.0.9',
    '10.1.0.5',
    'fd00:1::1',
    '0.0.0.0/0',
    '__proto__',
    '',
  ),
  fc.stringMatching(/^[0-9a-f.:\-/ ]{0,20}$/),
);
const values = fc.oneof({ weight: 3, arbitrary: texts }, { weight: 1, arbitrary: fc.jsonValue() });
const some = <Value>(arbitrary: fc.Arbitrary<Value>) =>
  fc.oneof({ weight: 4, arbitrary }, { weight: 1, arbitrary: fc.jsonValue() });
const selectors = some(
  fc.record(
    {
      matchLabels: some(fc.dictionary(texts, values)),
      matchExpressions: some(
        fc.array(
          some(fc.record({ key: values, operator: values, values: some(fc.array(values)) }, { requiredKeys: [] })),
        ),
      ),
    },
    { requiredKeys: [] },
  ),
);
const specs = fc.record(
  {
    ipVersion: some(fc.constantFrom(4, 6)),
    subnet: values,
    ips: some(fc.array(values)),
    excludeIPs: some(fc.array(values)),
    gateway: values,
    routes: some(fc.array(some(fc.record({ dst: values, gw: values })))),
    podAffinity: selectors,
    namespaceAffinity: selectors,
    nodeAffinity: selectors,
    nodeName: some(fc.array(values)),
    multusName: some(fc.array(values)),
  },
  { requiredKeys: [] },
);
const labels = fc.dictionary(
  fc.constantFrom('ipam.spidernet.io/owner-application-name', 'ipam.spidernet.io/owner-spider-subnet', 'a'),
  values,
);
const metadata = fc.record(
  {
    name: values,
    uid: values,
    generation: some(fc.nat()),
    labels: some(labels),
    finalizers: some(fc.array(values)),
    deletionTimestamp: values,
    ownerReferences: some(
      fc.array(some(fc.record({ kind: fc.constantFrom('SpiderSubnet', 'X'), name: values, controller: fc.boolean() }))),
    ),
  },
  { requiredKeys: ['name'] },
);
const kinds = fc.constantFrom('SpiderIPPool', 'SpiderSubnet', 'SpiderReservedIP');
const objects = some(
  fc.record({ kind: kinds, metadata: some(metadata), spec: some(specs), status: fc.jsonValue() }, { requiredKeys: [] }),
);

/** Each problem on a line of its own: its field, what was found there, and what to do. */
function expectTold(message: string): void {
  const [action, ...listed] = message.split('\n');
  expect(action).toMatch(/^Cannot (create|change|delete) Spider(IPPool|Subnet|ReservedIP) ".*":/);
  const problems = listed.length > 0 ? listed : [action?.replace(/^Cannot \w+ \w+ "(?:[^"]|"(?!: ))*": /, '- ')];
  for (const problem of problems) {
    expect(problem).toMatch(/^- (?:and \d+ more$|(?:metadata|spec)(?:\.[A-Za-z]+|\[\d+\])+\S* .+: \S+)/);
  }
}

/** With the pods of any-pod.test.ts, 10,000 cases and more in `make test-properties`. */
const numRuns = 2 * (fc.readConfigureGlobal().numRuns ?? 100);

it('any object is judged, and none makes a rule throw', () => {
  const where = world({
    pools: [
      pool({ subnet: '10.1.0.0/16', ips: ['10.1.0.1-10.1.0.9'] }, { name: 'other' }),
      pool({}, { name: 'broken' }),
    ],
    subnets: [
      subnet({ subnet: '10.1.0.0/16', ips: ['10.1.0.1-10.1.0.30'], gateway: '10.1.0.99' }),
      subnet({}, { name: 'broken' }),
    ],
    settings: { refusesDeletionInUse: true },
  });
  const outcomes = new Set<string>();
  fc.assert(
    fc.property(objects, objects, (one, other) => {
      const answers = [
        mutatePool(one, undefined, where),
        mutatePool(one, other, where),
        validatePoolCreate(one, where),
        validatePoolUpdate(one, other, where),
        judgeNarrowing(one, other, [{ address: '10.1.0.5', holder: 'pod a/b' }]),
        validatePoolDelete(one, where, 1),
        mutateSubnet(one, other, where),
        validateSubnetCreate(one, where),
        validateSubnetUpdate(one, other, where),
        validateSubnetDelete(one, where),
        mutateReservedIP(one, other, where),
        validateReservedIPCreate(one, where),
        validateReservedIPUpdate(one, other, where),
      ];
      for (const answer of answers) {
        outcomes.add(answer.outcome);
        if (answer.outcome === 'denied') expectTold(answer.message);
      }
      expect(narrowedBy(one, other).size).toBeGreaterThanOrEqual(0n);
      expect(entryFor(one, other, 0)?.ranges.length ?? 0).toBeLessThanOrEqual(256);
    }),
    { numRuns },
  );
  expect(outcomes).toEqual(new Set(['allowed', 'denied', 'mutated']));
});
