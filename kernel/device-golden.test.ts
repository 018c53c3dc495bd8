import { readFileSync } from 'node:fs';
import { describe, expect, it } from '@jest/globals';
import * as fc from 'fast-check';
import { noGuid, type VfSettings, vfLinkStates, vfVlanProtocols } from '../contracts/device.ts';
import { nestedAttribute } from './attribute.ts';
import { formatMac, ifinfomsg, readLink } from './link-message.ts';
import { ARPHRD_INFINIBAND, IFLA_VF_INFO, IFLA_VFINFO_LIST, RTM_NEWLINK } from './netlink-constants.ts';
import { type DeviceCapture, deviceCommands } from './testing/device-capture.ts';
import { asSent } from './testing/netlink-capture.ts';
import { readVf, setVf } from './vf-message.ts';

/** Written by device-golden.live.test.ts with GOLDEN=1. */
const golden = JSON.parse(
  readFileSync(new URL('./testdata/device-iproute2.json', import.meta.url), 'utf8'),
) as DeviceCapture;

const answer = (body: Uint8Array) => ({ type: RTM_NEWLINK, flags: 0, sequence: 0, body: Buffer.from(body) });

describe('our bytes are those of', () => {
  it.each(Object.entries(deviceCommands))('%s', (command, encode) => {
    expect(asSent(encode(golden.facts))).toBe(golden.requests[command]);
  });
});

describe('a link that the kernel shows', () => {
  it.each([
    [1, { isEthernet: true }],
    [ARPHRD_INFINIBAND, { isEthernet: false, isInfiniBand: true }],
    [772, { isEthernet: false }],
  ])('of hardware type %d is %j', (type, shown) => {
    const body = ifinfomsg(7);
    body.writeUInt16LE(type, 2);
    const { isEthernet, isInfiniBand } = readLink(answer(body));
    expect({ isEthernet, isInfiniBand }).toEqual({ isInfiniBand: undefined, ...shown });
  });
});

/** Against kernels that have VFs: test/datapath/devices.datapath.ts, and RDMA's bytes in device-bytes.datapath.ts. */
describe('the settings of a VF', () => {
  const guid = fc.uint8Array({ minLength: 8, maxLength: 8 }).filter((bytes) => bytes.some((byte) => byte > 0));
  const settings: fc.Arbitrary<VfSettings> = fc.record(
    {
      nodeGuid: guid.map(formatMac),
      portGuid: guid.map(formatMac),
      vlan: fc.record({ id: fc.nat(4094), qos: fc.nat(7), protocol: fc.constantFrom(...vfVlanProtocols) }),
      rate: fc.record({ minMbps: fc.nat(), maxMbps: fc.nat() }),
      spoofCheck: fc.boolean(),
      trust: fc.boolean(),
      linkState: fc.constantFrom(...vfLinkStates),
    },
    { requiredKeys: [] },
  );

  it('read as they were written, of that VF alone', () => {
    fc.assert(
      fc.property(settings, fc.nat(255), (some, index) => {
        const asked = { mac: '02:00:00:00:00:09', ...some };
        // The older form of a VLAN stands beside the newer one in an answer; a request has one of them.
        if (asked.vlan?.protocol === '802.1ad') delete asked.vlan;
        const { body } = setVf(7, index, asked);
        expect(readVf(answer(body), index)).toEqual(asked);
        expect(readVf(answer(body), index + 1)).toBeUndefined();
      }),
    );
  });

  it('have no GUID where the firmware shows zeros', () => {
    const { body } = setVf(7, 0, { mac: '02:00:00:00:00:09', portGuid: '00:00:00:00:00:00:00:00' });
    expect(readVf(answer(body), 0)).toHaveProperty('portGuid', noGuid);
  });

  it('are none where a list is cut off', () => {
    const cut = nestedAttribute(IFLA_VFINFO_LIST, Buffer.from([40, 0, IFLA_VF_INFO, 0, 1]));
    expect(readVf(answer(Buffer.concat([Buffer.alloc(16), cut])), 0)).toBeUndefined();
  });
});
