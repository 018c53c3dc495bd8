import { describe, expect, it } from '@jest/globals';
import * as fc from 'fast-check';
import { readAutomaticPool, servesApplication } from '../automatic-pool.ts';
import { applicationText, labelText, poolAffinity, poolLabels, poolName } from './pool-identity.ts';

const application = {
  apiVersion: 'apps/v1',
  kind: 'Deployment',
  namespace: 'pay',
  name: 'api',
  uid: '2b6c5d1e-7a90-4d2f-9f43-3f2a1b9c0d5e',
};
const owner = { application, ifName: 'eth0', family: 4 } as const;
const dnsName = fc
  .string({
    unit: fc.constantFrom('a', 'b', 'c', 'x', 'y', 'z', '0', '1', '9', '-', '.'),
    minLength: 1,
    maxLength: 253,
  })
  .map((text) => `a${text}`.slice(0, 252).replace(/[^a-z0-9]+$/, '') || 'a');
const labelValue = /^(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?$/;

describe('the name of an automatic pool', () => {
  it('says family, application, NIC and incarnation', () => {
    expect(poolName(owner)).toBe('auto4-api-eth0-3f2a1');
    expect(poolName({ ...owner, family: 6 }, 2)).toBe('auto6-api-eth0-3f2a1-2');
  });

  it('is a name that Kubernetes takes, whatever the application and the NIC are called', () => {
    fc.assert(
      fc.property(
        dnsName,
        fc.constantFrom('eth0', 'NET_1', 'a@b', 'bond0.120'),
        fc.nat({ max: 9 }),
        (name, ifName, turn) => {
          const text = poolName({ ...owner, application: { ...application, name }, ifName }, turn + 1);
          expect(text).toMatch(/^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$/);
          expect(text.length).toBeLessThanOrEqual(253);
        },
      ),
    );
  });
});

describe('labels and affinity of an automatic pool', () => {
  it('I00017: are read back as the very application, and fit into labels, however long its name is', () => {
    fc.assert(
      fc.property(dnsName, fc.constantFrom('apps/v1', 'v1', 'apps.kruise.io/v1alpha1'), (name, apiVersion) => {
        const named = { ...application, name, apiVersion };
        const labels = poolLabels({ ...owner, application: named }, { subnet: 'rack7', isReclaimed: false });
        for (const value of Object.values(labels)) {
          expect(value).toMatch(labelValue);
          expect(value.length).toBeLessThanOrEqual(63);
        }
        const read = readAutomaticPool(labels, poolAffinity(named));
        expect(read).toMatchObject({ applicationUID: named.uid, ifName: 'eth0', subnet: 'rack7', isReclaimed: false });
        expect(read !== undefined && servesApplication(read, named)).toBe(true);
        expect(read !== undefined && servesApplication(read, application)).toBe(
          name === 'api' && apiVersion === 'apps/v1',
        );
      }),
    );
  });

  it('are those that Spiderpool’s users select by', () => {
    expect(poolLabels(owner, { subnet: 'rack7', isReclaimed: true })).toEqual({
      'ipam.spidernet.io/owner-spider-subnet': 'rack7',
      'ipam.spidernet.io/owner-application-gv': 'apps_v1',
      'ipam.spidernet.io/owner-application-kind': 'Deployment',
      'ipam.spidernet.io/owner-application-namespace': 'pay',
      'ipam.spidernet.io/owner-application-name': 'api',
      'ipam.spidernet.io/owner-application-uid': application.uid,
      'ipam.spidernet.io/interface': 'eth0',
      'ipam.spidernet.io/ip-version': 'IPv4',
      'ipam.spidernet.io/ippool-reclaim': 'true',
    });
    expect(applicationText(application)).toBe('apps_v1_Deployment_pay_api');
  });
});

describe('a name as a label', () => {
  it('stays as it is up to 63 characters, and is never that of another name', () => {
    const long = (end: string): string => `${'a'.repeat(100)}${end}`;
    expect(labelText('a'.repeat(63))).toBe('a'.repeat(63));
    expect(labelText(long('x'))).toHaveLength(63);
    expect(labelText(long('x'))).not.toBe(labelText(long('y')));
  });
});
