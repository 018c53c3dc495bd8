import { spawnSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { describe, expect, it } from '@jest/globals';
import { captureDevices, deviceCommands } from './testing/device-capture.ts';
import { asSent } from './testing/netlink-capture.ts';

const goldenFile = new URL('./testdata/device-iproute2.json', import.meta.url);
const hasTools = ['strace', 'ip'].every((tool) => spawnSync(tool, ['-V']).error === undefined);

const whenTraced = hasTools ? describe : describe.skip;
whenTraced('with strace and iproute2 installed', () => {
  it('our messages about VFs and moved links are those that this machine’s ip(8) sends', () => {
    const capture = captureDevices();
    if (process.env['GOLDEN'] === '1') writeFileSync(goldenFile, `${JSON.stringify(capture, undefined, 2)}\n`);
    const ours = Object.entries(deviceCommands).map(([command, encode]) => [command, asSent(encode(capture.facts))]);
    expect(Object.fromEntries(ours)).toEqual(capture.requests);
  });
});
