import { expect, it } from '@jest/globals';
import type { AttachmentReport } from '../contracts/node-report.ts';
import { renderAttachment } from './kernel-page.ts';
import { plain } from './paint.ts';
import { golden } from './testing/golden.ts';

const report: AttachmentReport = {
  attachment: { containerID: '5b1e', network: 'vlan70', ifName: 'eth0', kind: 'attach' },
  differences: [
    'Interface "eth0" has an MTU of 1300 instead of 1400',
    'The route to 0.0.0.0/0 via 10.70.8.1 on "eth0" is gone',
  ],
  facts: [
    { at: 'pod', what: 'link eth0 macvlan mode bridge mtu 1400 up alias orbweaver:5b1e/eth0', state: 'missing' },
    { at: 'pod', what: 'link eth0 macvlan mode bridge mtu 1300 up alias orbweaver:5b1e/eth0', state: 'surplus' },
    { at: 'pod', what: 'address 10.70.8.20/22 dev eth0', state: 'right' },
    { at: 'pod', what: 'route default via 10.70.8.1 dev eth0 proto 79', state: 'missing' },
    { at: 'node', what: 'route 10.70.8.20/32 dev veth5b1e table 500 proto 79', state: 'right' },
  ],
};

it('an attachment in the kernel shows what differs, marked and in words', async () => {
  const printed = renderAttachment(report, plain);
  expect(printed).toBe(await golden('kernel-differs.txt', printed));
});

it('an attachment that is as it should be says so', () => {
  const facts = report.facts.filter(({ state }) => state === 'right');
  expect(renderAttachment({ ...report, facts, differences: [] }, plain)).toMatch(
    /^eth0, network vlan70, attach: as it should be\n  pod   /,
  );
});
