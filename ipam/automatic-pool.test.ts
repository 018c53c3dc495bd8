import { describe, expect, it } from '@jest/globals';
import {
  applicationAffinityKeys,
  applicationKey,
  automaticPoolLabels,
  readAutomaticPool,
  servesApplication,
} from './automatic-pool.ts';
import type { Application, Labels } from './pool-request.ts';

const keys = applicationAffinityKeys;
const affinityOf = (group: string, version: string, kind: string): Labels => ({
  [keys.group]: group,
  [keys.version]: version,
  [keys.kind]: kind,
  [keys.namespace]: 'pay',
  [keys.name]: 'api',
});
const labels: Labels = {
  [automaticPoolLabels.applicationName]: 'api',
  [automaticPoolLabels.applicationUID]: '9c1f',
  [automaticPoolLabels.ifName]: 'eth0',
  [automaticPoolLabels.subnet]: 'sub-a',
};
const deployment: Application = { apiVersion: 'apps/v1', kind: 'Deployment', namespace: 'pay', name: 'api', uid: 'x' };

describe('an automatic pool', () => {
  it('is known by the label of its application and names that in its affinity', () => {
    expect(readAutomaticPool(labels, affinityOf('apps', 'v1', 'Deployment'))).toEqual({
      application: { apiVersion: 'apps/v1', kind: 'Deployment', namespace: 'pay', name: 'api' },
      applicationUID: '9c1f',
      ifName: 'eth0',
      subnet: 'sub-a',
      isReclaimed: true,
    });
    expect(readAutomaticPool({}, affinityOf('apps', 'v1', 'Deployment'))).toBeUndefined();
  });

  it('stays when it is labelled so', () => {
    const kept = { ...labels, [automaticPoolLabels.reclaim]: 'false' };
    expect(readAutomaticPool(kept, {})).toMatchObject({ isReclaimed: false });
  });

  it('serves its application in each of its lives, and no other', () => {
    const pool = readAutomaticPool(labels, affinityOf('apps', 'v1', 'Deployment'));
    const serves = (other: Partial<Application>) =>
      pool !== undefined && servesApplication(pool, { ...deployment, ...other });
    expect(serves({})).toBe(true);
    expect(serves({ uid: 'another' })).toBe(true);
    for (const other of [
      { apiVersion: 'apps/v1beta1' },
      { kind: 'StatefulSet' },
      { namespace: 'x' },
      { name: 'web' },
    ]) {
      expect(serves(other)).toBe(false);
    }
  });

  it('serves an application of the core group, which has a version and no group', () => {
    const pool = readAutomaticPool(labels, affinityOf('', 'v1', 'ReplicationController'));
    const controller = { ...deployment, apiVersion: 'v1', kind: 'ReplicationController' };
    expect(pool !== undefined && servesApplication(pool, controller)).toBe(true);
    expect(applicationKey(controller)).not.toBe(applicationKey({ ...controller, apiVersion: 'core/v1' }));
  });
});
