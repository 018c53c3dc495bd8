import { describe, expect, it } from '@jest/globals';
import { mutateReservedIP, validateReservedIPCreate, validateReservedIPUpdate } from './reserved-ip-rules.ts';
import { reserved, said, world } from './testing/objects.ts';

const terminating = { deletionTimestamp: '2026-11-21T12:00:00Z', finalizers: ['example.org/mine'] };

describe('the mutating webhook', () => {
  it('derives ipVersion from the first address and merges ranges, and adds no finalizer', () => {
    expect(mutateReservedIP(reserved({ ips: ['10.1.0.2', '10.1.0.1'] }), undefined, world())).toEqual({
      outcome: 'mutated',
      object: reserved({ ipVersion: 4, ips: ['10.1.0.1-10.1.0.2'] }),
    });
  });

  it('says at once what is wrong (§12.3 #27)', () => {
    expect(mutateReservedIP(reserved({ ips: ['10.1.0.9-10.1.0.1'] }), undefined, world())).toMatchObject({
      outcome: 'denied',
      message: expect.stringContaining(
        'spec.ips[0] "10.1.0.9-10.1.0.1" ends before it starts: write "10.1.0.1-10.1.0.9"',
      ),
    });
  });
});

describe('a new reservation is refused', () => {
  it.each([
    [
      'with neither ipVersion nor an address',
      {},
      'spec.ipVersion is missing, and there is no address to tell it from: write',
    ],
    ['with ipVersion 5', { ipVersion: 5, ips: ['10.1.0.1'] }, 'spec.ipVersion 5 is no IP version: write 4 or 6'],
    [
      'with a malformed range',
      { ips: ['10.1.0.1', 'x'] },
      'spec.ips[1] "x" is neither an address nor a range start-end',
    ],
    [
      'with a range that is no text',
      { ips: [{}] },
      'spec.ips[0] {} is neither an address nor a range: write an address',
    ],
    ['with ips that are no list', { ipVersion: 4, ips: '10.1.0.1' }, 'spec.ips "10.1.0.1" is not a list: write a list'],
    [
      'of two families',
      { ips: ['10.1.0.1', 'fd00::1'] },
      'spec.ips[1] "fd00::1" is IPv6 in a reservation of IPv4: move it',
    ],
    [
      'of a family other than ipVersion',
      { ipVersion: 6, ips: ['10.1.0.1'] },
      'spec.ips[0] "10.1.0.1" is IPv4 in a reservation of IPv6',
    ],
  ])('%s', (_, spec, message) => {
    expect(said(validateReservedIPCreate(reserved(spec), world()))).toContain(
      `422 Cannot create SpiderReservedIP "r": ${message}`,
    );
  });

  it('of a family that is off', () => {
    expect(
      said(validateReservedIPCreate(reserved({ ips: ['fd00::1'] }), world({ settings: { families: [4] } }))),
    ).toContain(
      'spec.ipVersion 6 is off in this cluster: reserve addresses of the other family, or set ORBWEAVER_ENABLE_IPV6=true',
    );
  });
});

describe('a new reservation is admitted', () => {
  it.each([
    ['with ranges of any subnet, in use or not', { ipVersion: 4, ips: ['10.1.0.1-10.1.0.9', '192.168.0.1'] }],
    ['without addresses, when ipVersion says the family', { ipVersion: 6, ips: [] }],
  ])('%s', (_, spec) => {
    expect(said(validateReservedIPCreate(reserved(spec), world()))).toBe('allowed');
  });
});

describe('an edit of a reservation', () => {
  const old = reserved({ ipVersion: 4, ips: ['10.1.0.1'] });

  it('may add and remove addresses', () => {
    expect(said(validateReservedIPUpdate(old, reserved({ ipVersion: 4, ips: [] }), world()))).toBe('allowed');
  });

  it.each([
    ['changes ipVersion', { ipVersion: 6, ips: ['fd00::1'] }, 'spec.ipVersion 6 cannot be changed: it is 4'],
    ['adds a malformed range', { ipVersion: 4, ips: ['10.1.0.1/24'] }, 'has a prefix length'],
  ])('is refused when it %s', (_, spec, message) => {
    expect(said(validateReservedIPUpdate(old, reserved(spec), world()))).toContain(message);
  });

  it('is admitted when it is the one that begins the deletion, and afterwards when it removes a finalizer', () => {
    const dying = reserved({ ipVersion: 4 }, terminating);
    expect(said(validateReservedIPUpdate(reserved({ ipVersion: 4 }), dying, world()))).toBe('allowed');
    expect(
      said(validateReservedIPUpdate(dying, reserved({ ipVersion: 4 }, { ...terminating, finalizers: [] }), world())),
    ).toBe('allowed');
    expect(
      said(validateReservedIPUpdate(dying, reserved({ ipVersion: 4, ips: ['10.1.0.1'] }, terminating), world())),
    ).toContain('403 ');
  });
});
