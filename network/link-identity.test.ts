import { describe, expect, it } from '@jest/globals';
import { noGuid } from '../contracts/device.ts';
import { identityOf } from './link-identity.ts';

describe('what of a hardware address is the link’s own', () => {
  const gid = 'fe:80:00:00:00:00:00:00';
  it.each([
    ['a MAC', '02:00:00:00:00:01', '02:00:00:00:00:01'],
    ['no address', '', ''],
    ['the GUID of an IPoIB address', `80:00:00:17:${gid}:02:00:00:00:00:00:00:2a`, '02:00:00:00:00:00:00:2a'],
    ['no GUID of one that has zeros', `80:00:00:17:${gid}:00:00:00:00:00:00:00:00`, noGuid],
    ['no GUID of one that has ones', `80:00:00:17:${gid}:${noGuid}`, noGuid],
  ])('is %s', (_, mac, own) => {
    expect(identityOf({ mac })).toBe(own);
  });
});
