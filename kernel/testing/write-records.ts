import { createAttachmentRecords } from '../attachment-records.ts';

/** Writes records until it is killed, and says when it has begun. */
const records = createAttachmentRecords(process.argv[2] ?? '');
for (let count = 0; ; count += 1) {
  await records.write({
    attachment: { containerID: '5b1e', network: 'vlan70', ifName: `net${count % 20}`, kind: 'attach' },
    pod: { namespace: 'pay', name: 'api-0', uid: '9c1f' },
    netns: `/run/netns/${'x'.repeat(4000)}`,
    netnsCookie: `${count}`,
    addresses: [],
    provides: 'interface',
    addedAtMs: count,
  });
  if (count === 50) console.log('begun');
}
