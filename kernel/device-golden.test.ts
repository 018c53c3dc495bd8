import { readFileSync } from 'node:fs';
import { describe, expect, it } from '@jest/globals';
import * as fc from 'fast-check';
import { type VfSettings, vfLinkStates, vfVlanProtocols } from '../contracts/device.ts';
import { nestedAttribute } from './attribute.ts';
import { IFLA_VF_INFO, IFLA_VFINFO_LIST, RTM_NEWLINK } from './netlink-constants.ts';
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

/** Against kernels that have VFs: test/datapath/devices.datapath.ts, and RDMA's bytes in device-bytes.datapath.ts. */
describe('the settings of a VF', () => {
  const settings: fc.Arbitrary<VfSettings> = fc.record(
    {
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

  it('are none where a list is cut off', () => {
    const cut = nestedAttribute(IFLA_VFINFO_LIST, Buffer.from([40, 0, IFLA_VF_INFO, 0, 1]));
    expect(readVf(answer(Buffer.concat([Buffer.alloc(16), cut])), 0)).toBeUndefined();
  });
});
