import { describe, expect, it } from '@jest/globals';
import { type ApplicationObject, applicationKindOf, seenApplication } from './application-kinds.ts';

const annotations = { 'ipam.spidernet.io/subnet': '{"ipv4": ["rack7"]}' };
const template = { metadata: { annotations } };
const metadata = { name: 'api', namespace: 'pay', uid: 'a-1' };
const seen = (apiVersion: string, kind: string, object: Partial<ApplicationObject>) => {
  const known = applicationKindOf(apiVersion, kind);
  if (known === undefined) throw new Error(`${kind} is not known`);
  return seenApplication(known, { metadata, ...object });
};

describe('the size of an application', () => {
  it.each([
    ['apps/v1', 'Deployment', { spec: { replicas: 3, template } }, 3],
    ['apps/v1', 'Deployment', { spec: { template } }, 1],
    ['apps/v1', 'ReplicaSet', { spec: { replicas: 0, template } }, 0],
    ['apps/v1', 'StatefulSet', { spec: { replicas: 5, template } }, 5],
    ['apps/v1', 'DaemonSet', { spec: { template }, status: { observedGeneration: 1, desiredNumberScheduled: 7 } }, 7],
    ['batch/v1', 'Job', { spec: { completions: 4, parallelism: 2, template } }, 4],
    ['batch/v1', 'Job', { spec: { parallelism: 2, template } }, 2],
    ['batch/v1', 'Job', { spec: { parallelism: 0, template } }, 1],
    ['batch/v1', 'Job', { spec: { template } }, 1],
    ['batch/v1', 'CronJob', { spec: { jobTemplate: { spec: { completions: 3, template } } } }, 3],
  ] as const)('%s %s %j is %d', (apiVersion, kind, object, replicas) => {
    expect(seen(apiVersion, kind, object)).toEqual({ uid: 'a-1', annotations, replicas });
  });
});

describe('no application for us is', () => {
  const spec = { replicas: 2, template };
  const owner = (kind: string) => ({ apiVersion: 'apps/v1', kind, name: 'api', uid: 'd-1', controller: true });

  it('one with the host’s network, and one that is being deleted', () => {
    expect(
      seen('apps/v1', 'Deployment', { spec: { template: { ...template, spec: { hostNetwork: true } } } }),
    ).toBeUndefined();
    expect(
      seen('apps/v1', 'Deployment', { spec, metadata: { ...metadata, deletionTimestamp: 'now' } }),
    ).toBeUndefined();
  });

  it('a ReplicaSet of a Deployment or a Job of a CronJob, but one of an operator is', () => {
    const of = (kind: string) => ({ ...metadata, ownerReferences: [owner(kind)] });
    expect(seen('apps/v1', 'ReplicaSet', { spec, metadata: of('Deployment') })).toBeUndefined();
    expect(seen('batch/v1', 'Job', { spec, metadata: of('CronJob') })).toBeUndefined();
    expect(seen('apps/v1', 'ReplicaSet', { spec, metadata: of('Rollout') })).toMatchObject({ replicas: 2 });
    expect(seen('apps/v1', 'Deployment', { spec, metadata: of('Operator') })).toMatchObject({ replicas: 2 });
  });

  it('a DaemonSet whose controller has not counted its nodes', () => {
    expect(seen('apps/v1', 'DaemonSet', { spec: { template } })).toBeUndefined();
  });
});
