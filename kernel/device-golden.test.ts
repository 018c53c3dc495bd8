import { readFileSync } from 'node:fs';
import { describe, expect, it } from '@jest/globals';
import { nestedAttribute } from './attribute.ts';
import { readLink } from './link-message.ts';
import { IFLA_VF_INFO, IFLA_VFINFO_LIST } from './netlink-constants.ts';
import { decodeMessages, type NetlinkMessage } from './nlmsg.ts';
import { moveRdmaDevice, readPortLink, readRdmaDevice, readRdmaMode } from './rdma-message.ts';
import { type DeviceCapture, deviceCommands, type GuestCapture } from './testing/device-capture.ts';
import { asSent } from './testing/iproute2-capture.ts';
import { readVf } from './vf-message.ts';

const read = (file: string): unknown =>
  JSON.parse(readFileSync(new URL(`./testdata/${file}`, import.meta.url), 'utf8')) as unknown;
/** Written by device-golden.live.test.ts with GOLDEN=1. */
const golden = read('device-iproute2.json') as DeviceCapture;
/** Written by test/datapath/device-bytes.datapath.ts in the guest. */
const guest = read('device-guest.json') as GuestCapture;

const messages = (...datagrams: readonly string[]): NetlinkMessage[] =>
  datagrams.flatMap((hex) => decodeMessages(Buffer.from(hex, 'hex'))).filter(({ type }) => type > 3);

describe('our bytes are those of', () => {
  it.each(Object.entries(deviceCommands))('%s', (command, encode) => {
    expect(asSent(encode(golden.facts))).toBe(golden.requests[command]);
  });

  it('rdma dev set rdma0 netns POD', () => {
    expect(asSent(moveRdmaDevice(guest.rdma.deviceIndex, guest.rdma.netnsFd))).toBe(guest.rdma.move);
  });
});

describe('the kernel’s bytes read as', () => {
  it('the settings of igb’s VFs', () => {
    const [pf] = messages(...guest.pf);
    const vfs = [0, 1, 7].map((index) => pf && readVf(pf, index));
    const plain = {
      mac: expect.stringMatching(/^([0-9a-f]{2}:){5}[0-9a-f]{2}$/),
      vlan: { id: 0, qos: 0, protocol: '802.1Q' },
      rate: { minMbps: 0, maxMbps: 0 },
      spoofCheck: true,
      trust: false,
    };
    expect(vfs).toEqual([
      expect.objectContaining(plain),
      expect.objectContaining({
        ...plain,
        mac: '02:00:00:00:00:09',
        vlan: { id: 100, qos: 5, protocol: '802.1Q' },
        rate: { minMbps: 0, maxMbps: 200 },
        spoofCheck: false,
        trust: true,
      }),
      undefined,
    ]);
    expect(pf && readLink(pf)).toMatchObject({ pciAddress: '0000:01:00.0' });
  });

  it('RDMA’s mode, its devices and their links', () => {
    const { mode, devices, ports, linkIndex, deviceIndex } = guest.rdma;
    expect(messages(...mode).map(readRdmaMode)).toEqual(['exclusive']);
    expect(messages(...devices).map(readRdmaDevice)).toEqual([{ index: deviceIndex, name: 'rdma0' }]);
    expect(messages(...ports).map(readPortLink)).toEqual([linkIndex]);
  });

  it('nothing, where a list of VFs is cut off', () => {
    const cut = nestedAttribute(IFLA_VFINFO_LIST, Buffer.from([40, 0, IFLA_VF_INFO, 0, 1]));
    const body = Buffer.concat([Buffer.alloc(16), cut]);
    expect(readVf({ type: 16, flags: 0, sequence: 0, body }, 0)).toBeUndefined();
  });
});
