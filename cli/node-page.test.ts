import { describe, expect, it } from '@jest/globals';
import type { NodeReport } from '../contracts/node-report.ts';
import { renderNode } from './node-page.ts';
import { plain } from './paint.ts';
import { golden } from './testing/golden.ts';
import { wallClock } from './wall-clock.ts';

const nowMs = Date.UTC(2026, 10, 21, 12, 3, 11);
const report: NodeReport = {
  node: 'r7-n1',
  version: '0.1.0',
  startedAtMs: nowMs - 8_000_000,
  machineID: '5f3c',
  bootID: 'b007',
  health: [
    { name: 'Temporal', isHealthy: true, detail: 'answers in 2 ms' },
    { name: 'API server', isHealthy: true, detail: 'answers in 1 ms' },
    { name: 'queue', isHealthy: true, detail: 'empty' },
  ],
  nics: [
    {
      name: 'eno1',
      mac: '0e:5b:00:00:00:01',
      driver: 'mlx5_core',
      isUp: true,
      mtuBytes: 9000,
      speedBitsPerSecond: 25e9,
      isVirtual: false,
    },
    {
      name: 'eno2',
      mac: '0e:5b:00:00:00:02',
      driver: 'igb',
      isUp: false,
      mtuBytes: 1500,
      speedBitsPerSecond: 100e6,
      isVirtual: false,
    },
    { name: 'veth1', mac: '0e:5b:00:00:00:03', driver: '', isUp: true, mtuBytes: 1500, isVirtual: true },
  ],
  memory: { totalBytes: 8 * 2 ** 30, availableBytes: 5.25 * 2 ** 30, workerRssBytes: 155 * 2 ** 20 },
  attachments: [
    {
      attachment: { containerID: `5b1d${'0'.repeat(60)}`, network: 'vlan70', ifName: 'eth0', kind: 'attach' },
      pod: { namespace: 'pay', name: 'api-0', uid: '9c1f' },
      netns: '/run/netns/cni-1',
      addresses: ['10.70.8.20/22'],
      isDone: true,
      addedAtMs: nowMs - 90_000_000,
    },
  ],
};
const page = (changes: Partial<NodeReport> = {}): string =>
  renderNode({ ...report, ...changes }, nowMs, wallClock(nowMs, 'UTC'), plain);

describe('the page of a node', () => {
  it('shows health, NICs and attachments', async () => {
    const printed = page();
    expect(printed).toBe(await golden('node.txt', printed));
  });

  it('begins with what is not healthy, and what to do about it', async () => {
    const health = [
      {
        name: 'Temporal',
        isHealthy: false,
        detail: 'no answer from 10.96.0.9:7233 for 12 s; ADDs are refused with error 11',
      },
      { name: 'kernel', isHealthy: true, detail: '2 threads' },
    ] as const;
    const printed = page({ health, nics: [], attachments: [] });
    expect(printed).toBe(await golden('node-ill.txt', printed));
  });

  it.each(['Temporal', 'API server', 'kernel', 'queue', 'pod watch'] as const)(
    'has a remedy when %s is ill',
    (name) => {
      expect(page({ health: [{ name, isHealthy: false, detail: 'gone' }] })).toMatch(
        new RegExp(`is not healthy: ${name}\n${name}: gone\nRemedy: \\w`),
      );
    },
  );
});
